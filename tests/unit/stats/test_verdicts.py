import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.paired import compare_paired
from harness.stats.students_t import two_sided_quantile
from harness.stats.verdicts import Comparison, Verdict, in_words, percent


def of(low: float, high: float, *, rounds: int = 6) -> Comparison:
    """The comparison that has this interval."""
    middle, reach = (math.log(low) + math.log(high)) / 2, (math.log(high) - math.log(low)) / 2
    degrees = rounds - 1
    error = reach / two_sided_quantile(0.95, degrees)
    return Comparison(log_ratio=middle, standard_error=error, degrees=degrees, rounds=rounds)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (1.049, 1.061, "faster by 5.5 % (4.9 to 6.1)"),
        (0.90, 0.92, "slower by 9.0 % (8.0 to 10.0)"),
        (1.001, 1.5, "faster by 22.5 % (0.1 to 50.0)"),
        (1.9, 2.0, "faster by 94.9 % (90.0 to 100.0)"),
        (2.24, 2.98, "2.58 times as fast (2.24 to 2.98)"),
        (0.2, 0.4, "slower by 71.7 % (60.0 to 80.0)"),
        (0.99, 1.01, "equivalent (-1.0 to +1.0 %)"),
        (1.002, 1.01, "equivalent (+0.2 to +1.0 %)"),
        (0.99, 1.029, "no difference shown (-1.0 to +2.9 %)"),
        (0.971, 1.001, "no difference shown (-2.9 to +0.1 %)"),
        (0.9, 1.1, "inconclusive (-10.0 to +10.0 %)"),
        (0.99, 1.04, "inconclusive (-1.0 to +4.0 %)"),
        (0.01, 1e40, "inconclusive (-99.0 to over +1000 %)"),
        (0.01, 10.9, "inconclusive (-99.0 to +990.0 %)"),
        (1.1, 12.0, "3.63 times as fast (1.10 to 12.00)"),
        (1.1, 2e4, "148.32 times as fast (1.10 to over 1000)"),
        (1e-40, 0.9, "slower by 100.0 % (10.0 to 100.0)"),
    ],
)
def test_words_follow_the_interval(low: float, high: float, words: str) -> None:
    assert in_words(of(low, high)) == words


def test_nothing_to_compare_is_inconclusive_with_the_reason() -> None:
    assert in_words(None) == "inconclusive (fewer than two rounds)"
    assert in_words(None, why_none="screening") == "inconclusive (screening)"


def test_an_interval_that_no_number_holds_is_told_all_the_same() -> None:
    """Two rounds of one comparison among two hundred: the t of one degree of freedom is 2,546."""
    found = compare_paired([1.0, 3.0], [1.0, 1.0], confidence=1 - 0.05 / 200)
    assert found is not None
    assert in_words(found) == "inconclusive (-100.0 to over +1000 %)"
    assert percent(100 * found.smallest_effect) == "over 1000"
    assert json.loads(json.dumps([found.low, found.high, found.smallest_effect], allow_nan=False))


def test_the_margin_is_symmetric_on_the_log_scale() -> None:
    assert of(1 / 1.0199, 1.0199).verdict is Verdict.EQUIVALENT
    assert of(1 / 1.0201, 1.0198).verdict is Verdict.NO_DIFFERENCE_SHOWN
    assert of(1 / 1.0198, 1.0201).verdict is Verdict.NO_DIFFERENCE_SHOWN


@given(st.floats(-0.1, 0.1), st.floats(1e-4, 0.1))
def test_no_difference_shown_means_that_one_of_the_margin_would_have_been(middle: float, error: float) -> None:
    comparison = Comparison(log_ratio=middle, standard_error=error, degrees=5, rounds=6)
    if comparison.verdict in {Verdict.NO_DIFFERENCE_SHOWN, Verdict.INCONCLUSIVE}:
        as_large = Comparison(log_ratio=math.log(1.02), standard_error=error, degrees=5, rounds=6)
        assert (as_large.low >= 1) == (comparison.verdict is Verdict.NO_DIFFERENCE_SHOWN)


def test_the_p_value_is_that_of_the_interval() -> None:
    # Student's sleep data: t = 4.0621 with 9 degrees, p = 0.002833.
    sleep = Comparison(log_ratio=1.58, standard_error=1.229995 / math.sqrt(10), degrees=9, rounds=10)
    assert sleep.p == pytest.approx(0.00283289, abs=1e-6)
    assert of(1.0, 1.1).p == pytest.approx(0.05)
    assert Comparison(log_ratio=0.0, standard_error=0.0, degrees=5, rounds=6).p == 1
    assert Comparison(log_ratio=0.1, standard_error=0.0, degrees=5, rounds=6).p == 0


def test_one_sided_p_values_ask_about_any_ratio() -> None:
    comparison = of(0.90, 0.97)
    assert comparison.p_below(0.97) == pytest.approx(0.025)
    assert comparison.p_below(0.90) == pytest.approx(0.975)
    same = Comparison(log_ratio=math.log(0.9), standard_error=0.0, degrees=5, rounds=6)
    assert (same.p_below(0.95), same.p_below(0.85)) == (0, 1)


def test_the_smallest_effect_is_that_of_power_tables() -> None:
    # A paired t test of ten pairs has a power of 80 % at 0.9960 standard deviations (statsmodels 0.15:
    # TTestPower().solve_power(nobs=10, alpha=0.05, power=0.8)); the formula approximates it by less than 1 %.
    deviation = 0.014
    comparison = Comparison(log_ratio=0, standard_error=deviation / math.sqrt(10), degrees=9, rounds=10)
    assert math.log1p(comparison.smallest_effect) / deviation == pytest.approx(0.9960, rel=0.01)


@pytest.mark.parametrize(("rounds", "percent"), [(6, 2.0), (10, 1.4), (20, 0.9)])
def test_the_smallest_effect_of_usual_noise(rounds: int, percent: float) -> None:
    comparison = Comparison(log_ratio=0, standard_error=0.014 / math.sqrt(rounds), degrees=rounds - 1, rounds=rounds)
    assert round(100 * comparison.smallest_effect, 1) == percent


def test_more_confidence_is_a_wider_interval_around_the_same_estimate() -> None:
    one = of(0.9, 1.1)
    wider = one.at(0.99)
    assert wider.ratio == one.ratio
    assert wider.low < one.low
    assert wider.high > one.high
