"""What the telemetry of counted runs says of one cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.values.cell import Cell
from harness.values.record import DURING, Check, Outcome, Proof, Record
from harness.values.telemetry import LOAD, Trace, WindowSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The telemetry of one counted run within the timed part of a cell; `traces` say what could not be seen.

    Attributes:
        load: the window before the first test; None where there is none.
        alone: whether the cell is the only one of its run, so that the peak of the run is its own.
    """

    round: int
    traces: tuple[Trace, ...]
    summary: WindowSummary
    load: WindowSummary | None = None
    alone: bool = False


def observed(record: Record, cell: Cell) -> Observed | None:
    """What a counted run's telemetry says of the cell's timed part."""
    window = record.telemetry.window(cell.id) if record.telemetry else None
    if record.telemetry is None or window is None:
        return None
    return Observed(
        round=record.run.round,
        traces=record.telemetry.devices,
        summary=window,
        load=record.telemetry.window(LOAD),
        alone=len(record.run.cells) == 1,
    )


def merged_checks(looked_at: Outcome, counted: Sequence[Outcome]) -> tuple[Check, ...]:
    """The checks of the warm-up; of those that watch the device while it works, the weakest of the counted runs.

    The warm-up has one repetition only, which is too short for some of them.
    """
    if not any(check.name in DURING for check in looked_at.checks):
        return looked_at.checks
    weakest = (Proof.CONTRADICTED, Proof.UNOBSERVABLE, Proof.PROVEN)
    found = []
    for check in looked_at.checks:
        during = counted if check.name in DURING else ()
        seen = [c for outcome in during for c in outcome.checks if c.name == check.name]
        found.append(min(seen, key=lambda c: weakest.index(c.proof)) if seen else check)
    return tuple(found)
