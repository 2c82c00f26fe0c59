"""Where a series of values changes its level: ranks, permutations, binary segmentation. No distribution is assumed.

At each split the sum of the ranks before it is held against its expectation, in standard errors (Wilcoxon's rank sum);
the largest over all splits is the statistic, as in Pettitt, A. N. (1979), A non-parametric approach to the change-point
problem, Applied Statistics 28, 126-135, but standardized, so that a change near an end counts as much as one in the
middle. Its probability is that among random orders of the same values, so that having looked at every split is paid
for. Where it is at most 5 %, the series is cut there, and each part is looked at in the same way.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST = 8
"""Below, no change can be shown at 5 %: the best split of 7 values, 3 before 4, has 2 x 3! x 4! / 7! = 5.7 %."""
FEWEST_BESIDE = 3
"""Values on each side of a change: two at an end may as well be two bad days."""
LEVEL = 0.05
_ORDERS = 1999
"""Random orders: the smallest probability is 1 / 2000, and 5 % is known within 1 % (two standard errors)."""
_SEED = 20140405


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePoint:
    """A change of level.

    Attributes:
        at: index of the first value after it.
        p: probability of a split at least as clear in the part of the series that was looked at, where none is.
    """

    at: int
    p: float


def change_points(values: Sequence[float]) -> tuple[ChangePoint, ...]:
    """The changes of level in values in the order in which they were measured; the same values give the same answer.

    Args:
        values: one a day or a start: independent of each other apart from the level. Values of one start are not.
    """
    found: list[ChangePoint] = []
    todo = [(0, len(values))]
    while todo:
        start, end = todo.pop()
        change = _one(values[start:end])
        if change is not None:
            found.append(ChangePoint(at=start + change.at, p=change.p))
            todo += [(start, start + change.at), (start + change.at, end)]
    return tuple(sorted(found, key=lambda change: change.at))


def _one(values: Sequence[float]) -> ChangePoint | None:
    if len(values) < FEWEST:
        return None
    ranks = _ranks(values)
    seen, at = _clearest(ranks)
    # The order is our own: the generator of the rest of the program is not touched.
    generator = random.Random(_SEED)  # noqa: S311 - no secret
    shuffled = list(ranks)
    as_clear = 0
    for _ in range(_ORDERS):
        generator.shuffle(shuffled)
        as_clear += _clearest(shuffled)[0] >= seen * (1 - 1e-12)
    p = (1 + as_clear) / (1 + _ORDERS)
    return ChangePoint(at=at, p=p) if p <= LEVEL else None


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + 1 + end) / 2
        start = end
    return ranks


def _clearest(ranks: Sequence[float]) -> tuple[float, int]:
    """The largest standardized rank sum over all splits, and the index after its split."""
    count, total, best, at = len(ranks), 0.0, -1.0, 0
    for split in range(1, count - FEWEST_BESIDE + 1):
        total += ranks[split - 1]
        if split < FEWEST_BESIDE:
            continue
        away = abs(total - split * (count + 1) / 2) / math.sqrt(split * (count - split) * (count + 1) / 12)
        if away > best:
            best, at = away, split
    return best, at
