"""The records of a report: `records/<machine>.jsonl`, one line a run, appended and synced, never changed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import InputError, MachineError
from harness.formats.json_schema import complaints
from harness.formats.strict_json import JsonError, loads
from harness.store.files import append_line, check_writable, make_folder, write_whole
from harness.store.quick_check import read_line
from harness.store.record_line import SCHEMA_FILE, canonical, to_json
from harness.store.redaction import Redaction
from harness.store.sessions import Session, stored, write_session
from harness.values.record import Record

_BUFFER = 1024**2


def _attempt(record: Record) -> tuple[str, int, int]:
    """What a run is made once under."""
    return record.run.key, record.run.round, record.run.attempt


def _attempt_text(record: Record) -> str:
    return f"run {record.run.key[:12]}, round {record.run.round}, attempt {record.run.attempt}"


def _whole_lines(path: Path) -> Iterator[bytes]:
    """The lines that end with a line feed, without it; none where there is no file."""
    try:
        file = path.open("rb", buffering=_BUFFER)
    except FileNotFoundError:
        return
    with file:
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]


def _cut_torn_line(path: Path) -> str:
    """Move what follows the last line feed to a file beside it, never over an earlier one; what was done."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ""
    whole, _, torn = data.rpartition(b"\n")
    if not torn:
        return ""
    aside, number = path.with_suffix(".torn"), 1
    while aside.exists():
        number += 1
        aside = path.with_suffix(f".torn-{number}")
    write_whole(aside, torn)
    write_whole(path, whole + b"\n" if whole else b"")
    name = f"{path.parent.name}/{path.name}"
    return f"{name}: the last line was not finished ({len(torn)} bytes); it was moved to {aside.name}"


