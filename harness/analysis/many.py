"""The results of many machines: read side by side, and kept without what only a row for each cell would show.

A record takes twenty kilobytes of memory: checks, telemetry, the row as printed. A hundred thousand of them are more
than a machine that writes a report has. Of a large folder the records of each machine are read by a process of its own,
which hands over the results and their part of the page, and keeps both for the next report.
"""

from __future__ import annotations

import gc
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.kept_results import Page, ResultShelf, encoded, pack, program_sha256, unpack
from harness.analysis.results import DAMAGED, MachineResults, no_records, read_machine
from harness.analysis.table import rows_of
from harness.errors import InputError
from harness.store.quick_check import collector_paused
from harness.store.records import RecordStore
from harness.store.reproductions import Reproduction
from harness.store.sessions import Session, read_sessions
from harness.store.used_fields import read_used
from harness.values.result_row import ResultRow


@dataclass(frozen=True, slots=True, kw_only=True)
class PageMaker:
    """What the page of a large report holds.

    Attributes:
        of: some machines; briefly, where there are too many runs for their samples to be on the page. Other processes
            call it, so it is a function of a module.
        join: all of them, one after the other.
    """

    of: Callable[[Sequence[ResultRow], Sequence[MachineResults], bool], Page]
    join: Callable[[Iterable[Page]], Page]


LARGE = 2_000
"""Cells from which on no person reads a row for each, and no site shows a page of them: GitHub ends at half a
megabyte."""
MANY_RUNS = 400_000
"""Runs of cells from which on a page leaves their samples out: with five each it would be larger than 17 MB."""
_PARALLEL_BYTES = 16 * 1024**2
"""From this size on, machines are read side by side: starting processes takes a while too."""
_AHEAD = 3
"""Machines for each process that are begun before the first of them is taken."""
_BLOCK_BYTES = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyResults:
    """The results of a folder.

    Attributes:
        machines: of a large folder without what only the sections of single cells need.
        rows: their table; none of a large folder, of which the page alone shows them.
        page: of a large folder what the page holds. brief: which is without samples.
    """

    machines: tuple[MachineResults, ...]
    rows: tuple[ResultRow, ...]
    page: Page | None = None
    large: bool = False
    brief: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    folder: Path
    simulated: bool
    machine: str
    sessions: Mapping[str, Session]
    report: str
    reproductions: tuple[Reproduction, ...]
    shelf: ResultShelf
    page_of: Callable[[Sequence[ResultRow], Sequence[MachineResults], bool], Page]
    brief: bool


def read_many(
    folder: Path,
    *,
    report: str,
    pages: PageMaker,
    reproductions: Sequence[Reproduction] = (),
    simulated: bool = False,
    cache: Path | None = None,
) -> ManyResults:
    """What a report is made of.

    Args:
        cache: of this program: what a large folder's machines came to is kept there, and used again while neither their
            records nor this program change. None: everything is computed from the records.

    Raises:
        InputError: there are no records, or they are damaged.
    """
    store, sessions = RecordStore(folder, simulated=simulated), read_sessions(folder)
    by_machine: dict[str, dict[str, Session]] = {}
    for key, session in sessions.items():
        by_machine.setdefault(session.machine.machine, {})[key] = session
    rounds = _planned(sessions.values())
    large, brief = len(rounds) >= LARGE, sum(rounds.values()) > MANY_RUNS
    shelf = ResultShelf(cache / "results" if cache else None)
    jobs = [
        _Job(
            folder=folder, simulated=simulated, machine=name, sessions=by_machine.get(name, {}), report=report,
            reproductions=tuple(reproductions), page_of=pages.of, brief=brief, shelf=shelf,
        )
        for name in store.machines()
    ]  # fmt: skip
    if not jobs:
        raise no_records(folder)
    if large:
        size = sum(store.path(job.machine).stat().st_size for job in jobs)
        machines: list[MachineResults] = []

        def pages_of() -> Iterator[Page]:
            for job, data in zip(jobs, _each(jobs, size=size), strict=True):
                own, page = unpack(data, job.sessions)
                machines.extend(own)
                yield page

        page = pages.join(pages_of())
        return ManyResults(machines=tuple(machines), rows=(), page=page, large=True, brief=brief)
    with collector_paused():
        read = [_read(job) for job in jobs]
    return ManyResults(
        machines=tuple(result for own, _ in read for result in own),
        rows=tuple(row for _, rows in read for row in rows),
    )


def _planned(sessions: Iterable[Session]) -> dict[tuple[str, str, str], int]:
    """How many rounds were planned of each cell, on all machines."""
    return {(s.machine.machine, s.matrix, cell.id): s.rounds for s in sessions for cell in s.cells}


def _each(jobs: Sequence[_Job], *, size: int) -> Iterator[bytes]:
    workers = min(os.cpu_count() or 1, len(jobs))
    if size < _PARALLEL_BYTES or workers < 2:  # noqa: PLR2004 - one is not side by side
        yield from map(_packed, jobs)
        return
    # The processes end with the last machine: what they leave needs no search for cycles.
    with ProcessPoolExecutor(workers, initializer=_begin, initargs=(tuple(jobs),)) as pool:
        # Not all at once: what is done waits in memory for those before it.
        ahead = deque(pool.submit(_packed_at, place) for place in range(min(len(jobs), _AHEAD * workers)))
        for place in range(len(jobs)):
            yield ahead.popleft().result()
            if place + _AHEAD * workers < len(jobs):
                ahead.append(pool.submit(_packed_at, place + _AHEAD * workers))


_JOBS: list[_Job] = []
"""In a process beside others: what there is to do. It has them from the start: to be sent each takes long."""


def _begin(jobs: Sequence[_Job]) -> None:
    gc.disable()
    _JOBS[:] = jobs


def _packed_at(place: int) -> bytes:
    return _packed(_JOBS[place])


def _read(job: _Job) -> tuple[tuple[MachineResults, ...], tuple[ResultRow, ...]]:
    machines = read_machine(RecordStore(job.folder, simulated=job.simulated), job.machine, job.sessions)
    return machines, rows_of(job.report, machines, job.reproductions)


def _packed(job: _Job) -> bytes:
    """What a machine came to: as an earlier report kept it where nothing changed since, else from its records."""
    store = RecordStore(job.folder, simulated=job.simulated)
    place = hashlib.sha256(f"{job.folder.resolve()}\0{job.machine}".encode()).hexdigest()
    key = _key(job, store.path(job.machine)) if job.shelf.folder else ""
    found = job.shelf.find(place, key)
    if found is None:
        with collector_paused():
            machines = read_machine(store, job.machine, job.sessions, line=read_used)
            rows = rows_of(job.report, machines, job.reproductions, within=False)
            try:
                found = pack(machines, job.page_of(rows, machines, job.brief))
            except ValueError as error:
                raise InputError(str(error), where=str(store.path(job.machine)), remedy=DAMAGED) from error
        job.shelf.keep(place, key, found)
    return found


def _key(job: _Job, path: Path) -> str:
    """Everything that results depend on, hashed."""
    own = tuple(r for r in job.reproductions if r.first_machine == job.machine)
    said = (program_sha256(), job.report, job.simulated, job.brief, tuple(job.sessions.values()), own)
    found = hashlib.sha256(encoded(said))
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            found.update(block)
    return found.hexdigest()
