"""Records of many machines into one folder: each record once, in the order of time, whatever was merged before.

Merging is a union: the same sources in any order, or twice, give the same bytes. What contradicts itself is refused
with both places, and nothing is written then.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError
from harness.formats.strict_json import JsonError, loads
from harness.store.files import make_folder, write_whole
from harness.store.imports import ImportedRow, import_path, read_import, write_imports
from harness.store.merge_machine import MAX_COMPLAINTS, MachineFile, machine_of, merge_machine
from harness.store.reproductions import read_reproduction
from harness.store.sessions import read_stored
from harness.store.sources import MAX_SESSION_BYTES, Kind, Part

_PARALLEL_BYTES = 32 * 1024**2
"""From this size on, machines are merged side by side: starting processes takes a while too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What came of a merge.

    Attributes:
        machines, records, sessions, reproductions, imported: that the folder now holds; the last are rows.
        repeated: records that were found more than once.
        remarks: what was left out, and why: lines that were not finished.
    """

    machines: int
    records: int
    sessions: int
    reproductions: int
    imported: int
    repeated: int
    remarks: tuple[str, ...]


def merge_parts(parts: Sequence[Part], target: Path) -> Merged:
    """Merge files into the folder `target`, which may hold earlier ones if they are among the parts.

    Raises:
        InputError: a part is damaged, newer than this program, simulated, or contradicts another one; nothing was
            written.
        MachineError: the folder cannot be written.
    """
    sessions = _sessions([part for part in parts if part.kind is Kind.SESSION])
    by_machine: dict[str, list[Part]] = {}
    for part in parts:
        if part.kind is Kind.RECORDS:
            machine = machine_of(part)
            if machine is not None:
                by_machine.setdefault(machine, []).append(part)
    make_folder(target / "records")
    known = {name: {s.id: s.sha256 for s in own.values()} for name, own in _by_machine(sessions).items()}
    jobs = [(name, own, known.get(name, {}), target) for name, own in sorted(by_machine.items())]
    done = list(_each(jobs))
    problems = [problem for one in done for problem in one.problems]
    if problems:
        for one in done:
            one.path.unlink(missing_ok=True)
        more = f"\n... and {len(problems) - MAX_COMPLAINTS} more" if len(problems) > MAX_COMPLAINTS else ""
        raise InputError(
            "\n".join(problems[:MAX_COMPLAINTS]) + more,
            remedy="Nothing was merged. Leave the named source out, or get it again from where it came from.",
        )
    for one in done:
        one.path.replace(target / "records" / one.path.name.removeprefix(".").removesuffix(".partial"))
    _write_sessions(target, sessions)
    _write_matrices(target, [part for part in parts if part.kind is Kind.MATRIX], sessions)
    _write_journals(target, [part for part in parts if part.kind is Kind.JOURNAL])
    imported = _write_imported(target, [part for part in parts if part.kind is Kind.IMPORTED])
    return Merged(
        imported=imported,
        machines=len(done),
        records=sum(one.records for one in done),
        sessions=len(sessions),
        reproductions=_write_reproductions(target, [part for part in parts if part.kind is Kind.REPRODUCTION]),
        repeated=sum(one.repeated for one in done),
        remarks=tuple(remark for one in done for remark in one.remarks),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _SessionFile:
    id: str
    machine: str
    sha256: str
    matrix_sha256: str
    started_utc: str
    data: bytes
    shown: str


def _sessions(parts: Sequence[Part]) -> dict[tuple[str, str], _SessionFile]:
    """Each session once, by machine and id.

    Raises:
        InputError: one is damaged, two of one name differ, or two machines claim one.
    """
    found: dict[tuple[str, str], _SessionFile] = {}
    holders: dict[str, _SessionFile] = {}
    for part in parts:
        if part.path.stat().st_size > MAX_SESSION_BYTES:
            raise InputError(f"is larger than {MAX_SESSION_BYTES} bytes", where=part.shown, remedy="Leave it out.")
        stored = read_stored(part.path.read_bytes(), where=part.shown)
        own = _SessionFile(
            id=stored.session.id,
            machine=stored.session.machine.machine,
            sha256=stored.sha256,
            matrix_sha256=stored.session.matrix_sha256,
            started_utc=stored.session.started_utc,
            data=stored.data,
            shown=part.shown,
        )
        other = found.setdefault((own.machine, own.id), own)
        if other.sha256 != own.sha256:
            raise InputError(
                f"session {own.id} of {own.machine} is another one than in {other.shown}",
                where=part.shown,
                remedy="One of them was changed. Get both again from where they came from.",
            )
        holder = holders.setdefault(own.id, own)
        if holder.machine != own.machine:
            raise InputError(
                f"session {own.id} is of {own.machine} and of {holder.machine}, in {holder.shown}",
                where=part.shown,
                remedy="The id of a session is of one start on one machine. Leave one of the two out.",
            )
    return found


def _by_machine(sessions: Mapping[tuple[str, str], _SessionFile]) -> dict[str, dict[str, _SessionFile]]:
    found: dict[str, dict[str, _SessionFile]] = {}
    for (machine, id_), session in sessions.items():
        found.setdefault(machine, {})[id_] = session
    return found


def _each(jobs: Sequence[tuple[str, list[Part], Mapping[str, str], Path]]) -> Iterator[MachineFile]:
    size = sum(part.path.stat().st_size for _, parts, _, _ in jobs for part in parts)
    workers = min(os.cpu_count() or 1, len(jobs))
    if size < _PARALLEL_BYTES or workers < 2:  # noqa: PLR2004 - one is not side by side
        yield from (merge_machine(*job) for job in jobs)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(merge_machine, *zip(*jobs, strict=True))


def _write_sessions(target: Path, sessions: Mapping[tuple[str, str], _SessionFile]) -> None:
    for (machine, id_), session in sessions.items():
        path = target / "sessions" / f"{machine}-{id_}.json"
        if not path.exists() or path.read_bytes() != session.data:
            write_whole(path, session.data)


def _write_matrices(target: Path, parts: Sequence[Part], sessions: Mapping[tuple[str, str], _SessionFile]) -> None:
    """The matrix files that sessions measured: the newest as `matrix.yaml`, all by their hash in `matrices/`."""
    found = {}
    for part in parts:
        if part.path.stat().st_size <= MAX_SESSION_BYTES:
            data = part.path.read_bytes()
            found[hashlib.sha256(data).hexdigest()] = data
    measured = {session.matrix_sha256 for session in sessions.values()}
    kept = {sha256: data for sha256, data in found.items() if sha256 in measured}
    newest = max(sessions.values(), key=lambda s: (s.started_utc, s.id), default=None)
    if newest is not None and newest.matrix_sha256 in kept:
        write_whole(target / "matrix.yaml", kept[newest.matrix_sha256])
    if len(kept) > 1:
        for sha256, data in kept.items():
            write_whole(target / "matrices" / f"{sha256[:12]}.yaml", data)


def _write_journals(target: Path, parts: Sequence[Part]) -> None:
    """Journals are put together by machine and time; lines that are no events are left out."""
    by_machine: dict[str, dict[bytes, str]] = {}
    for part in parts:
        for line in part.path.read_bytes().split(b"\n")[:-1]:
            try:
                event = loads(line)
            except JsonError:
                continue
            if isinstance(event, dict) and isinstance(event.get("at_utc"), str):
                by_machine.setdefault(_journal_machine(part), {})[line] = event["at_utc"]
    for machine, lines in by_machine.items():
        path = target / "journal" / f"{machine}.jsonl"
        if (target / "records" / f"{machine}.jsonl").exists():
            ordered = sorted(lines, key=lambda line: lines[line])
            write_whole(path, b"\n".join(ordered) + b"\n")


def _journal_machine(part: Part) -> str:
    """The machine that a journal is of: its name says it, and nothing in it; it has to be one that has records."""
    return Path(part.shown.rpartition(":")[2]).stem


def _write_reproductions(target: Path, parts: Sequence[Part]) -> int:
    ids = set()
    for part in parts:
        try:
            found = read_reproduction(part.path)
        except InputError as error:
            raise InputError(error.what, where=part.shown, remedy=error.remedy) from error
        ids.add(found.id)
        stamp = "".join(c for c in found.created_utc[:19] if c.isalnum())
        path = target / "reproductions" / f"{stamp}Z-{found.id[:8]}.json"
        data = part.path.read_bytes()
        if not path.exists():
            write_whole(path, data)
    return len(ids)


def _write_imported(target: Path, parts: Sequence[Part]) -> int:
    """Imported rows go where the hash of their text says, whatever their file was called."""
    found: dict[Path, tuple[ImportedRow, ...]] = {}
    for part in parts:
        for row in read_import(part.path, shown=part.shown):
            path = import_path(target, row.text_sha256, row.source)
            known = found.get(path, ())
            if all(row.id != other.id for other in known[-1:]):
                found[path] = (*known, row)
    count = 0
    for rows in found.values():
        each = tuple({row.id: row for row in rows}.values())
        ordered = sorted(each, key=lambda row: (row.row.line, row.id))
        write_imports(target, ordered)
        count += len(ordered)
    return count
