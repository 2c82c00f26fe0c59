"""Stopping when the interval is narrow enough: looked at after 8, 12, 16 and 20 rounds only, and corrected for looking.

Stopping at a lucky look makes intervals too narrow. The correction is Pocock's (Biometrika 64, 1977): the same,
smaller level at every look, so that *all four* intervals hold the truth with 95 % together. These are the repeated
confidence intervals of Jennison and Turnbull (Journal of the Royal Statistical Society B 51, 1989): they hold whatever
the reason to stop is, the width of the interval or what it says. O'Brien and Fleming's levels, which spend nearly
nothing at first, would make the first looks useless here: the question is not whether there is a difference.

The level is smaller than Pocock's table for four equally spaced looks at z values would need to be at these looks
(0.0204), since few rounds make t values: for t at 7, 11, 15 and 19 degrees of freedom, 0.0191 leaves 95.0 %.
`benchmarks/coverage.py` computes it again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import stdev

from harness.stats.students_t import two_sided_quantile

LOOKS = (8, 12, 16, 20)
LOOK_LEVEL = 0.019
CONFIDENCE = 1 - LOOK_LEVEL
"""Of every interval of a matrix with `until`: 98.1 % at each look is 95 % for all four."""


def relative_half_width(values: Sequence[float], *, confidence: float = CONFIDENCE) -> float | None:
    """Half the width of the t interval of the mean on the log scale, as a share: 0.01 is +-1 %.

    Returns:
        None below two values.

    Raises:
        ValueError: a value is not positive.
    """
    if len(values) < 2:  # noqa: PLR2004 - one value has no scatter
        return None
    logs = [math.log(value) for value in values]
    reach = two_sided_quantile(confidence, len(logs) - 1) * stdev(logs) / math.sqrt(len(logs))
    return math.expm1(reach)


def narrow_enough(values: Sequence[float], *, goal: float) -> bool:
    """Whether the interval of run values is within +-`goal`, a share."""
    width = relative_half_width(values)
    return width is not None and width <= goal


def rounds_wanted(series: Iterable[Mapping[int, float | None]], *, goal: float) -> int:
    """How many rounds cells need that stop together: the first look that is not made, or at which all were narrow.

    Args:
        series: for each cell its run values by round; None in a round that was made and gave no number.
    """
    everything = tuple(series)
    for look in LOOKS[:-1]:
        made = all(round_ in values for values in everything for round_ in range(1, look + 1))
        if not made or not everything:
            return look
        seen = ([v for round_, v in values.items() if round_ <= look and v is not None] for values in everything)
        if all(narrow_enough(values, goal=goal) for values in seen):
            return look
    return LOOKS[-1]
