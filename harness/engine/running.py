"""Run a container to its end: a function upon any engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

from harness.values.container import ContainerExit, ContainerSpec
from harness.values.protocols import Engine


def run(
    engine: Engine,
    spec: ContainerSpec,
    *,
    timeout_s: float,
    cancel: Event | None = None,
    on_line: Callable[[str, str], None] | None = None,
    on_start: Callable[[str], None] | None = None,
) -> ContainerExit:
    """Start `spec` and wait for its end, at most `timeout_s` seconds after the start.

    `on_start` is called with the container's id; it must not raise.

    Never raises for what the container or the engine does: that is in the `ContainerExit`.
    """
    running = engine.start(spec, on_line=on_line)
    if on_start is not None:
        on_start(running.container_id)
    deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)
    return running.wait(deadline_ns=deadline_ns, cancel=cancel or Event())
