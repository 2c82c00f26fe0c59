import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.digits import fixed, plain, significant, with_interval
from harness.stats.intervals import Interval


def of(low: float, high: float) -> Interval:
    return Interval(low=low, high=high, coverage=0.97)


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (171.342, 169.81, 173.04, "171.3 (169.8 to 173.0)"),
        (1234.5, 1200.1, 1260.7, "1234 (1200 to 1261)"),
        (12345.6, 12190.0, 12500.0, "12350 (12190 to 12500)"),
        (5.0412, 5.0391, 5.0433, "5.0412 (5.0391 to 5.0433)"),
        (9.12, 9.02, 9.2192, "9.12 (9.02 to 9.22)"),
        (5.0, 5.0, 5.0, "5.000 (5.000 to 5.000)"),
        (171.0, 171.0 - 1e-9, 171.0 + 1e-9, "171.000 (171.000 to 171.000)"),
    ],
)
def test_digits_follow_the_interval(value: float, low: float, high: float, text: str) -> None:
    assert with_interval(value, of(low, high)) == text


def test_without_an_interval_three_digits_and_the_reason() -> None:
    assert with_interval(171.342, None, why_none="1 round") == "171 (no interval: 1 round)"
    assert with_interval(171.342, None) == "171"


@given(st.floats(1e-3, 1e9), st.floats(1e-5, 0.5))
def test_the_shown_ends_are_those_of_the_interval(value: float, share: float) -> None:
    interval = of(value * (1 - share), value * (1 + share))
    shown, low, _, high = with_interval(value, interval).replace("(", "").replace(")", "").split()
    half_width = (interval.high - interval.low) / 2
    # Two digits of the half-width: what is shown is off by a twentieth of it at most.
    allowed = max(0.0501 * half_width, 0.51e-5 * value)
    for text, exact in ((shown, value), (low, interval.low), (high, interval.high)):
        assert abs(float(text) - exact) <= allowed


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.6, 2, "0.6"),
        (12.0, 3, "12"),
        (99.4, 2, "99"),
        (99.7, 2, "100"),
        (120.0, 2, "120"),
        (1007.4, 3, "1007"),
        (123456.0, 4, "123456"),
        (0.0, 2, "0"),
    ],
)
def test_what_is_read_has_no_powers_of_ten(value: float, digits: int, text: str) -> None:
    assert significant(value, digits) == text


def test_negative_places_round_to_tens() -> None:
    assert fixed(12344, -1) == "12340"
    assert fixed(12344.56, 1) == "12344.6"


def test_a_lone_number_has_three_digits_and_never_less_than_the_whole_number() -> None:
    numbers = (12345.6, 171.3, 30.14, 9.996, 5.04, 0.01234, 0)
    assert [plain(v) for v in numbers] == ["12346", "171", "30.1", "10.0", "5.04", "0.0123", "0"]


def test_a_value_keeps_a_digit_within_the_widest_interval() -> None:
    assert with_interval(7.0, of(6.0, 250.0)) == "7 (6 to 250)"
    assert with_interval(0.31, of(0.3, 40.0)) == "0.3 (0.3 to 40.0)"
