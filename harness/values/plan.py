"""What is to be run: the groups of a matrix, and the next runs as a strategy wants them."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from harness.values.cell import Cell
from harness.values.failure import Failure

MAX_REPEATS = 3
"""A round with an invalid run is made again whole so often at most. All are recorded, the last one counts."""


def repeat_of(spoiled: AbstractSet[int]) -> int:
    """Which repetition of a round is the one to be made or counted, 0 for the first.

    Args:
        spoiled: the repetitions that have an invalid run.
    """
    return next((repeat for repeat in range(MAX_REPEATS) if repeat not in spoiled), MAX_REPEATS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The cells that share one loaded model, with the key of their runs; a failure where they cannot be run at all."""

    cells: tuple[Cell, ...]
    key: str
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A run that a strategy wants.

    Attributes:
        key: of the group. round: 0 is the warm-up. order: place within the round, 0-based.
        cells: the cells of the group that are still to be measured in this round.
        repeat: how often the whole round was made before, since a run of it was invalid.
        failure: why no container is started for them: it is recorded as what became of them.
    """

    key: str
    round: int
    order: int
    cells: tuple[Cell, ...]
    failure: Failure | None = None
    repeat: int = 0
