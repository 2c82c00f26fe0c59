"""From the samples of one run to its value, and from the values of runs to the value of a cell.

The unit of analysis is the run: samples inside one process are not independent, and an interval over them is far too
narrow (`docs/measurement.md`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median, stdev

from harness.stats.interval import Interval

NS_PER_S = 1_000_000_000


def counted_samples(samples_ns: Sequence[int]) -> Sequence[int]:
    """The samples that count: all but the first, which can carry the warm-up; a single one counts."""
    return samples_ns[1:] if len(samples_ns) > 1 else samples_ns


def run_value(samples_ns: Sequence[int], n_tokens: int) -> float:
    """The value of one run: the median ns per token over its counted samples.

    Args:
        samples_ns: durations in ns, one a repetition, in the order in which they were made.
        n_tokens: tokens that one repetition processes.

    Raises:
        ValueError: there are no samples or no tokens, or a duration is not positive.
    """
    if not samples_ns or n_tokens <= 0:
        raise ValueError(f"{len(samples_ns)} samples of {n_tokens} tokens have no value")
    if min(samples_ns) <= 0:
        raise ValueError(f"{min(samples_ns)} ns is no duration")
    return median(counted_samples(samples_ns)) / n_tokens


def rate(ns_per_token: float) -> float:
    """Tokens per second."""
    return NS_PER_S / ns_per_token


def rate_interval(ns_per_token: Interval) -> Interval:
    """The interval of the rate that belongs to an interval of ns per token: the slow end becomes the low one."""
    return Interval(low=rate(ns_per_token.high), high=rate(ns_per_token.low), confidence=ns_per_token.confidence)


def median_interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """The interval of the median between two order statistics; assumes nothing about the distribution.

    Args:
        values: independent values, in any order.
        confidence: the least coverage, 0 to 1; what is reached is in the result.

    Returns:
        None where even the whole range covers the median less often: for 0.95 below six values.
    """
    n = len(values)
    if n == 0:
        return None
    tail = 0
    found: tuple[int, float] | None = None
    for k in range((n + 1) // 2):
        # Both tails together: at most k of n values lie on one side of the median.
        tail += math.comb(n, k)
        covered = 1 - 2 * tail / 2**n
        if covered < confidence:
            break
        found = k, covered
    if found is None:
        return None
    ordered = sorted(values)
    k, covered = found
    return Interval(low=ordered[k], high=ordered[n - 1 - k], confidence=covered)


def variation(values: Sequence[float]) -> float | None:
    """Coefficient of variation: standard deviation over mean; None below two values or for a mean of 0."""
    if len(values) < 2:  # noqa: PLR2004 - one value does not vary
        return None
    mean = fmean(values)
    return stdev(values) / abs(mean) if mean else None


def pooled_variation(groups: Sequence[Sequence[float]]) -> float | None:
    """Root mean square of the coefficients of variation of groups; None where no group has two values."""
    found = [v for group in groups if (v := variation(group)) is not None]
    return math.sqrt(fmean(v * v for v in found)) if found else None
