"""A run's value, a cell's median and its interval. Times are summarised, never rates.

The interval is the order-statistic interval of the median: it makes no assumption about the distribution. It exists
from six values on, since the whole range of five covers the median with 1 - 2 * 0.5**5 = 93.75 % only. The unit of
analysis is the run: samples inside one process are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

NS_PER_S = 1e9
_FENCE = 1.5
_FEWEST_FOR_QUARTILES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Both ends included, in the unit of the values; `coverage` is the probability that it really has, 0 to 1."""

    low: float
    high: float
    coverage: float

    @property
    def half_width(self) -> float:
        """Half of the distance between its ends."""
        return (self.high - self.low) / 2


def counted_samples(samples_ns: Sequence[int]) -> tuple[int, ...]:
    """The repetitions that count: all but the first, since llama-bench warms generation with one token only.

    A single repetition counts, for want of another.
    """
    return tuple(samples_ns[1:]) or tuple(samples_ns)


def run_value(samples_ns: Sequence[int], *, n_tokens: int) -> float:
    """Nanoseconds per token of one run: the median over its counted repetitions.

    Raises:
        ValueError: there is no sample or no token, or a duration is not positive.
    """
    if n_tokens <= 0 or not samples_ns or min(samples_ns) <= 0:
        raise ValueError(f"{len(samples_ns)} samples of {n_tokens} tokens have no value")
    return median(counted_samples(samples_ns)) / n_tokens


def rate(ns_per_token: float) -> float:
    """Tokens per second."""
    return NS_PER_S / ns_per_token


def rate_interval(ns_per_token: Interval) -> Interval:
    """The interval of the rate: the slow end of the time becomes its low end."""
    return Interval(low=rate(ns_per_token.high), high=rate(ns_per_token.low), coverage=ns_per_token.coverage)


def median_interval(values: Sequence[float], *, confidence: float = 0.95) -> Interval | None:
    """The narrowest symmetric order-statistic interval of the median with at least this coverage.

    Args:
        values: one a run; independent of each other.
        confidence: between 0 and 1.

    Returns:
        None where even the whole range covers the median with less: below six values for 95 %.
    """
    count, ordered, best = len(values), sorted(values), None
    for depth in range(count // 2):
        # From the (depth+1)-th smallest to the (depth+1)-th largest: the median is missed when at most `depth` values
        # lie on one side of it.
        coverage = 1 - 2 * sum(math.comb(count, k) for k in range(depth + 1)) / 2**count
        if coverage < confidence:
            break
        best = Interval(low=ordered[depth], high=ordered[count - 1 - depth], coverage=coverage)
    return best


def variation(values: Sequence[float]) -> float | None:
    """Coefficient of variation: standard deviation (n - 1) over mean; None below two values."""
    # Exactly rounded sums: `statistics.stdev` computes in fractions, which takes twenty times as long.
    count = len(values)
    if count < 2 or not (mean := math.fsum(values) / count):  # noqa: PLR2004 - one value does not vary
        return None
    return math.sqrt(math.fsum([(value - mean) ** 2 for value in values]) / (count - 1)) / mean


def beyond_fences(values: Sequence[float]) -> int:
    """How many values lie beyond Tukey's fences, 1.5 quartile ranges out. They are counted, never removed."""
    if len(values) < _FEWEST_FOR_QUARTILES:
        return 0
    first, _, third = quantiles(values, n=4, method="inclusive")
    reach = _FENCE * (third - first)
    return sum(1 for value in values if value < first - reach or value > third + reach)
