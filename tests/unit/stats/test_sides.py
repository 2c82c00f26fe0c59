"""On which side of a limit a ratio lies."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.stats.paired import compare_paired
from harness.stats.sides import Side, confidence_of_looks, halfway, side_of, well_beyond
from harness.stats.until import LOOKS


def ratio(percent: float, *, scatter: float = 0.005, rounds: int = 8):
    """A comparison whose second arm is slower by so many percent; the scatter has no mean."""
    signs = [scatter if index % 2 else -scatter for index in range(rounds)]
    return compare_paired([100.0] * rounds, [100 / (1 - percent / 100) * math.exp(sign) for sign in signs])


def test_what_is_certainly_below_is_slow_and_what_is_certainly_above_is_fine() -> None:
    assert side_of(ratio(10), 0.95) is Side.SLOW
    assert side_of(ratio(0), 0.95) is Side.FINE
    assert side_of(ratio(-10), 0.95) is Side.FINE
    assert side_of(ratio(5), 0.95) is Side.UNDECIDED
    assert side_of(ratio(10, scatter=0.2), 0.95) is Side.UNDECIDED
    assert side_of(None, 0.95) is Side.UNDECIDED


def test_the_bad_end_has_to_be_slower_by_more_than_half_of_what_is_estimated() -> None:
    assert well_beyond(ratio(10))
    assert halfway(ratio(10)) == pytest.approx(math.sqrt(0.9))
    assert not well_beyond(ratio(10, scatter=0.09)), "slower, but how much is not known"
    assert not well_beyond(ratio(0.1, scatter=0.09))
    assert not well_beyond(ratio(-10))
    assert not well_beyond(None)


def test_the_more_steps_the_surer_each_of_them_is() -> None:
    assert confidence_of_looks(1) < confidence_of_looks(2) < confidence_of_looks(12) < 1
    with pytest.raises(ValueError, match="at least one step"):
        confidence_of_looks(0)


@pytest.mark.parametrize("steps", [1, 5, 12])
def test_a_search_goes_astray_in_at_most_5_of_100(steps: int) -> None:
    """Every step is as hard as can be: a build that is surely fine, and just beyond the limit. All looks are counted.

    Only the wrong side counts as astray: a build that stays undecided is skipped and said so.
    """
    experiments = 60_000
    generator = np.random.default_rng(steps)
    confidence = confidence_of_looks(steps)
    astray = np.zeros(experiments, dtype=bool)
    from harness.stats.students_t import two_sided_quantile

    for _ in range(steps):
        noise = generator.standard_normal((experiments, LOOKS[-1]))
        decided = np.zeros(experiments, dtype=bool)
        for look in LOOKS:
            seen = noise[:, :look]
            reach = two_sided_quantile(confidence, look - 1) * seen.std(axis=1, ddof=1) / math.sqrt(look)
            wrong = seen.mean(axis=1) + reach < 0
            right = seen.mean(axis=1) - reach > 0
            astray |= wrong & ~decided
            decided |= wrong | right
    assert astray.mean() < 0.05
    assert astray.mean() > 0.005, "far too careful would mean too many rounds"
