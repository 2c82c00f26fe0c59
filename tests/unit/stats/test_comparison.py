import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.comparison import (
    Comparison,
    Verdict,
    holm_confidences,
    paired_log_ratio,
    verdict,
    verdict_words,
)
from harness.stats.interval import Interval

times = st.floats(1e-3, 1e9)


def compared(low: float, high: float) -> Comparison:
    ratio = math.sqrt(low * high)
    interval = Interval(low=low, high=high, confidence=0.95)
    return Comparison(n=6, ratio=ratio, interval=interval, sign_interval=None, p_value=None, smallest=None)


def test_students_sleep_data() -> None:
    # Student 1908: ten differences, mean 1.58, t = 4.0621, p = 0.002833, 95 % interval 0.7001 to 2.4599.
    differences = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    result = paired_log_ratio([math.exp(d) for d in differences], [1.0] * 10)
    assert math.log(result.ratio) == pytest.approx(1.58)
    assert result.interval is not None
    assert math.log(result.interval.low) == pytest.approx(0.7001142, abs=1e-6)
    assert math.log(result.interval.high) == pytest.approx(2.4598858, abs=1e-6)
    assert result.p_value == pytest.approx(0.00283289, abs=1e-7)
    assert result.sign_interval is not None
    assert math.log(result.sign_interval.low) == pytest.approx(0.8)
    assert math.log(result.sign_interval.high) == pytest.approx(2.4)


def test_less_time_in_the_second_arm_is_faster() -> None:
    result = paired_log_ratio([110.0, 112.0, 111.0], [100.0, 101.0, 102.0])
    assert result.ratio > 1
    assert verdict(result) is Verdict.FASTER


@given(st.lists(st.tuples(times, times), min_size=2, max_size=20))
def test_exchanging_the_arms_turns_the_ratio_round(pairs: list[tuple[float, float]]) -> None:
    a, b = [p[0] for p in pairs], [p[1] for p in pairs]
    one, other = paired_log_ratio(a, b), paired_log_ratio(b, a)
    assert math.log(one.ratio) == pytest.approx(-math.log(other.ratio), abs=1e-9)
    assert one.p_value == pytest.approx(other.p_value)


def test_drift_that_both_arms_share_cancels() -> None:
    drift = [1.0, 1.3, 0.8, 1.1, 2.0, 0.5]
    result = paired_log_ratio([100 * d for d in drift], [50 * d for d in drift])
    assert result.ratio == pytest.approx(2)
    assert result.interval is not None
    assert result.interval.half_width == pytest.approx(0, abs=1e-9)


def test_one_round_has_no_interval_and_says_nothing() -> None:
    result = paired_log_ratio([1.0], [2.0])
    assert (result.n, result.ratio, result.interval, result.p_value, result.smallest) == (1, 0.5, None, None, None)
    assert verdict_words(result) == "inconclusive"


def test_sign_interval_needs_six_rounds() -> None:
    assert paired_log_ratio([1.0] * 5, [1.1] * 5).sign_interval is None
    assert paired_log_ratio([1.0] * 6, [1.1] * 6).sign_interval is not None


def test_identical_arms_are_equivalent() -> None:
    result = paired_log_ratio([5.0] * 6, [5.0] * 6)
    assert (result.ratio, result.p_value, result.smallest) == (1, 1, 0)
    assert verdict_words(result) == "equivalent within ±2 %"


@pytest.mark.parametrize(("a", "b"), [([], []), ([1.0], []), ([1.0], [0.0]), ([-1.0], [1.0])])
def test_what_cannot_be_paired_is_refused(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match=r"paired|positive"):
        paired_log_ratio(a, b)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (1.049, 1.061, "faster by 5.5 % (4.9 to 6.1)"),
        (0.90, 0.92, "slower by 9.0 % (8.0 to 10.0)"),
        (1.0005, 1.0015, "faster by 0.10 % (0.05 to 0.15)"),
        (0.99, 1.01, "equivalent within ±2 %"),
        (0.995, 1.04, "no difference shown"),
        (0.95, 1.01, "no difference shown"),
        (0.9, 1.1, "inconclusive"),
    ],
)
def test_words_follow_the_interval(low: float, high: float, words: str) -> None:
    assert verdict_words(compared(low, high)) == words


def test_the_margin_is_symmetric_on_the_log_scale() -> None:
    assert verdict(compared(1 / 1.0199, 1.0199)) is Verdict.EQUIVALENT
    assert verdict(compared(1 / 1.0201, 1.0201)) is Verdict.INCONCLUSIVE
    assert verdict(compared(1 / 1.0201, 1.0201), margin=0.05) is Verdict.EQUIVALENT


def test_smallest_difference_is_the_one_of_the_protocol() -> None:
    # MEASUREMENT's source: a deviation of 1.4 % between log ratios shows 2.0 % in six rounds, 1.4 % in ten.
    for n, expected in ((6, 0.020), (10, 0.014)):
        plus_minus = [1 if i % 2 else -1 for i in range(n)]
        scale = 0.014 * math.sqrt((n - 1) / n)
        result = paired_log_ratio([math.exp(scale * s) for s in plus_minus], [1.0] * n)
        assert result.smallest == pytest.approx(expected, abs=6e-4)


def test_a_thing_against_itself_differs_in_five_of_a_hundred() -> None:
    generator = random.Random(7)
    false = 0
    for _ in range(1000):
        drift = [generator.gauss(0, 0.01) for _ in range(6)]
        arms = [[math.exp(d + generator.gauss(0, 0.01)) for d in drift] for _ in range(2)]
        interval = paired_log_ratio(*arms).interval
        assert interval is not None
        false += not interval.holds(1)
    # 50 with a standard error of 6.9.
    assert 25 < false < 78


def test_holm_goes_down_from_the_smallest_and_stops() -> None:
    # Levels 0.05/4, 0.05/3, then 0.05/2: 0.03 is not below 0.025, and what follows keeps that level.
    assert holm_confidences([0.03, 0.001, 0.04, 0.01]) == pytest.approx([0.975, 1 - 0.05 / 4, 0.975, 1 - 0.05 / 3])


def test_one_comparison_needs_no_correction() -> None:
    assert holm_confidences([0.2]) == pytest.approx([0.95])
    assert holm_confidences([]) == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_none_and_bonferroni(p_values: list[float]) -> None:
    for level in holm_confidences(p_values):
        assert 0.95 - 1e-12 <= level <= 1 - 0.05 / len(p_values) + 1e-12
