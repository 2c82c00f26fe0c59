"""The records of one machine out of several files: checked, each once, in the order of time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from harness.errors import InputError
from harness.formats.strict_json import loads
from harness.store.quick_check import ReadBySchema, check_line, collector_paused
from harness.store.record_line import MAX_LINE_BYTES, canonical
from harness.store.sources import Part

MAX_COMPLAINTS = 10
_BUFFER = 8 * 1024**2

Sort = tuple[str, str, int, int, int, str]
Place = tuple[Sort, int, int, int, bool]
"""Of a record: what it is sorted by, the number of its part, where in it its line begins, how long that is, and whether
it has to be spelled again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFile:
    """The merged records of one machine, written beside their place."""

    path: Path
    records: int
    repeated: int
    problems: tuple[str, ...]
    remarks: tuple[str, ...]


def machine_of(part: Part) -> str | None:
    """The machine of a file's first record; None of a file without a whole line.

    Raises:
        InputError: the first line is no record.
    """
    with part.path.open("rb") as file:
        line = file.readline(MAX_LINE_BYTES + 1)
    if not line.endswith(b"\n"):
        if len(line) > MAX_LINE_BYTES:
            raise InputError(
                f"line 1 is longer than {MAX_LINE_BYTES} bytes", where=part.shown, remedy="Leave the file out."
            )
        return None
    try:
        return check_line(line.rstrip(b"\n")).machine
    except ValueError as error:
        raise InputError(
            f"line 1: {error}", where=part.shown, remedy="Nothing was merged. Leave the file out, or get it again."
        ) from error


@dataclass(slots=True)
class _Index:
    """Where each record of a machine lies, and what was found on the way."""

    parts: Sequence[Part]
    sessions: Mapping[str, str]
    places: list[Place] = field(default_factory=list)
    ids: set[bytes] = field(default_factory=set)
    attempts: dict[tuple[str, str, int, int], tuple[int, int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    repeated: int = 0


def merge_machine(machine: str, parts: Sequence[Part], sessions: Mapping[str, str], target: Path) -> MachineFile:
    """Write `records/.<machine>.jsonl.partial`: every record of the machine once."""
    index = _Index(parts=parts, sessions=sessions)
    with collector_paused():
        for number in range(len(parts)):
            _index_file(machine, number, index)
    path = target / "records" / f".{machine}.jsonl.partial"
    if not index.problems:
        index.places.sort()
        _copy(index.places, parts, path)
    return MachineFile(
        path=path,
        records=len(index.places),
        repeated=index.repeated,
        problems=tuple(index.problems),
        remarks=tuple(index.remarks),
    )


def _index_file(machine: str, number: int, index: _Index) -> None:
    part = index.parts[number]
    offset = 0
    with part.path.open("rb", buffering=_BUFFER) as file:
        for row, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 2), b""), start=1):
            if not line.endswith(b"\n"):
                if len(line) > MAX_LINE_BYTES:
                    index.problems.append(f"{part.shown}, line {row}: is longer than {MAX_LINE_BYTES} bytes")
                else:
                    index.remarks.append(f"{part.shown}: the last line was not finished and is left out")
                return
            if len(index.problems) > MAX_COMPLAINTS:
                return
            try:
                found = check_line(line[:-1])
                problem = _against(found, machine, index.sessions)
            except ValueError as error:
                problem = str(error)
            if problem:
                index.problems.append(f"{part.shown}, line {row}: {problem}")
            else:
                _place(found, (number, row), (offset, len(line)), index)
            offset += len(line)


def _against(found: Any, machine: str, sessions: Mapping[str, str]) -> str:
    if found.machine != machine:
        return f"it is of {found.machine}, and the first line of {machine}: a file holds one machine"
    if found.simulated:
        return "it is simulated, and simulated results are merged with nothing"
    sha256 = sessions.get(found.session)
    if sha256 is None:
        return f"there is no session {found.session} of {machine}: copy `sessions` along with `records`"
    if getattr(found, "session_sha256", "") not in {"", sha256}:
        return f"session {found.session} is not the one that it was measured in: its hash differs"
    return ""


def _place(found: Any, where: tuple[int, int], extent: tuple[int, int], index: _Index) -> None:
    """Take a record into the index.

    Args:
        where: number of its part, and of its line. extent: where the line begins, and its length.
    """
    id_ = bytes.fromhex(found.id)
    if id_ in index.ids:
        index.repeated += 1
        return
    run = found.run
    first = index.attempts.setdefault((found.session, run.key, run.round, run.attempt), where)
    if first != where:
        index.problems.append(
            f"{index.parts[where[0]].shown}, line {where[1]}: run {run.key[:12]}, round {run.round}, attempt "
            f"{run.attempt} of session {found.session} is another one than in {index.parts[first[0]].shown}, "
            f"line {first[1]}"
        )
        return
    index.ids.add(id_)
    sort = (found.started_utc, found.session, run.round, run.order, run.attempt, found.id)
    index.places.append((sort, where[0], *extent, isinstance(found, ReadBySchema)))


def _stretches(places: Sequence[Place]) -> Iterator[tuple[int, int, int, bool]]:
    """Number of the part, beginning, length and spelling: lines that follow each other are copied at once."""
    open_: tuple[int, int, int, bool] | None = None
    for _, number, offset, length, otherwise in places:
        if open_ is not None:
            if open_[0] == number and offset == open_[1] + open_[2] and not otherwise and not open_[3]:
                open_ = (number, open_[1], open_[2] + length, False)
                continue
            yield open_
        open_ = (number, offset, length, otherwise)
    if open_ is not None:
        yield open_


def _copy_bytes(file: BinaryIO, out: BinaryIO, length: int) -> None:
    while length > 0:
        block = file.read(min(length, _BUFFER))
        if not block:
            raise InputError(
                "became shorter while it was merged", where=file.name, remedy="Merge again when nothing writes there."
            )
        out.write(block)
        length -= len(block)


def _copy(places: Sequence[Place], parts: Sequence[Part], path: Path) -> None:
    """Copy lines, spelled as records are: what a stranger spelled otherwise is spelled again, with the same id."""
    files = [part.path.open("rb", buffering=_BUFFER) for part in parts]
    try:
        with path.open("wb", buffering=_BUFFER) as out:
            for number, offset, length, otherwise in _stretches(places):
                files[number].seek(offset)
                if otherwise:
                    out.write(canonical(loads(files[number].read(length))) + b"\n")
                else:
                    _copy_bytes(files[number], out, length)
            out.flush()
            os.fsync(out.fileno())
    finally:
        for file in files:
            file.close()
