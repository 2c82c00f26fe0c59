import pytest

from harness.errors import InputError
from harness.flows.strategy import read_budget


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
