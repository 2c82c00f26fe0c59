"""Records with only the fields that results are computed from, read in a fraction of the time that all of them take.

Every record is checked in full when it is written, imported or merged, and by `invoke verify`. Of a hundred thousand,
a report needs to know that none was changed since, which is its hash, and that what it uses is what it should be.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.store.line_shapes import CELLS, ShapeError
from harness.store.quick_check import read_line, used_line
from harness.values.record import Outcome, Record, Run

_NOT_USED = ("container", "environment")
"""Parts of a record that nothing is computed from; nor is anything from its rows, and from how it ended."""


def read_used(line: bytes) -> Record:
    """The record of a line without its rows as printed, container, environment, diagnosis and how it ended.

    Raises:
        ValueError: it is no record that this program reads; the message says what is wrong with it.
    """
    found = used_line(line)
    if found is not None:
        try:
            return _record(found)
        except ShapeError:
            pass
    return _without_the_rest(read_line(line))


def _record(found: Any) -> Record:
    run = found.run
    parts = {name: read(bytes(getattr(found, name))) for name, read in found.PARTS if name not in _NOT_USED}
    return Record(
        id=found.id,
        protocol=found.protocol,
        matrix=found.matrix,
        matrix_sha256=found.matrix_sha256,
        machine=found.machine,
        session=found.session,
        run=Run(
            key=run.key,
            round=run.round,
            order=run.order,
            attempt=run.attempt,
            cells=CELLS(bytes(run.cells)),
            repeat=run.repeat,
        ),
        backend=found.backend,
        device=found.device,
        image=found.image,
        model_sha256=found.model_sha256,
        outcomes=tuple(_outcome(outcome) for outcome in found.outcomes),
        started_utc=found.started_utc,
        ended_utc=found.ended_utc,
        duration_ns=found.duration_ns,
        software=found.software,
        simulated=found.simulated,
        session_sha256=found.session_sha256,
        **parts,
    )


def _outcome(found: Any) -> Outcome:
    parts = {name: read(bytes(getattr(found, name))) for name, read in found.PARTS}
    return Outcome(cell=found.cell, samples_ns=found.samples_ns, **parts)


def _without_the_rest(record: Record) -> Record:
    outcomes = tuple(replace(outcome, row=None) for outcome in record.outcomes)
    ending: dict[str, Any] = {"exit_code": None, "kill_stage": None, "oom_killed": False, "load_before": None}
    return replace(record, outcomes=outcomes, environment={}, container={}, diagnosis="", **ending)
