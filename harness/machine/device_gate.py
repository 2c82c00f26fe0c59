"""The gate's conditions on devices: idle, nobody else on them, cool, memory free again, nothing that slows down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from harness.values.facts import Device
from harness.values.telemetry import DeviceReading, ThrottleKind

MOST_UTILIZATION_PERCENT = 5.0
"""A desktop that draws itself stays below; a program that computes does not."""

MOST_WARMER_C = 10.0
"""Above its first idle reading. Drivers lower clocks by temperature in steps of that order."""

SETTLED_NS = 30_000_000_000
SETTLED_C = 1.0
"""A device that did not cool by so much in so long is as cool as it gets now: fans stop before it is cold."""

MOST_HELD_BYTES = 256 * 1024 * 1024
"""Above its first idle reading: what a desktop moves by. Models are larger."""

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Why the gate is closed: which condition, and its value."""

    name: str
    value: str


@dataclass(slots=True)
class DeviceGate:
    """What devices were like when they were first seen idle; keeps it for a whole start.

    Attributes:
        first: the first reading of each device.
    """

    first: dict[Device, DeviceReading] = field(default_factory=dict)
    _cooling: dict[Device, tuple[int, float]] = field(default_factory=dict)

    def closed(self, looks: Sequence[tuple[Device, DeviceReading]]) -> tuple[Condition, ...]:
        """The conditions that do not hold. What a device does not show closes nothing.

        Args:
            looks: the latest reading of each device that the run computes on.
        """
        found: list[Condition] = []
        for device, reading in looks:
            in_use = tuple(_use(device, reading))
            found += in_use
            # How a device is that others use is not how it is idle.
            first = self.first.get(device, reading) if in_use else self.first.setdefault(device, reading)
            found += self._heat(device, reading, first)
            found += _memory(device, reading, first)
            found += _throttle(device, reading, first)
        return tuple(found)

    def begin(self) -> None:
        """A new wait begins: how long a device has been cooling is counted from here."""
        self._cooling.clear()

    def _heat(self, device: Device, reading: DeviceReading, first: DeviceReading) -> Iterator[Condition]:
        if reading.temperature_c is None or first.temperature_c is None:
            return
        now = float(reading.temperature_c)
        if now <= first.temperature_c + MOST_WARMER_C:
            return
        since, coolest = self._cooling.get(device, (reading.at_ns, now))
        if now <= coolest - SETTLED_C:
            since, coolest = reading.at_ns, now
        self._cooling[device] = since, coolest
        if reading.at_ns - since < SETTLED_NS:
            value = f"{device.name}: {now:g} °C, first {first.temperature_c:g} °C"
            yield Condition(name="temperature", value=value)


def _use(device: Device, reading: DeviceReading) -> Iterator[Condition]:
    if reading.utilization_percent is not None and reading.utilization_percent > MOST_UTILIZATION_PERCENT:
        value = f"{device.name}: {reading.utilization_percent:g} %, at most {MOST_UTILIZATION_PERCENT:g} %"
        yield Condition(name="utilization", value=value)
    if reading.processes:
        # None of them is ours: nothing of ours runs between two runs.
        pids = ", ".join(str(process.pid) for process in reading.processes[:5])
        count = len(reading.processes)
        value = (
            f"{device.name}: {count} other {'process computes' if count == 1 else 'processes compute'} on it ({pids})"
        )
        yield Condition(name="foreign_process", value=value)


def _memory(device: Device, reading: DeviceReading, first: DeviceReading) -> Iterator[Condition]:
    if device.kind == "integrated" or reading.memory_used_bytes is None or first.memory_used_bytes is None:
        return  # of memory that is the host's, the host's condition says what there is to say
    more = reading.memory_used_bytes - first.memory_used_bytes
    if more > MOST_HELD_BYTES:
        value = f"{device.name}: {reading.memory_used_bytes // _MIB} MiB in use, {more // _MIB} MiB more than at first"
        yield Condition(name="device_memory", value=value)


def _throttle(device: Device, reading: DeviceReading, first: DeviceReading) -> Iterator[Condition]:
    """Reasons that were there from the first look and are no heat and no fault are how this card is set."""
    usual = {reason for reason in first.throttle or () if reason.kind is ThrottleKind.POWER}
    active = [reason.name for reason in reading.throttle or () if reason not in usual]
    if active:
        yield Condition(name="throttle", value=f"{device.name}: {', '.join(active)}")
