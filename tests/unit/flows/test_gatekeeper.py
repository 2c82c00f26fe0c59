"""What the gate makes of a processor that is slow just now."""

from threading import Event

import pytest

from harness.flows import gatekeeper
from harness.flows.console import Display
from harness.flows.gatekeeper import Gatekeeper
from harness.machine.device_gate import Condition
from harness.machine.gate import GateResult
from harness.machine.pace import Pace

SLOW = Condition(name="frequency", value="slow")


class Paces(Pace):
    """Slow at so many looks."""

    def __init__(self, slow: int) -> None:
        super().__init__(cpus=())
        self.left = slow

    def closed(self) -> tuple[Condition, ...]:
        self.left -= 1
        return (SLOW,) if self.left >= 0 else ()


def wait(monkeypatch: pytest.MonkeyPatch, *, slow: int, second: float = 1.0) -> tuple[GateResult, float]:
    """The gate with looks that take a second each, and how long it took."""
    now = [0.0]
    monkeypatch.setattr(gatekeeper.time, "monotonic", lambda: now[0])

    def until_quiet(*, conditions, **_how) -> GateResult:
        waited_for: dict[str, None] = {}
        while True:
            now[0] += second
            closed = conditions()
            waited_for |= dict.fromkeys(condition.name for condition in closed)
            if not closed:
                return GateResult(
                    passed=True, waited_s=now[0], foreign_cpu=0.0, steal=0.0, waited_for=tuple(waited_for)
                )

    monkeypatch.setattr(gatekeeper, "wait_until_quiet", until_quiet)
    keeper = Gatekeeper(max_wait_s=300, cancel=Event(), display=Display(), pace=Paces(slow))
    return keeper(tuple, 0), now[0]


def test_a_slow_processor_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    result, took = wait(monkeypatch, slow=3)
    assert result.passed
    assert result.waited_for == ("frequency",)
    assert took == 4


def test_for_ten_seconds_then_the_run_is_made_and_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    result, took = wait(monkeypatch, slow=1000)
    assert not result.passed
    assert result.closed == (SLOW,)
    assert took == 10


def test_a_fast_one_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    result, took = wait(monkeypatch, slow=0)
    assert result.passed
    assert result.closed == ()
    assert took == 1
