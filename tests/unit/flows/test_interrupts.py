import os
import signal

import pytest

from harness.errors import InterruptedByUserError
from harness.flows import interrupts as interrupts_flow
from harness.flows.interrupts import Interrupts


def test_the_first_sigint_lets_the_run_finish() -> None:
    interrupts = Interrupts()
    with interrupts.installed(), interrupts.during_run():
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.stop.is_set()
        assert not interrupts.cancel.is_set()


@pytest.mark.parametrize("signals", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM,), (signal.SIGHUP,)])
def test_a_second_sigint_or_sigterm_ends_the_container(signals: tuple[int, ...]) -> None:
    interrupts = Interrupts()
    with interrupts.installed(), interrupts.during_run():
        for number in signals:
            os.kill(os.getpid(), number)
        assert interrupts.cancel.is_set()


def test_outside_of_a_run_it_stops_at_once() -> None:
    interrupts = Interrupts()
    with interrupts.installed(), pytest.raises(InterruptedByUserError) as caught:
        os.kill(os.getpid(), signal.SIGINT)
    assert caught.value.exit_code == 130
    assert "same command again" in str(caught.value)


def interrupted_in_a_removal() -> bool:
    """Whether the clean-up after an interrupt came to its end, though more of them came."""
    removed = False
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except InterruptedByUserError:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        removed = True
    return removed


def test_a_second_one_does_not_break_the_removal_that_the_first_one_began() -> None:
    interrupts = Interrupts()
    with interrupts.installed():
        assert interrupted_in_a_removal()
    assert interrupts.cancel.is_set()


def test_much_later_it_stops_what_goes_on_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupts = Interrupts()
    with interrupts.installed():
        with pytest.raises(InterruptedByUserError):
            os.kill(os.getpid(), signal.SIGINT)
        monkeypatch.setattr(interrupts_flow, "CLEAN_UP_S", -1.0)
        with pytest.raises(InterruptedByUserError):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_former_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts().installed():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
