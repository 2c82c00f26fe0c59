"""What is known of each cell from its records: those of earlier starts, and those of this one.

Strategies decide by it what to run next; progress is read from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.stats.intervals import run_value
from harness.values.bench import LogFacts
from harness.values.cell import Cell
from harness.values.failure import RETRIED_ON_RESUME, Failure, Phase, Reason
from harness.values.measurement import BATCHED, LATENCY
from harness.values.plan import repeat_of
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

_NO_ROOM = frozenset({Reason.OOM_DEVICE, Reason.OOM_HOST, Reason.CONTEXT})

OUT_OF_ROOM = frozenset({"swap", "major_faults", "refaults"})
"""Rules of validity that a run breaks whose memory does not hold what it works with."""


def failures(record: Record) -> dict[str, Failure]:
    """The failures of a record by cell id."""
    return {outcome.cell: outcome.failure for outcome in record.outcomes if outcome.failure is not None}


def left_over(cells: tuple[Cell, ...], failed: Mapping[str, Failure]) -> tuple[Cell, ...]:
    """The cells after the one that ended the run: they never had their turn.

    The first cell without a row is the one that ended it; one that was refused by its proof has a row. Of a program
    that is started with the context of the largest of them, and had no memory for it, that is the largest. A failure
    of the whole run, and output that cannot be read, leave nothing over.
    """
    for index, cell in enumerate(cells):
        failure = failed.get(cell.id)
        if failure is None or failure.phase is Phase.PROOF:
            continue
        if failure.phase in {Phase.READ, Phase.PREPARE, Phase.START} or failure.reason in WHOLE_RUN:
            return ()
        if index == 0 and len(failed) == len(cells) and _had_no_room(cell, failure):
            largest = max(cells, key=lambda c: c.test.n_context)
            return tuple(c for c in cells if c is not largest)
        return tuple(c for c in cells[index + 1 :] if c.id in failed and failed[c.id].phase is not Phase.PROOF)
    return ()


def _had_no_room(cell: Cell, failure: Failure) -> bool:
    """Whether the context that a program makes once for all its cells did not fit."""
    return cell.test.measurement in {LATENCY, BATCHED} and failure.reason in _NO_ROOM


@dataclass(slots=True)
class History:
    """The latest of everything, by run key, cell id and round.

    Attributes:
        outcomes: the latest outcome by (run key, cell id, round); none of a cell that never had its turn.
        attempts: the last attempt by (run key, round).
        durations_s: of the last run by (run key, cell id, round), as the container took it.
        records: how many were taken. containers_s: how long their containers took in all.
        last_round: the highest round that was begun.
        placed: what the log of the warm-up says of each run key.
        repeats: in which repetition of its round the latest outcome was made.
        invalid: the latest outcomes that are of an invalid run: they have a number that does not count.
        thrashed: the latest outcomes of runs whose memory did not stay in memory.
        spoiled: by round and run key, the repetitions of the round that have an invalid run of this key.
        keys: the run keys of the plan: only their invalid runs spoil a round. None for all.
        tried: what this start has had its turn with, whatever came of it: it is not tried again before the next.
    """

    outcomes: dict[tuple[str, str, int], Outcome] = field(default_factory=dict)
    attempts: dict[tuple[str, int], int] = field(default_factory=dict)
    durations_s: dict[tuple[str, str, int], float] = field(default_factory=dict)
    placed: dict[str, LogFacts] = field(default_factory=dict)
    repeats: dict[tuple[str, str, int], int] = field(default_factory=dict)
    invalid: set[tuple[str, str, int]] = field(default_factory=set)
    thrashed: set[tuple[str, str, int]] = field(default_factory=set)
    spoiled: dict[int, dict[str, set[int]]] = field(default_factory=dict)
    keys: frozenset[str] | None = None
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
        if record.log is not None:
            self.placed[run.key] = record.log
        for cell in run.cells:
            # A depth has a container of its own under the key of the others.
            self.durations_s[run.key, cell.id, run.round] = record.duration_ns / 1e9
        if record.invalid and run.round > 0:
            self.spoiled.setdefault(run.round, {}).setdefault(run.key, set()).add(run.repeat)
        waiting = {cell.id for cell in left_over(run.cells, failures(record))}
        for outcome in record.outcomes:
            if outcome.cell not in waiting:
                self._remember((run.key, outcome.cell, run.round), outcome, record)
                if not earlier:
                    self.tried.add((run.key, outcome.cell, run.round))

    def _remember(self, place: tuple[str, str, int], outcome: Outcome, record: Record) -> None:
        self.outcomes[place] = outcome
        self.repeats[place] = record.run.repeat
        self.invalid.discard(place)
        self.thrashed.discard(place)
        if record.invalid:
            self.invalid.add(place)
        if any(broken.rule in OUT_OF_ROOM for broken in record.invalid):
            self.thrashed.add(place)

    def repeat(self, round_: int) -> int:
        """Which repetition of a round is to be made or counted: it is made again whole where a run of it is invalid."""
        by_key = self.spoiled.get(round_, {})
        wanted = (found for key, found in by_key.items() if self.keys is None or key in self.keys)
        return repeat_of(set[int]().union(*wanted))

    def settled(self, key: str, cell: str, round_: int) -> bool:
        """Whether there is nothing left to do for this cell in this round, at least in this start."""
        outcome = self.outcomes.get((key, cell, round_))
        if outcome is None:
            return False
        if self._outdated(key, cell, round_):
            return False
        return outcome.failure is None or not _passing(outcome.failure) or (key, cell, round_) in self.tried

    def _outdated(self, key: str, cell: str, round_: int) -> bool:
        """Whether the latest outcome is of a repetition of the round that is made again: all but lasting failures."""
        made = self.repeats.get((key, cell, round_), 0)
        return made < self.repeat(round_) and not self.lasting_failure(key, cell, round_)

    def lasting_failure(self, key: str, cell: str, round_: int) -> Failure | None:
        """Why the cell has no number in this round, where that does not go away by itself."""
        outcome = self.outcomes.get((key, cell, round_))
        return outcome.failure if outcome and outcome.failure and not _passing(outcome.failure) else None

    def ok(self, key: str, cell: str, round_: int) -> bool:
        """Whether the cell has a number in this round that counts."""
        place = (key, cell, round_)
        outcome = self.outcomes.get(place)
        if outcome is None or not outcome.ok:
            return False
        return round_ == 0 or (place not in self.invalid and self.repeats.get(place, 0) == self.repeat(round_))

    def by_round(self, key: str, cell: Cell) -> dict[int, float | None]:
        """The run values of a cell in ns per token by counted round; None where a round was made without a number.

        A round that is to be made again, since a run of it was invalid, is not in it until then.
        """
        found: dict[int, float | None] = {}
        for round_ in range(1, self.last_round + 1):
            outcome = self.outcomes.get((key, cell.id, round_))
            if outcome is not None and not self._outdated(key, cell.id, round_):
                counts = self.ok(key, cell.id, round_)
                found[round_] = run_value(outcome.samples_ns, n_tokens=cell.test.n_tokens) if counts else None
        return found


def _passing(failure: Failure) -> bool:
    return failure.reason in RETRIED_ON_RESUME
