"""Is one thing faster than another? Paired by round, on the log of the ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev

from harness.stats.interval import Interval
from harness.stats.runs import median_interval
from harness.stats.student import t_cdf, t_quantile

EQUIVALENCE_MARGIN = 0.02
"""Relative. Two things that differ by less are equivalent for every practical purpose."""

POWER = 0.8


class Verdict(StrEnum):
    """What the interval allows to say about the second arm, compared with the first."""

    FASTER = "faster"
    SLOWER = "slower"
    EQUIVALENT = "equivalent"
    NO_DIFFERENCE = "no difference shown"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two arms compared, round by round.

    Attributes:
        n: rounds in which both have a value.
        ratio: rate of the second arm over rate of the first, as the geometric mean over rounds.
        interval: of the ratio, by paired t; None below two rounds.
        sign_interval: of the median ratio, between order statistics; None below six rounds.
        p_value: of the paired t test that the ratio is 1; None below two rounds.
        smallest: the smallest relative difference that these rounds would have shown with a probability of 80 %;
            None below two rounds.
    """

    n: int
    ratio: float
    interval: Interval | None
    sign_interval: Interval | None
    p_value: float | None
    smallest: float | None


def paired_log_ratio(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> Comparison:
    """Compare `b` with `a`, both in ns per token, one value a round, in the same order of rounds.

    Raises:
        ValueError: the arms differ in length or are empty, or a value is not positive.
    """
    if len(a) != len(b) or not a:
        raise ValueError(f"{len(a)} and {len(b)} values cannot be paired")
    if min(*a, *b) <= 0:
        raise ValueError("a time per token is not positive")
    # Time of the first over time of the second is the second's rate over the first's.
    logs = [math.log(x / y) for x, y in zip(a, b, strict=True)]
    n, mean = len(logs), fmean(logs)
    interval = p_value = smallest = None
    if n > 1:
        error = stdev(logs) / math.sqrt(n)
        reach = -t_quantile((1 - confidence) / 2, n - 1)
        interval = _ratios(mean - reach * error, mean + reach * error, confidence)
        p_value = _p_value(mean, error, n)
        smallest = math.expm1((reach + t_quantile(POWER, n - 1)) * error)
    sign = median_interval(logs, confidence)
    return Comparison(
        n=n,
        ratio=math.exp(mean),
        interval=interval,
        sign_interval=_ratios(sign.low, sign.high, sign.confidence) if sign else None,
        p_value=p_value,
        smallest=smallest,
    )


def _ratios(low: float, high: float, confidence: float) -> Interval:
    return Interval(low=math.exp(low), high=math.exp(high), confidence=confidence)


def _p_value(mean: float, error: float, n: int) -> float:
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return min(1.0, 2 * t_cdf(-abs(mean) / error, n - 1))


def verdict(comparison: Comparison, margin: float = EQUIVALENCE_MARGIN) -> Verdict:
    """What may be said. *Inconclusive*: a difference beyond the margin is possible both ways, or nothing is known."""
    interval = comparison.interval
    if interval is None:
        return Verdict.INCONCLUSIVE
    if interval.low > 1:
        return Verdict.FASTER
    if interval.high < 1:
        return Verdict.SLOWER
    slower, faster = interval.low < 1 / (1 + margin), interval.high > 1 + margin
    if slower and faster:
        return Verdict.INCONCLUSIVE
    return Verdict.NO_DIFFERENCE if slower or faster else Verdict.EQUIVALENT


def verdict_words(comparison: Comparison, margin: float = EQUIVALENCE_MARGIN) -> str:
    """The verdict in words: `faster by 5.5 % (4.9 to 6.1)`."""
    word, interval = verdict(comparison, margin), comparison.interval
    if word is Verdict.EQUIVALENT:
        return f"equivalent within ±{100 * margin:g} %"
    if interval is None or word not in (Verdict.FASTER, Verdict.SLOWER):
        return str(word)
    sign = 1 if word is Verdict.FASTER else -1
    ends = sorted((sign * 100 * (interval.low - 1), sign * 100 * (interval.high - 1)))
    decimals = 1 if ends[1] - ends[0] >= 0.2 else 2  # noqa: PLR2004 - two digits of a narrower interval
    low, high = (f"{end:.{decimals}f}" for end in ends)
    return f"{word} by {sign * 100 * (comparison.ratio - 1):.{decimals}f} % ({low} to {high})"


def holm_confidences(p_values: Sequence[float], confidence: float = 0.95) -> tuple[float, ...]:
    """The confidence that each of several intervals needs, so that all claims together keep the error of one.

    Holm's step-down: claims are rejected from the smallest p-value on, each at its own level; what is not rejected
    gets the level at which it stopped. An interval at the returned confidence excludes 1 exactly where Holm rejects.
    """
    alpha, left = 1 - confidence, len(p_values)
    levels = [0.0] * left
    stopped: float | None = None
    for index in sorted(range(len(p_values)), key=lambda i: p_values[i]):
        level = stopped or alpha / left
        if stopped is None and p_values[index] > level:
            stopped = level
        levels[index] = 1 - level
        left -= 1
    return tuple(levels)
