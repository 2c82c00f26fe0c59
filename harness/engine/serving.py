"""Run a container that somebody talks to, and end it when everything is said: a function upon any engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from threading import Event, Thread
from typing import TypeVar

from harness.values.container import ContainerExit, ContainerSpec
from harness.values.protocols import Engine

T = TypeVar("T")

_LISTENS_S = 30.0
"""How long a client may take to notice that its server is gone."""


class _Either(Event):
    """Set when it is set itself, or when another event is."""

    def __init__(self, other: Event) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return super().is_set() or self._other.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set() or (super().wait(timeout) or self._other.is_set())


def serve(
    engine: Engine,
    spec: ContainerSpec,
    *,
    talk: Callable[[Event], T],
    timeout_s: float,
    cancel: Event,
    on_start: Callable[[str], None] | None = None,
) -> tuple[ContainerExit, T | None]:
    """Start `spec`, talk to it, end it when the talk is over, and wait for its end.

    Args:
        talk: called once the container is started, in a thread of its own, with an event that is set when the
            container has ended or the user wants to stop. It must return soon after, and must not raise.

    Returns:
        How the container ended, and what `talk` returned; None where it did not return. A container that was ended
        since everything was said is not cancelled, and has a kill stage only where it did not end when it was told to.
    """
    said: list[T] = []
    gone = Event()
    over = _Either(cancel)
    running = engine.start(spec)
    if on_start is not None:
        on_start(running.container_id)

    def talking() -> None:
        try:
            said.append(talk(gone))
        finally:
            over.set()

    thread = Thread(target=talking, name="client", daemon=True)
    if running.container_id:
        thread.start()
    ended = running.wait(deadline_ns=time.monotonic_ns() + round(timeout_s * 1e9), cancel=over)
    gone.set()
    if thread.ident is not None:
        thread.join(_LISTENS_S)
    if ended.cancelled and not cancel.is_set():
        stage = None if ended.kill_stage == "term" else ended.kill_stage
        ended = replace(ended, cancelled=False, kill_stage=stage)
    return ended, said[0] if said else None
