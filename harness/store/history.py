"""What is known of each cell from its records: those of earlier starts, and those of this one.

Strategies decide by it what to run next; progress is read from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.stats.intervals import run_value
from harness.values.cell import Cell
from harness.values.failure import RETRIED_ON_RESUME, Failure, Phase, Reason
from harness.values.record import Outcome, Record

WHOLE_RUN = frozenset(
    {
        Reason.LOAD,
        Reason.UNSUPPORTED,
        Reason.IMAGE,
        Reason.ENGINE,
        Reason.NO_DEVICE,
        Reason.PERMISSION,
        Reason.DRIVER_TOO_OLD,
        Reason.INTERRUPTED,
    }
)
"""Reasons that concern the whole run: what is left of it would fail in the same way."""


def failures(record: Record) -> dict[str, Failure]:
    """The failures of a record by cell id."""
    return {outcome.cell: outcome.failure for outcome in record.outcomes if outcome.failure is not None}


def left_over(cells: tuple[Cell, ...], failed: Mapping[str, Failure]) -> tuple[Cell, ...]:
    """The cells after the one that ended the run: they never had their turn.

    The first cell without a row is the one that ended it; one that was refused by its proof has a row. A failure of
    the whole run, and output that cannot be read, leave nothing over.
    """
    for index, cell in enumerate(cells):
        failure = failed.get(cell.id)
        if failure is None or failure.phase is Phase.PROOF:
            continue
        if failure.phase in {Phase.READ, Phase.PREPARE, Phase.START} or failure.reason in WHOLE_RUN:
            return ()
        return tuple(c for c in cells[index + 1 :] if c.id in failed and failed[c.id].phase is not Phase.PROOF)
    return ()


@dataclass(slots=True)
class History:
    """The latest of everything, by run key, cell id and round.

    Attributes:
        outcomes: the latest outcome by (run key, cell id, round); none of a cell that never had its turn.
        attempts: the last attempt by (run key, round).
        durations_s: of the last run by (run key, round), as the container took it.
        records: how many were taken. containers_s: how long their containers took in all.
        last_round: the highest round that was begun.
        tried: what this start has had its turn with, whatever came of it: it is not tried again before the next.
    """

    outcomes: dict[tuple[str, str, int], Outcome] = field(default_factory=dict)
    attempts: dict[tuple[str, int], int] = field(default_factory=dict)
    durations_s: dict[tuple[str, int], float] = field(default_factory=dict)
    tried: set[tuple[str, str, int]] = field(default_factory=set)
    records: int = 0
    containers_s: float = 0.0
    last_round: int = 0

    def take(self, record: Record, *, earlier: bool = False) -> None:
        """Remember a record, later ones over earlier ones; `earlier` ones are of another start."""
        run = record.run
        self.records += 1
        self.containers_s += record.duration_ns / 1e9
        self.last_round = max(self.last_round, run.round)
        self.attempts[run.key, run.round] = max(run.attempt, self.attempts.get((run.key, run.round), 0))
        self.durations_s[run.key, run.round] = record.duration_ns / 1e9
        waiting = {cell.id for cell in left_over(run.cells, failures(record))}
        for outcome in record.outcomes:
            if outcome.cell not in waiting:
                self.outcomes[run.key, outcome.cell, run.round] = outcome
                if not earlier:
                    self.tried.add((run.key, outcome.cell, run.round))

    def settled(self, key: str, cell: str, round_: int) -> bool:
        """Whether there is nothing left to do for this cell in this round, at least in this start."""
        outcome = self.outcomes.get((key, cell, round_))
        if outcome is None:
            return False
        return outcome.failure is None or not _passing(outcome.failure) or (key, cell, round_) in self.tried

    def lasting_failure(self, key: str, cell: str, round_: int) -> Failure | None:
        """Why the cell has no number in this round, where that does not go away by itself."""
        outcome = self.outcomes.get((key, cell, round_))
        return outcome.failure if outcome and outcome.failure and not _passing(outcome.failure) else None

    def ok(self, key: str, cell: str, round_: int) -> bool:
        """Whether the cell has a number in this round."""
        outcome = self.outcomes.get((key, cell, round_))
        return outcome is not None and outcome.ok

    def by_round(self, key: str, cell: Cell) -> dict[int, float | None]:
        """The run values of a cell in ns per token by counted round; None where a round was made without a number."""
        found: dict[int, float | None] = {}
        for round_ in range(1, self.last_round + 1):
            outcome = self.outcomes.get((key, cell.id, round_))
            if outcome is not None:
                found[round_] = run_value(outcome.samples_ns, n_tokens=cell.test.n_tokens) if outcome.ok else None
        return found


def _passing(failure: Failure) -> bool:
    return failure.reason in RETRIED_ON_RESUME
