"""Drift over the rounds: the test of Mann and Kendall with the slope of Theil and Sen. No distribution is assumed."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from statistics import median

FEWEST = 4
"""Below, even a steady rise has a probability of more than 5 %: 2/4! = 8 %, 2/3! = 33 %."""
LEVEL = 0.05
EXACT = 60
"""Different values up to which the probability is counted out: with as many the normal one is off by 0.002 at most, and
counting takes the third power of how many there are."""
SHARE = 0.01
"""A change of less than 1 % from the first round to the last is not worth a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """How values change with their place.

    Attributes:
        slope: median change from one value to the next, in the unit of the values.
        change: of the whole series along that slope, as a share of its median.
        p: two-sided probability of at least so much order where there is none; exact where no values are equal, and
            they are at most 60.
    """

    slope: float
    change: float
    p: float

    @property
    def drifts(self) -> bool:
        """Whether there is a drift that matters: unlikely by chance, and more than 1 % from first to last."""
        return self.p <= LEVEL and abs(self.change) > SHARE


def trend(values: Sequence[float]) -> Trend | None:
    """The trend of values in the order in which they were measured; None below four, or with a median of 0."""
    middle = median(values) if values else 0
    if len(values) < FEWEST or not middle:
        return None
    return _along(values, middle, _mann_kendall(values))


def drift(values: Sequence[float]) -> Trend | None:
    """The trend of values that drift; None where they do not, which is known before the slope is."""
    middle = median(values) if values else 0
    if len(values) < FEWEST or not middle or (p := _mann_kendall(values)) > LEVEL:
        return None
    found = _along(values, middle, p)
    return found if found.drifts else None


def _along(values: Sequence[float], middle: float, p: float) -> Trend:
    slope = median((values[j] - values[i]) / (j - i) for i, j in combinations(range(len(values)), 2))
    return Trend(slope=slope, change=slope * (len(values) - 1) / middle, p=p)


def _mann_kendall(values: Sequence[float]) -> float:
    count = len(values)
    score, before = 0, list[float]()
    for value in values:
        # Of those before it: how many are smaller, less how many are larger.
        place = bisect_left(before, value)
        score += place - (len(before) - bisect_right(before, value))
        before.insert(place, value)
    if len(set(values)) == count <= EXACT:
        # The score is pairs - 2 x inversions, whose distribution over all orders is known.
        pairs = count * (count - 1) // 2
        fewest = (pairs - abs(score)) // 2
        return min(1.0, 2 * sum(_inversions(count)[: fewest + 1]) / math.factorial(count))
    ties = [values.count(value) for value in set(values)]
    spread = (count * (count - 1) * (2 * count + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    if spread <= 0 or score == 0:
        return 1.0
    return math.erfc((abs(score) - 1) / math.sqrt(spread) / math.sqrt(2))


@cache
def _inversions(count: int) -> tuple[int, ...]:
    """How many orders of so many different values have 0, 1, 2, ... inversions."""
    ways = [1]
    for size in range(2, count + 1):
        # Each of the last `size` ways goes on to this number of inversions.
        padded, total, longer = ways + [0] * (size - 1), 0, list[int]()
        for place, number in enumerate(padded):
            total += number - (padded[place - size] if place >= size else 0)
            longer.append(total)
        ways = longer
    return tuple(ways)
