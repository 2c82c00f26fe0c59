"""The gate before each run of a start: what it waits for, and what the user sees meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Event

from harness.flows.console import Display
from harness.machine.device_gate import Condition, DeviceGate
from harness.machine.gate import GateResult, memory_room, wait_until_quiet
from harness.machine.pace import Pace
from harness.values.facts import Device
from harness.values.telemetry import DeviceReading

Looks = Callable[[], Sequence[tuple[Device, DeviceReading]]]
"""The latest reading of each device that a run computes on."""

Gate = Callable[[Looks, int], GateResult]
"""Waits until a run may start; it is given how the devices are, and how many bytes the run holds on the host."""

PACE_WAIT_S = 10.0
"""How long a slow processor is waited for. Whoever shares a core may do so for hours, so this wait is a short one."""


@dataclass(slots=True, kw_only=True)
class Gatekeeper:
    """A gate that remembers how devices were when it first saw them.

    Attributes:
        max_wait_s: the longest wait.
        cancel: the user's wish to stop.
        display: where a wait is told, once a run.
        pace: how fast the processor was at its best.
    """

    max_wait_s: float
    cancel: Event
    display: Display
    devices: DeviceGate = field(default_factory=DeviceGate)
    pace: Pace = field(default_factory=Pace)

    def __call__(self, looks: Looks, resident_bytes: int) -> GateResult:
        """Wait for this run."""
        told = False
        begin = time.monotonic()
        slow: tuple[Condition, ...] = ()

        def conditions() -> tuple[Condition, ...]:
            nonlocal slow
            slow = self.pace.closed()
            waits = slow if time.monotonic() - begin < PACE_WAIT_S else ()
            return (*self.devices.closed(looks()), *memory_room(resident_bytes), *waits)

        def on_wait(closed: Sequence[Condition]) -> None:
            nonlocal told
            if not told:
                told = True
                reasons = "; ".join(condition.value for condition in closed)
                self.display.say(
                    f"waiting until the machine is quiet: {reasons} "
                    f"(at most {self.max_wait_s:.0f} s; --gate-wait changes that)"
                )

        self.devices.begin()
        result = wait_until_quiet(
            cancel=self.cancel, max_wait_s=self.max_wait_s, conditions=conditions, on_wait=on_wait
        )
        # What is no longer waited for is told all the same.
        left = tuple(condition for condition in slow if condition not in result.closed)
        return replace(result, passed=False, closed=(*result.closed, *left)) if left else result
