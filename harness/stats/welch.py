"""Two arms measured apart: on other days or other machines, where no round is common and nothing can be paired."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance

from harness.stats.verdicts import CONFIDENCE, Comparison

FEWEST = 2
"""One run has no scatter."""


def compare_apart(
    first_ns: Sequence[float], second_ns: Sequence[float], *, confidence: float = CONFIDENCE
) -> Comparison | None:
    """Compare run values (ns per token) by Welch's t on their logarithms.

    The scatter between runs of one start is all that it knows: what differs from start to start, or from one machine
    to another of its kind, is not in the interval.

    Returns:
        None where an arm has fewer than two runs: the verdict is *inconclusive*.

    Raises:
        ValueError: a value is not positive.
    """
    a, b = [math.log(value) for value in first_ns], [math.log(value) for value in second_ns]
    if min(len(a), len(b)) < FEWEST:
        return None
    parts = (variance(a) / len(a), variance(b) / len(b))
    total = sum(parts)
    # Welch and Satterthwaite; where nothing scatters, any number of degrees gives the same interval.
    weights = parts[0] ** 2 / (len(a) - 1) + parts[1] ** 2 / (len(b) - 1)
    return Comparison(
        log_ratio=fmean(a) - fmean(b),
        standard_error=math.sqrt(total),
        degrees=total**2 / weights if weights else len(a) + len(b) - 2,
        rounds=min(len(a), len(b)),
        paired=False,
        confidence=confidence,
    )
