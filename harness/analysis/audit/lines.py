"""Lines of records: byte for byte what was written, each a valid record with its own hash, each attempt once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.analysis.audit.findings import Finding
from harness.formats.strict_json import JsonError, loads
from harness.store.codec import CodecError
from harness.store.migrations import VersionError
from harness.store.quick_check import read_as_written
from harness.store.record_line import MAX_LINE_BYTES, canonical, from_json
from harness.values.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a file of records, with the record where it is one.

    Attributes:
        where: `records/box.jsonl, line 3`. machine: the file's stem.
        problem: why it is no record; empty where it is.
    """

    where: str
    machine: str
    number: int
    record: Record | None
    problem: str = ""


def read_line(data: bytes, *, where: str, machine: str, number: int) -> Line:
    """Read one line. Whatever it is, this does not raise."""
    quick = read_as_written(data)
    if quick is not None:
        return Line(where=where, machine=machine, number=number, record=quick)
    try:
        value = loads(data, max_bytes=MAX_LINE_BYTES)
        record = from_json(value)
        if canonical(value) != data:
            raise CodecError("it is not written as records are: its bytes were changed")  # noqa: TRY301 - one way out
    except (JsonError, CodecError, VersionError) as error:
        return Line(where=where, machine=machine, number=number, record=None, problem=str(error))
    return Line(where=where, machine=machine, number=number, record=record)


def read_lines(path: Path) -> tuple[list[Line], list[Finding]]:
    """The lines of a file, and whether its end is whole."""
    name = f"{path.parent.name}/{path.name}"
    try:
        *whole, torn = path.read_bytes().split(b"\n")
    except OSError as error:
        return [], [Finding(where=name, what=f"cannot be read: {error.strerror or error}")]
    lines = [
        read_line(data, where=f"{name}, line {number}", machine=path.stem, number=number)
        for number, data in enumerate(whole, start=1)
    ]
    if torn:
        what = f"is not finished ({len(torn)} bytes without a line feed); the next start moves it aside"
        return lines, [Finding(where=f"{name}, line {len(whole) + 1}", what=what)]
    return lines, []


def audit_line(line: Line, seen: dict[tuple[str, str, int, int], int]) -> list[Finding]:
    """Whether it is a record, and the first of its attempt.

    Args:
        seen: the number of the line of each attempt so far; this one is added.
    """
    if line.record is None:
        return [Finding(where=line.where, what=line.problem)]
    run = line.record.run
    key = (line.record.session, run.key, run.round, run.attempt)
    first = seen.setdefault(key, line.number)
    if first != line.number:
        what = f"round {run.round}, attempt {run.attempt} stands in line {first} already"
        return [Finding(where=line.where, what=what)]
    return []
