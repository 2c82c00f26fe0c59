"""Two arms measured in the same rounds: how much faster is one, and can that be said at all?

The per-round log ratio takes out what both arms share (a warmer room, another program); its mean with the paired t
interval is calibrated at every number of rounds. The sign interval beside it assumes no distribution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from harness.stats.intervals import Interval, median_interval
from harness.stats.verdicts import CONFIDENCE, Comparison

FEWEST = 2
"""One pair has no scatter."""


def log_ratios(first_ns: Sequence[float], second_ns: Sequence[float]) -> list[float]:
    """Of the speeds, second over first, by pairs.

    Raises:
        ValueError: the arms differ in length, or a value is not positive.
    """
    return [math.log(a) - math.log(b) for a, b in zip(first_ns, second_ns, strict=True)]


def compare_paired(
    first_ns: Sequence[float], second_ns: Sequence[float], *, confidence: float = CONFIDENCE
) -> Comparison | None:
    """Compare run values (ns per token) of two arms, pair by pair of the same round.

    Returns:
        None where there are fewer than two pairs: the verdict is *inconclusive*.

    Raises:
        ValueError: the arms differ in length, or a value is not positive.
    """
    ratios = log_ratios(first_ns, second_ns)
    if len(ratios) < FEWEST:
        return None
    return Comparison(
        log_ratio=fmean(ratios),
        standard_error=stdev(ratios) / math.sqrt(len(ratios)),
        degrees=len(ratios) - 1,
        rounds=len(ratios),
        confidence=confidence,
    )


def sign_interval(
    first_ns: Sequence[float], second_ns: Sequence[float], *, confidence: float = CONFIDENCE
) -> Interval | None:
    """The order-statistic interval of the median ratio of speeds: the companion that assumes no distribution.

    Returns:
        None below six pairs for 95 %, where none exists.
    """
    return median_interval([math.exp(ratio) for ratio in log_ratios(first_ns, second_ns)], confidence=confidence)
