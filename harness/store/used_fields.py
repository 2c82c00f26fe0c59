"""Records with only the fields that results are computed from, read in a fraction of the time that all of them take.

Every record is checked in full when it is written, imported or merged, and by `invoke verify`. Of a hundred thousand,
a report needs to know that none was changed since, which is its hash, and that what it uses is what it should be.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from harness.store.line_shapes import CELLS, LARGE_PART, ShapeError
from harness.store.quick_check import read_line, used_line
from harness.store.telemetry_summaries import read_summaries
from harness.values.record import Record

NOT_USED = ("container", "environment")
"""Parts of a record that nothing is computed from; nor is anything from its rows."""


def read_used(line: bytes) -> Record:
    """The record of a line without its rows as printed, container and environment.

    Returns:
        Something with the fields of a record. It is none of the dataclass: to make one takes as long as all the rest.

    Raises:
        ValueError: it is no record that this program reads; the message says what is wrong with it.
    """
    found = used_line(line)
    if found is not None:
        try:
            return _filled(found)
        except ShapeError:
            pass
    return _without_the_rest(read_line(line))


def _filled(found: Any) -> Record:
    """The line with the values of its parts instead of their bytes."""
    for name, read in found.PARTS:
        data = bytes(getattr(found, name))
        if name == "telemetry" and len(data) >= LARGE_PART:
            setattr(found, name, read_summaries(data))
        else:
            setattr(found, name, read(data) if name not in NOT_USED else {})
    run = found.run
    run.cells = CELLS(bytes(run.cells))
    for outcome in found.outcomes:
        for name, read in outcome.PARTS:
            setattr(outcome, name, read(bytes(getattr(outcome, name))))
        outcome.row = None
    return cast("Record", found)


def _without_the_rest(record: Record) -> Record:
    outcomes = tuple(replace(outcome, row=None) for outcome in record.outcomes)
    return replace(record, outcomes=outcomes, environment={}, container={})
