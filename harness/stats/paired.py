"""Two arms measured in the same rounds: how much faster is one, and can that be said at all?

The per-round log ratio takes out what both arms share (a warmer room, another program); its mean with the paired t
interval is calibrated at every number of rounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev

from harness.stats.students_t import two_sided_quantile

MARGIN = 0.02
"""Differences within +-2 % are of no practical meaning: an interval inside them says *equivalent*."""


class Verdict(StrEnum):
    """What a comparison says."""

    FASTER = "faster"
    SLOWER = "slower"
    EQUIVALENT = "equivalent"
    NO_DIFFERENCE_SHOWN = "no difference shown"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Speed of the second arm over speed of the first, as ratios: 1.05 is 5 % faster.

    Attributes:
        low, high: the interval of the ratio. rounds: pairs that both arms have.
    """

    ratio: float
    low: float
    high: float
    rounds: int

    @property
    def verdict(self) -> Verdict:
        """In a word, with the margin for what is practically the same."""
        if self.low > 1 / (1 + MARGIN) and self.high < 1 + MARGIN:
            return Verdict.EQUIVALENT
        if self.low > 1:
            return Verdict.FASTER
        if self.high < 1:
            return Verdict.SLOWER
        return Verdict.NO_DIFFERENCE_SHOWN


def compare_paired(
    first_ns: Sequence[float], second_ns: Sequence[float], *, confidence: float = 0.95
) -> Comparison | None:
    """Compare run values (ns per token) of two arms, pair by pair of the same round.

    Returns:
        None where there are fewer than two pairs: the verdict is *inconclusive*.

    Raises:
        ValueError: the arms differ in length, or a value is not positive.
    """
    ratios = [math.log(a) - math.log(b) for a, b in zip(first_ns, second_ns, strict=True)]
    if len(ratios) < 2:  # noqa: PLR2004 - one pair has no scatter
        return None
    mean = fmean(ratios)
    reach = two_sided_quantile(confidence, len(ratios) - 1) * stdev(ratios) / math.sqrt(len(ratios))
    return Comparison(ratio=math.exp(mean), low=math.exp(mean - reach), high=math.exp(mean + reach), rounds=len(ratios))


def in_words(comparison: Comparison | None) -> str:
    """`faster by 5.5 % (4.9 to 6.1)`, `no difference shown (-0.8 to +1.2 %)`, `inconclusive (...)` below two rounds."""
    if comparison is None:
        return f"{Verdict.INCONCLUSIVE} (fewer than two rounds)"
    low, middle, high = (100 * (value - 1) for value in (comparison.low, comparison.ratio, comparison.high))
    verdict = comparison.verdict
    if verdict is Verdict.FASTER:
        return f"faster by {middle:.1f} % ({low:.1f} to {high:.1f})"
    if verdict is Verdict.SLOWER:
        return f"slower by {-middle:.1f} % ({-high:.1f} to {-low:.1f})"
    return f"{verdict} ({low:+.1f} to {high:+.1f} %)"
