"""What a comparison of two arms says: an estimate with its interval, and one of five verdicts.

The interval is of the ratio of speeds, by Student's t on the log scale. It says, in this order:

    equivalent            it lies inside the margin of +-2 %: whatever the difference is, it does not matter
    faster, slower        it does not hold 1
    inconclusive          it holds 1 and is wider than the margin: a difference of the margin, measured exactly, would
                          still not have been shown; so is everything below two rounds
    no difference shown   it holds 1 and is narrow enough for a difference of the margin to be seen; none was
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from harness.stats.students_t import one_sided_p, two_sided_p, two_sided_quantile

AS_FAST = 2.0
"""From here on a difference is told as `times as fast`: nobody reads 158 % right."""

MARGIN = 0.02
"""Differences within +-2 % are of no practical meaning: an interval inside them says *equivalent*."""

CONFIDENCE = 0.95
POWER = 0.8

MOST_PERCENT = 1000
"""More is told as `over 1000`: of two rounds at a shared level an interval may reach to numbers of forty digits."""
_LARGEST_LOG = 700.0
"""Beyond, a ratio is no number that a computer holds."""


def ratio_of(log_ratio: float) -> float:
    """The ratio whose natural logarithm this is; however large that is, a finite number, as JSON has them only."""
    return math.exp(min(log_ratio, _LARGEST_LOG))


class Verdict(StrEnum):
    """What a comparison says."""

    FASTER = "faster"
    SLOWER = "slower"
    EQUIVALENT = "equivalent"
    NO_DIFFERENCE_SHOWN = "no difference shown"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Speed of the second arm over speed of the first; ratios, so that 1.05 is 5 % faster.

    Attributes:
        log_ratio: natural logarithm of the ratio. standard_error: of it. degrees: of freedom of the t distribution.
        rounds: pairs that both arms have; where nothing is paired, the runs of the arm that has fewer.
        paired: whether each ratio is of one round; else the arms were measured apart.
        confidence: of the interval, 0 to 1; more than 0.95 where it is one of several or was looked at in between.
    """

    log_ratio: float
    standard_error: float
    degrees: float
    rounds: int
    paired: bool = True
    confidence: float = CONFIDENCE

    @property
    def ratio(self) -> float:
        """The estimate."""
        return math.exp(self.log_ratio)

    @property
    def half_width(self) -> float:
        """Of the interval on the log scale."""
        return two_sided_quantile(self.confidence, self.degrees) * self.standard_error

    @property
    def low(self) -> float:
        """The low end of the interval of the ratio."""
        return ratio_of(self.log_ratio - self.half_width)

    @property
    def high(self) -> float:
        """The high end of the interval of the ratio."""
        return ratio_of(self.log_ratio + self.half_width)

    @property
    def p(self) -> float:
        """Two-sided probability of at least this difference where there is none."""
        if self.standard_error == 0:
            return 1.0 if self.log_ratio == 0 else 0.0
        return two_sided_p(self.log_ratio / self.standard_error, self.degrees)

    def p_below(self, ratio: float) -> float:
        """One-sided probability of such an estimate where the ratio is at least `ratio`: small says it is lower."""
        distance = self.log_ratio - math.log(ratio)
        if self.standard_error == 0:
            return 0.0 if distance < 0 else 1.0
        return one_sided_p(-distance / self.standard_error, self.degrees)

    @property
    def smallest_effect(self) -> float:
        """The smallest difference, as a share, that so many rounds with this scatter show four times out of five."""
        t_power = two_sided_quantile(2 * POWER - 1, self.degrees)
        reach = (two_sided_quantile(self.confidence, self.degrees) + t_power) * self.standard_error
        return math.expm1(min(reach, _LARGEST_LOG))

    @property
    def verdict(self) -> Verdict:
        """In a word."""
        if self.low > 1 / (1 + MARGIN) and self.high < 1 + MARGIN:
            return Verdict.EQUIVALENT
        if self.low > 1:
            return Verdict.FASTER
        if self.high < 1:
            return Verdict.SLOWER
        return Verdict.NO_DIFFERENCE_SHOWN if self.half_width <= math.log1p(MARGIN) else Verdict.INCONCLUSIVE

    def at(self, confidence: float) -> Comparison:
        """The same estimate with an interval of another confidence."""
        return replace(self, confidence=confidence)


def in_words(comparison: Comparison | None, *, why_none: str = "fewer than two rounds") -> str:
    """`faster by 5.5 % (4.9 to 6.1)`, `equivalent (-0.8 to +1.2 %)`, `inconclusive (fewer than two rounds)`.

    From twice the speed on `2.58 times as fast (2.24 to 2.98)`.
    """
    if comparison is None:
        return f"{Verdict.INCONCLUSIVE} ({why_none})"
    low, middle, high = (100 * (value - 1) for value in (comparison.low, comparison.ratio, comparison.high))
    verdict = comparison.verdict
    if verdict is Verdict.FASTER and comparison.ratio >= AS_FAST:
        far = f"{comparison.high:.2f}" if comparison.high <= MOST_PERCENT else f"over {MOST_PERCENT}"
        return f"{comparison.ratio:.2f} times as fast ({comparison.low:.2f} to {far})"
    if verdict is Verdict.FASTER:
        return f"faster by {middle:.1f} % ({low:.1f} to {percent(high)})"
    if verdict is Verdict.SLOWER:
        return f"slower by {-middle:.1f} % ({-high:.1f} to {-low:.1f})"
    return f"{verdict} ({low:+.1f} to {percent(high, sign='+')} %)"


def percent(value: float, *, sign: str = "-") -> str:
    """With one place, and nothing that no measurement knows: `5.5`, `over 1000`; `+` for a sign before all above 0."""
    return f"{value:{sign}.1f}" if value <= MOST_PERCENT else f"over {sign.strip('-')}{MOST_PERCENT}"
