"""The results of many machines: read side by side, and kept without what only a row for each cell would show.

A record takes twenty kilobytes of memory: checks, telemetry, the row as printed. A hundred thousand of them are more
than a machine that writes a report has. Of a large folder the records of each machine are read by a process of its own,
which hands over the results, their rows of the table, and of each record when it was made and what its gate said.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from harness.analysis.results import MachineResults, no_records, read_machine
from harness.analysis.table import rows_of
from harness.store.quick_check import collector_paused
from harness.store.records import RecordStore
from harness.store.reproductions import Reproduction
from harness.store.sessions import Session, read_sessions
from harness.values.record import Record
from harness.values.result_row import ResultRow

LARGE = 2_000
"""Cells from which on no person reads a row for each, and no site shows a page of them: GitHub ends at half a
megabyte."""
_PARALLEL_BYTES = 16 * 1024**2
"""From this size on, machines are read side by side: starting processes takes a while too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyResults:
    """The results of a folder and their table. `large`: without what only the sections of single cells need."""

    machines: tuple[MachineResults, ...]
    rows: tuple[ResultRow, ...]
    large: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    folder: Path
    simulated: bool
    machine: str
    sessions: Mapping[str, Session]
    report: str
    reproductions: tuple[Reproduction, ...]
    large: bool


def read_many(
    folder: Path, *, report: str, reproductions: Sequence[Reproduction] = (), simulated: bool = False
) -> ManyResults:
    """What a report is made of.

    Raises:
        InputError: there are no records, or they are damaged.
    """
    store, sessions = RecordStore(folder, simulated=simulated), read_sessions(folder)
    by_machine: dict[str, dict[str, Session]] = {}
    for key, session in sessions.items():
        by_machine.setdefault(session.machine.machine, {})[key] = session
    large = _cells(sessions.values()) >= LARGE
    jobs = [
        _Job(
            folder=folder, simulated=simulated, machine=name, sessions=by_machine.get(name, {}), report=report,
            reproductions=tuple(reproductions), large=large,
        )
        for name in store.machines()
    ]  # fmt: skip
    if not jobs:
        raise no_records(folder)
    done = list(_each(jobs, size=sum(store.path(job.machine).stat().st_size for job in jobs)))
    return ManyResults(
        machines=tuple(result for machines, _ in done for result in machines),
        rows=tuple(row for _, rows in done for row in rows),
        large=large,
    )


def _cells(sessions: Iterable[Session]) -> int:
    """How many cells were planned, on all machines together."""
    return len({(s.machine.machine, s.matrix, cell.id) for s in sessions for cell in s.cells})


def _each(jobs: Sequence[_Job], *, size: int) -> Iterator[tuple[tuple[MachineResults, ...], tuple[ResultRow, ...]]]:
    workers = min(os.cpu_count() or 1, len(jobs))
    if size < _PARALLEL_BYTES or workers < 2:  # noqa: PLR2004 - one is not side by side
        yield from map(_read, jobs)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(_read, jobs)


def _read(job: _Job) -> tuple[tuple[MachineResults, ...], tuple[ResultRow, ...]]:
    store = RecordStore(job.folder, simulated=job.simulated)
    with collector_paused():
        machines = read_machine(store, job.machine, job.sessions)
        rows = rows_of(job.report, machines, job.reproductions)
        return (tuple(_lightened(machine) for machine in machines) if job.large else machines), rows


def _lightened(machine: MachineResults) -> MachineResults:
    cells = tuple(replace(cell, observed=(), log=None, argv=()) for cell in machine.cells)
    return replace(machine, cells=cells, records=tuple(_stub(record) for record in machine.records))


def _stub(record: Record) -> Record:
    """When it was made, whether it counts, and what its gate said."""
    run = replace(record.run, cells=())
    return replace(
        record, run=run, outcomes=(), argv=(), environment={}, container={}, log=None, telemetry=None, diagnosis=""
    )
