"""On which side of a limit does a ratio of speeds lie? Asked by its whole interval, several times while rounds come in.

A search over builds asks so in every step, and one wrong answer leads it astray for good. So the level is shared out
among its steps (Bonferroni), and within a step among the looks of `stats/until.py` (Pocock). An answer is wrong only
where the interval misses on one side, which half of the level is for: with 5 % for a whole search at most about 2.5 of
100 take a wrong turn anywhere.
"""

from __future__ import annotations

from enum import StrEnum

from harness.stats.until import LOOK_LEVEL
from harness.stats.verdicts import Comparison


class Side(StrEnum):
    """What a build is, held against the limit."""

    FINE = "fine"
    SLOW = "slow"
    UNDECIDED = "undecided"


def confidence_of_looks(steps: int) -> float:
    """The confidence of each interval of a search that takes `steps` steps at most.

    Raises:
        ValueError: there is no step.
    """
    if steps < 1:
        raise ValueError("a search has at least one step")
    return 1 - LOOK_LEVEL / steps


def side_of(comparison: Comparison | None, limit: float) -> Side:
    """Where the second arm's speed over the first's lies, by the whole interval.

    Args:
        limit: a ratio of speeds: what is certainly below is slow, what is certainly above is fine.
    """
    if comparison is None:
        return Side.UNDECIDED
    if comparison.high < limit:
        return Side.SLOW
    return Side.FINE if comparison.low > limit else Side.UNDECIDED


def well_beyond(comparison: Comparison | None) -> bool:
    """Whether the second arm is slower, and surely by more than half of what is estimated.

    Then a build that is as slow as it, measured as often, can be told from one that is not by a limit in the middle.
    """
    return comparison is not None and comparison.high < halfway(comparison) < 1


def halfway(comparison: Comparison) -> float:
    """The ratio in the middle between equal speed and the estimate, on the log scale."""
    return float(comparison.ratio**0.5)
