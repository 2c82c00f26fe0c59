import os
import signal

import pytest

from harness.errors import InterruptedByUserError
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


def test_the_former_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts().installed():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
