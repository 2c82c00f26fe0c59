import math

import pytest

from harness.stats.verdicts import Verdict
from harness.stats.welch import compare_apart

# Two samples with unequal variances, much used as an example of Welch's test.
FIRST = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4]
SECOND = [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 30.5, 24.4]


def test_a_known_result() -> None:
    # scipy.stats.ttest_ind(FIRST, SECOND, equal_var=False) and its confidence_interval(), SciPy 1.17.
    comparison = compare_apart([math.exp(x) for x in FIRST], [math.exp(x) for x in SECOND])
    assert comparison is not None
    assert comparison.log_ratio / comparison.standard_error == pytest.approx(-2.85295487, abs=1e-7)
    assert comparison.degrees == pytest.approx(27.8873040, abs=1e-6)
    assert comparison.p == pytest.approx(0.00807194, abs=1e-7)
    assert math.log(comparison.low) == pytest.approx(-4.86802274, abs=1e-6)
    assert math.log(comparison.high) == pytest.approx(-0.79864387, abs=1e-6)
    assert not comparison.paired


def test_less_time_in_the_second_is_faster() -> None:
    comparison = compare_apart([110.0, 111.0, 112.0], [100.0, 101.0, 102.0, 100.5])
    assert comparison is not None
    assert comparison.verdict is Verdict.FASTER
    assert comparison.rounds == 3


def test_nothing_scatters() -> None:
    comparison = compare_apart([2.0, 2.0], [1.0, 1.0])
    assert comparison is not None
    assert (comparison.low, comparison.high) == (pytest.approx(2), pytest.approx(2))


@pytest.mark.parametrize("few", [[], [1.0]])
def test_one_run_says_nothing(few: list[float]) -> None:
    assert compare_apart(few, [1.0, 2.0]) is None
    assert compare_apart([1.0, 2.0], few) is None
