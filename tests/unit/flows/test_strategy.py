import pytest

from harness.errors import InputError
from harness.flows.strategy import read_budget, read_price


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("90s", 90), ("1 h 5 min", 3900), ("30 min", 1800), ("", None)],
)
def test_budgets(text: str, seconds: float | None) -> None:
    assert read_budget(text) == seconds


@pytest.mark.parametrize("text", ["30", "m", "0m", "-5m", "half an hour", "1.5h", " "])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no time"):
        read_budget(text)


@pytest.mark.parametrize(("text", "price"), [("", None), ("0.30", 0.3), ("2", 2.0)])
def test_a_price_of_a_kilowatt_hour(text: str, price: float | None) -> None:
    assert read_price(text) == price


@pytest.mark.parametrize("text", ["0", "-1", "cheap", "nan", "inf", "0,30"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no price"):
        read_price(text)
