import math
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.trend import trend


def test_a_known_result() -> None:
    # SciPy 1.17: kendalltau(range(7), x, method="exact").pvalue and theilslopes(x).
    found = trend([3.1, 2.9, 3.4, 3.3, 3.8, 3.6, 4.1])
    assert found is not None
    assert found.p == pytest.approx(0.0301587302)
    assert found.slope == pytest.approx(0.175)
    assert found.change == pytest.approx(6 * 0.175 / 3.4)
    assert found.drifts


def test_a_known_result_with_equal_values() -> None:
    # pymannkendall: original_test(y), the normal approximation with the corrections for ties and continuity.
    found = trend([5.0, 5.0, 5.2, 5.1, 5.3, 5.2, 5.5, 5.4])
    assert found is not None
    assert found.p == pytest.approx(0.0169649130)
    assert found.slope == pytest.approx(0.0619047619)


@pytest.mark.parametrize(("count", "p"), [(4, 2 / 24), (5, 2 / 120), (6, 2 / 720)])
def test_a_steady_rise_is_as_unlikely_as_its_order(count: int, p: float) -> None:
    found = trend([1 + 0.01 * index for index in range(count)])
    assert found is not None
    assert found.p == pytest.approx(p)
    assert found.drifts == (count > 4)


def test_a_change_of_less_than_one_percent_is_no_drift() -> None:
    found = trend([100 + 0.1 * index for index in range(8)])
    assert found is not None
    assert found.p < 0.001
    assert not found.drifts


@pytest.mark.parametrize("values", [[], [1.0, 2.0, 3.0]])
def test_too_few_values_have_no_trend(values: list[float]) -> None:
    assert trend(values) is None


def test_equal_values_have_no_trend() -> None:
    found = trend([5.0] * 6)
    assert found is not None
    assert (found.p, found.slope, found.drifts) == (1, 0, False)


@given(st.lists(st.integers(1, 1000), min_size=4, max_size=12))
def test_the_other_way_round_it_is_the_same_the_other_way(values: list[int]) -> None:
    one, other = trend(values), trend(values[::-1])
    assert one is not None
    assert other is not None
    assert one.p == pytest.approx(other.p)
    assert 0 <= one.p <= 1
    assert math.isclose(one.slope, -other.slope, abs_tol=1e-9)


def test_as_many_rounds_as_a_matrix_may_have_take_no_minutes() -> None:
    dice = random.Random(5)
    series = [dice.random() + 0.001 * place for place in range(150)]
    began = time.perf_counter()
    found = trend(series)
    assert trend([dice.random() for _ in range(1000)]) is not None
    assert time.perf_counter() - began < 10
    assert found is not None
    # SciPy 1.17: kendalltau(range(150), x, method="exact").pvalue.
    assert found.p == pytest.approx(0.0280824885, abs=2e-4)
