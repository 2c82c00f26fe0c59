import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.paired import Comparison, Verdict, compare_paired, in_words

times = st.floats(1e-3, 1e9)


def compared(first: list[float], second: list[float]) -> Comparison:
    comparison = compare_paired(first, second)
    assert comparison is not None
    return comparison


def of(low: float, high: float) -> Comparison:
    return Comparison(ratio=(low + high) / 2, low=low, high=high, rounds=6)


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
    assert in_words(comparison) == "faster by 100.0 % (100.0 to 100.0)"


@pytest.mark.parametrize("pairs", [[], [1.0]])
def test_below_two_rounds_nothing_is_said(pairs: list[float]) -> None:
    assert compare_paired(pairs, pairs) is None
    assert in_words(None) == "inconclusive (fewer than two rounds)"


@pytest.mark.parametrize(("a", "b"), [([1.0], []), ([1.0, 1.0], [0.0, 1.0]), ([-1.0, 1.0], [1.0, 1.0])])
def test_what_cannot_be_paired_is_refused(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match=r"argument|domain|positive"):
        compare_paired(a, b)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (1.049, 1.061, "faster by 5.5 % (4.9 to 6.1)"),
        (0.90, 0.92, "slower by 9.0 % (8.0 to 10.0)"),
        (0.99, 1.01, "equivalent (-1.0 to +1.0 %)"),
        (1.002, 1.01, "equivalent (+0.2 to +1.0 %)"),
        (0.9, 1.1, "no difference shown (-10.0 to +10.0 %)"),
        (0.99, 1.03, "no difference shown (-1.0 to +3.0 %)"),
    ],
)
def test_words_follow_the_interval(low: float, high: float, words: str) -> None:
    assert in_words(of(low, high)) == words


def test_the_margin_is_symmetric_on_the_log_scale() -> None:
    assert of(1 / 1.0199, 1.0199).verdict is Verdict.EQUIVALENT
    assert of(1 / 1.0201, 1.0199).verdict is Verdict.NO_DIFFERENCE_SHOWN
    assert of(1 / 1.0199, 1.0201).verdict is Verdict.NO_DIFFERENCE_SHOWN


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
