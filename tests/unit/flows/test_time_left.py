import pytest

from harness.flows import time_left
from harness.flows.time_left import TimeLeft


def test_what_is_dear_to_find_is_found_rarely_and_counted_down(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time_left.time, "monotonic", lambda: now)
    looked = []

    def find() -> float:
        nonlocal now
        looked.append(now)
        now += 0.2
        return 1000.0

    left = TimeLeft(find)
    assert left() == 1000
    now += 5
    assert left() == pytest.approx(995)
    now += 16
    assert left() == 1000
    assert len(looked) == 2