class RecordStore:
    """The folder of one report.

    Args:
        folder: `reports/<matrix>`, made when the first thing is written.
        simulated: a folder of results of fakes: it takes nothing else, and a real one takes none of these.
    """

    def __init__(self, folder: Path, *, simulated: bool = False) -> None:
        self.folder = folder
        self.simulated = simulated
        self.redaction = Redaction.of(os.environ)
        self._taken: dict[str, set[tuple[str, int, int]]] = {}

    def check_writable(self) -> None:
        """Try the folder before anything is started.

        Raises:
            MachineError: nothing can be written there.
        """
        check_writable(self.folder)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only writer.

        Raises:
            MachineError: another harness writes into this folder.
        """
        make_folder(self.folder)
        path = self.folder / ".lock"
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise MachineError(
                    f"another harness writes this report (process {holder})",
                    where=str(self.folder),
                    remedy="Wait until it has finished.",
                ) from None
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def path(self, machine: str) -> Path:
        """The file of a machine's records."""
        return self.folder / "records" / f"{machine}.jsonl"

    def machines(self) -> tuple[str, ...]:
        """The machines that have records here."""
        return tuple(sorted(path.stem for path in (self.folder / "records").glob("*.jsonl")))

    def append(self, record: Record) -> Record:
        """Store a record, which gets its id.

        Raises:
            MachineError: it cannot be written; what was there before is intact.
            ValueError: it is simulated in a real folder or the other way round, is no valid record, or the same
                attempt of its run is recorded already: a bug of ours.
        """
        if record.simulated != self.simulated:
            raise ValueError("simulated and real results are kept apart")
        if record.machine not in self._taken:
            self._taken[record.machine] = {_attempt(known) for known in self.read(record.machine)}
        if _attempt(record) in self._taken[record.machine]:
            raise ValueError(f"{_attempt_text(record)} is recorded already")
        data = to_json(record, self.redaction)
        found = complaints(data, SCHEMA_FILE)
        if found:
            raise ValueError(f"not a record: {'; '.join(found)}")
        line = canonical(data)
        append_line(self.path(record.machine), line)
        self._taken[record.machine].add(_attempt(record))
        self.journal(
            record.machine, "recorded", {"record": data["id"], "run": record.run.key, "round": record.run.round}
        )
        return replace(record, id=data["id"])

    def read(self, machine: str, *, line: Callable[[bytes], Record] = read_line) -> tuple[Record, ...]:
        """All records of a machine, in the order in which they were made. A record that stands twice is read once.

        Args:
            line: reads one: all of it, checked in full, or what results are computed from.

        Raises:
            InputError: a line before the last is damaged, or two records are of the same attempt. A torn last line is
                left out; `repair` removes it.
        """
        path = self.path(machine)
        records: dict[str, Record] = {}
        # Two starts that know nothing of each other, merged later, can both have a first attempt.
        places: dict[tuple[str, str, int, int], int] = {}
        for number, text in enumerate(_whole_lines(path), start=1):
            try:
                record = line(text)
                place = (record.session, *_attempt(record))
                if record.id not in records and place in places:
                    raise ValueError(f"{_attempt_text(record)} stands in line {places[place]} already")  # noqa: TRY301 - one way out for all
            except ValueError as error:
                raise InputError(
                    f"line {number}: {error}",
                    where=str(path),
                    remedy="Restore the file from a copy, or start again with --fresh, which keeps it in the archive.",
                ) from error
            records[record.id] = record
            places.setdefault(place, number)
        return tuple(records.values())

    def repair(self, machine: str) -> str:
        """Cut off last lines, of records and journal, that were not finished when the program or the machine died.

        Returns:
            What was done, as a sentence; empty where nothing was wrong.

        Raises:
            MachineError: the file cannot be written.
        """
        self._taken.pop(machine, None)
        files = (self.path(machine), self.folder / "journal" / f"{machine}.jsonl")
        said = "; ".join(said for path in files if (said := _cut_torn_line(path)))
        self._complete_journal(machine)
        return said

    def _complete_journal(self, machine: str) -> None:
        """Note the records that were written just before the program died, and whose note was not."""
        noted = self._noted(machine)
        for record in self.read(machine):
            if record.id not in noted:
                fields = {"record": record.id, "run": record.run.key, "round": record.run.round, "noted": "afterwards"}
                self.journal(machine, "recorded", fields)

    def _noted(self, machine: str) -> frozenset[object]:
        try:
            lines = (self.folder / "journal" / f"{machine}.jsonl").read_bytes().splitlines()
        except FileNotFoundError:
            return frozenset()
        found = set()
        for line in lines:
            try:
                event = loads(line)
            except JsonError:
                continue
            if isinstance(event, dict) and event.get("event") == "recorded":
                found.add(event.get("record"))
        return frozenset(found)

    def journal(self, machine: str, event: str, fields: Mapping[str, object]) -> None:
        """Note a change of state, before its side effect.

        Raises:
            MachineError: it cannot be written.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = canonical({"at_utc": now, "event": event, **self.redaction.json(fields)})
        append_line(self.folder / "journal" / f"{machine}.jsonl", line)

    def write_session(self, session: Session) -> None:
        """Keep the facts of a start.

        Raises:
            MachineError: they cannot be written.
        """
        write_session(self.folder, session, self.redaction)

    def session_sha256(self, session: Session) -> str:
        """The hash that a session will have once it is written."""
        return str(stored(session, self.redaction)["content_sha256"])

    def write_matrix(self, data: bytes) -> None:
        """Keep a copy of the matrix file, so that the folder can be understood by itself.

        Raises:
            MachineError: it cannot be written.
        """
        write_whole(self.folder / "matrix.yaml", data)

    def archive(self, machine: str) -> Path | None:
        """Move what was measured on a machine aside, for a fresh start. Nothing is deleted.

        Returns:
            The folder it was moved to; None where there was nothing.
        """
        moved = [
            path
            for pattern in (
                f"records/{machine}.jsonl",
                f"journal/{machine}.jsonl",
                f"records/{machine}.torn*",
                f"journal/{machine}.torn*",
                f"sessions/{machine}-????????T??????Z-??????.json",
            )
            for path in sorted(self.folder.glob(pattern))
        ]
        self._taken.pop(machine, None)
        if not moved:
            return None
        target = self.folder / "archive" / f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
        self.journal(machine, "archiving", {"to": target.name})
        for path in moved:
            place = target / path.relative_to(self.folder)
            make_folder(place.parent)
            path.replace(place)
        return target
