"""Several comparisons in one report: Holm's step-down procedure (Scandinavian Journal of Statistics 6, 1979).

Without it one of twenty comparisons of equal things shows a difference. With it the chance of *any* difference shown
where there is none stays at 5 % for the whole report. Each interval is drawn at the confidence at which the procedure
tested its comparison, so an interval that does not hold 1 and a difference that is shown are the same thing.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.stats.verdicts import Comparison


def adjusted(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the order given: a hypothesis falls where its value is at most the level."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    found = [0.0] * len(p_values)
    highest = 0.0
    for step, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - step) * p_values[index]))
        found[index] = highest
    return tuple(found)


def corrected(comparisons: Sequence[Comparison | None]) -> tuple[Comparison | None, ...]:
    """The comparisons with their intervals widened for being several; those that are None do not count.

    Each one's own confidence is what it would have alone.
    """
    real = [(index, c) for index, c in enumerate(comparisons) if c is not None]
    real.sort(key=lambda pair: pair[1].p)
    found = list(comparisons)
    parts = len(real)
    falling = True
    for step, (index, comparison) in enumerate(real):
        if falling:
            parts = len(real) - step
        level = (1 - comparison.confidence) / parts
        # From the first hypothesis that stands, none of the rest is tested any more: all keep that step's level.
        falling = falling and comparison.p <= level
        found[index] = comparison.at(1 - level)
    return tuple(found)
