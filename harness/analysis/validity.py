"""Which runs count: those of the last repetition of their round, and of these the valid ones. All others are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.values.failure import RETRIED_ON_RESUME
from harness.values.plan import repeat_of
from harness.values.record import Outcome, Record, Violation

Placed = tuple[Record, Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidRun:
    """A run of a cell that broke a rule of validity: kept, and not counted.

    Attributes:
        round: its round. repeat: the repetition of that round, 0 for the first.
        rules: what it broke.
        made_again: whether the round was repeated because of it; else it leaves a hole.
    """

    round: int
    repeat: int
    rules: tuple[Violation, ...]
    made_again: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """The outcomes of one cell.

    Attributes:
        by_round: what counts, by round, 0 being the warm-up.
        invalid: what broke a rule.
        set_aside: valid runs of rounds that were repeated because of another run.
    """

    by_round: Mapping[int, Placed]
    invalid: tuple[InvalidRun, ...] = ()
    set_aside: int = 0


def wanted_repeats(found: Iterable[Sequence[Placed]]) -> dict[int, int]:
    """Which repetition of each round counts, by all cells of the plan: a round stands or falls as a whole."""
    spoiled: dict[int, set[int]] = {}
    for placed in found:
        for record, _ in placed:
            if record.invalid and record.run.round > 0:
                spoiled.setdefault(record.run.round, set()).add(record.run.repeat)
    return {round_: repeat_of(repeats) for round_, repeats in spoiled.items()}


def pick(placed: Sequence[Placed], wanted: Mapping[int, int]) -> Picked:
    """What counts of a cell.

    Args:
        placed: its records in the order in which they were made; a later one takes the place of an earlier.
        wanted: by round, the repetition that counts; 0 where a round is not named.
    """
    by_round: dict[int, Placed] = {}
    invalid: list[InvalidRun] = []
    set_aside = 0
    for record, outcome in placed:
        run = record.run
        counts = run.round == 0 or run.repeat == wanted.get(run.round, 0)
        if record.invalid and run.round > 0:
            rule = InvalidRun(round=run.round, repeat=run.repeat, rules=record.invalid, made_again=not counts)
            invalid.append(rule)
        if outcome.failure is not None and (counts or outcome.failure.reason not in RETRIED_ON_RESUME):
            # What failed for good in an earlier repetition is not tried again in a later one.
            by_round[run.round] = (record, outcome)
        elif counts and (run.round == 0 or not record.invalid):
            by_round[run.round] = (record, outcome)
        elif not record.invalid:
            set_aside += 1
    return Picked(by_round=by_round, invalid=tuple(invalid), set_aside=set_aside)
