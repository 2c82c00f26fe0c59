"""What SIGINT and SIGTERM do: handlers only set events or raise once; the clean-up runs in the main program."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from threading import Event
from types import FrameType

from harness.errors import InterruptedByUserError

CLEAN_UP_S = 60.0
"""How long the clean-up after an interrupt may take undisturbed: an engine is asked three times, 20 s each."""


class Interrupts:
    """The user's wish to stop.

    While a run is measured, the first SIGINT lets it finish and then stops; a second one, SIGTERM or SIGHUP ends the
    container at once. Outside of runs (downloads, builds, probes) the first of them stops at once, by an exception;
    further ones raise none until its clean-up, such as the removal of a container, has had time to end.

    Attributes:
        stop: no further run is to be started.
        cancel: the current run is to be ended.
    """

    def __init__(self) -> None:
        self.stop = Event()
        self.cancel = Event()
        self._in_run = False
        self._raised_s: float | None = None

    @contextlib.contextmanager
    def during_run(self) -> Iterator[None]:
        """Within this block signals do not raise."""
        self._in_run = True
        try:
            yield
        finally:
            self._in_run = False

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals within this block, and put the former handlers back after it."""
        former = {
            number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGINT or self.stop.is_set():
            self.cancel.set()
        self.stop.set()
        now = time.monotonic()
        if not self._in_run and (self._raised_s is None or now - self._raised_s > CLEAN_UP_S):
            self._raised_s = now
            raise interruption()


def interruption() -> InterruptedByUserError:
    """The error that ends the program after an interrupt."""
    return InterruptedByUserError(
        "stopped by the user; every finished run is kept",
        remedy="Start the same command again to go on where it stopped.",
    )
