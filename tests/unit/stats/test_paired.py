import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.paired import compare_paired, sign_interval
from harness.stats.verdicts import Comparison, Verdict, in_words

times = st.floats(1e-3, 1e9)


def compared(first: list[float], second: list[float]) -> Comparison:
    comparison = compare_paired(first, second)
    assert comparison is not None
    return comparison


def test_students_sleep_data() -> None:
    # Student 1908: ten differences, mean 1.58, 95 % interval 0.7001 to 2.4599.
    differences = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    comparison = compared([math.exp(d) for d in differences], [1.0] * 10)
    assert math.log(comparison.ratio) == pytest.approx(1.58)
    assert math.log(comparison.low) == pytest.approx(0.7001142, abs=1e-6)
    assert math.log(comparison.high) == pytest.approx(2.4598858, abs=1e-6)
    assert comparison.rounds == 10


def test_less_time_in_the_second_arm_is_faster() -> None:
    comparison = compared([110.0, 112.0, 111.0], [100.0, 101.0, 102.0])
    assert comparison.ratio > 1
    assert comparison.verdict is Verdict.FASTER


@given(st.lists(st.tuples(times, times), min_size=2, max_size=20))
def test_exchanging_the_arms_turns_the_ratio_round(pairs: list[tuple[float, float]]) -> None:
    a, b = [p[0] for p in pairs], [p[1] for p in pairs]
    one, other = compare_paired(a, b), compare_paired(b, a)
    assert one is not None
    assert other is not None
    assert math.log(one.ratio) == pytest.approx(-math.log(other.ratio), abs=1e-9)


def test_drift_that_both_arms_share_cancels() -> None:
    drift = [1.0, 1.3, 0.8, 1.1, 2.0, 0.5]
    comparison = compared([100 * d for d in drift], [50 * d for d in drift])
    assert (comparison.low, comparison.high) == (pytest.approx(2), pytest.approx(2))
    assert in_words(comparison) == "2.00 times as fast (2.00 to 2.00)"


@pytest.mark.parametrize("pairs", [[], [1.0]])
def test_below_two_rounds_nothing_is_said(pairs: list[float]) -> None:
    assert compare_paired(pairs, pairs) is None
    assert in_words(None) == "inconclusive (fewer than two rounds)"


@pytest.mark.parametrize(("a", "b"), [([1.0], []), ([1.0, 1.0], [0.0, 1.0]), ([-1.0, 1.0], [1.0, 1.0])])
def test_what_cannot_be_paired_is_refused(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match=r"argument|domain|positive"):
        compare_paired(a, b)


def test_the_sign_interval_exists_from_six_rounds() -> None:
    first, second = [110.0, 111.0, 112.0, 113.0, 114.0, 115.0], [100.0] * 6
    assert sign_interval(first[:5], second[:5]) is None
    interval = sign_interval(first, second)
    assert interval is not None
    assert (interval.low, interval.high) == (pytest.approx(1.10), pytest.approx(1.15))
    assert interval.coverage == 1 - 2 / 2**6


def test_a_thing_against_itself_differs_in_five_of_a_hundred() -> None:
    generator = random.Random(7)
    false = 0
    for _ in range(1000):
        drift = [generator.gauss(0, 0.01) for _ in range(6)]
        arms = [[math.exp(d + generator.gauss(0, 0.01)) for d in drift] for _ in range(2)]
        comparison = compared(*arms)
        false += not comparison.low <= 1 <= comparison.high
    # 50 with a standard error of 6.9.
    assert 25 < false < 78
