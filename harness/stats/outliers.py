"""Values far from the others, counted and never removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

MILD_FENCE = 1.5
SEVERE_FENCE = 3.0
LEAST_VALUES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Outliers:
    """How many values lie outside Tukey's fences. `severe` ones are not counted as `mild` again."""

    mild: int
    severe: int


def tukey_outliers(values: Sequence[float]) -> Outliers | None:
    """Count the values beyond 1.5 (mild) and 3 (severe) interquartile ranges from the quartiles.

    Quartiles are interpolated linearly between order statistics. None below four values.
    """
    if len(values) < LEAST_VALUES:
        return None
    first, _, third = quantiles(values, n=4, method="inclusive")
    spread = third - first

    def beyond(factor: float) -> int:
        return sum(1 for v in values if v < first - factor * spread or v > third + factor * spread)

    severe = beyond(SEVERE_FENCE)
    return Outliers(mild=beyond(MILD_FENCE) - severe, severe=severe)
