"""What the readings come to in each window of a run. Pure: readings and windows in, summaries out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from harness.measure.series import NS_PER_S, Series, mean, most
from harness.measure.windows import IDLE
from harness.values.sampled import SampledDevice
from harness.values.telemetry import (
    DeviceReading,
    DeviceSummary,
    HostReading,
    HostSummary,
    Number,
    ThrottleKind,
    Window,
)

SETTLE_NS = 1_000_000_000
"""Drivers average utilisation over up to a second: what they say in the first second of a test is of before it."""

SHORTEST_BUSY_NS = 2_000_000_000
"""A window below this cannot show that the device was busy."""

SHORTEST_ENERGY_NS = 5_000_000_000
"""A window below this says nothing of energy: power is averaged and comes late."""


SEEN = 0.5
"""Share of a window in which a container has to be seen, for its CPU time in the whole of it to be told."""

CONTAINER_SLACK_NS = 500_000_000
"""So much at either end of a window may lie outside of what was seen of a container: a few looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The device before the container: the median of its idle readings; None where there is none."""

    memory_bytes: int | None
    power_w: float | None


def held_bytes(reading: DeviceReading) -> int | None:
    """What lies in its memory, and in the host's for it: where an APU keeps a model depends on backend and firmware."""
    if reading.memory_used_bytes is None:
        return None
    return reading.memory_used_bytes + (reading.gtt_used_bytes or 0)


def baseline(sampled: SampledDevice, windows: tuple[Window, ...]) -> Baseline:
    """How the device was in the idle window."""
    idle = next((window for window in windows if window.name == IDLE), None)
    if idle is None:
        return Baseline(memory_bytes=None, power_w=None)
    looks = [r for r in sampled.readings if idle.begin_ns <= r.at_ns <= idle.end_ns]
    held = [memory for r in looks if (memory := held_bytes(r)) is not None]
    power = [r.power_w for r in looks if r.power_w is not None]
    idle_power = mean(power)
    if idle_power is None:
        counter = _series(sampled, lambda r: r.energy_j)
        seen = [at for at in counter.at_ns if idle.begin_ns <= at <= idle.end_ns]
        idle_power = _mean_power(counter, seen[0], seen[-1]) if seen else None
    return Baseline(memory_bytes=round(median(held)) if held else None, power_w=idle_power)


def _series(sampled: SampledDevice, field: Callable[[DeviceReading], Number | None]) -> Series:
    return Series.of((reading.at_ns, field(reading)) for reading in sampled.readings)


def _mean_power(energy: Series, begin_ns: int, end_ns: int) -> float | None:
    grown = energy.grown(begin_ns, end_ns)
    return grown / ((end_ns - begin_ns) / NS_PER_S) if grown is not None and end_ns > begin_ns else None


def summarise_device(sampled: SampledDevice, window: Window, base: Baseline) -> DeviceSummary:
    """One device in one window. Every figure is None where nothing in the window tells it."""
    begin, end = window.begin_ns, window.end_ns

    def inside(field: Callable[[DeviceReading], Number | None]) -> tuple[Number, ...]:
        return _series(sampled, field).within(begin, end)

    busy = _series(sampled, lambda r: r.utilization_percent)
    settled = busy.within(begin + SETTLE_NS if end - begin > SHORTEST_BUSY_NS else begin, end)
    held = most([*inside(held_bytes)])
    own = Series.of(zip((r.at_ns for r in sampled.readings), sampled.own_memory_bytes, strict=False))
    foreign = Series.of(zip((r.at_ns for r in sampled.readings), sampled.foreign, strict=False))
    power, energy = _series(sampled, lambda r: r.power_w), _series(sampled, lambda r: r.energy_j)
    mean_power = mean(power.within(begin, end))
    used_j = _energy(power, energy, window)
    return DeviceSummary(
        readings=sum(begin <= reading.at_ns <= end for reading in sampled.readings),
        utilization_mean_percent=_rounded(mean(settled)),
        utilization_max_percent=_rounded(most(inside(lambda r: r.utilization_percent))),
        memory_max_bytes=_whole(held),
        memory_growth_bytes=None if held is None or base.memory_bytes is None else _whole(held - base.memory_bytes),
        own_memory_bytes=_whole(most(own.within(begin, end))),
        power_mean_w=_rounded(mean_power if mean_power is not None else _mean_power(energy, begin, end)),
        power_max_w=_rounded(most(power.within(begin, end))),
        energy_j=_rounded(used_j),
        net_energy_j=_rounded(_net(used_j, base, window)),
        temperature_max_c=_rounded(most(inside(lambda r: r.temperature_c))),
        hotspot_max_c=_rounded(most(inside(lambda r: r.hotspot_c))),
        core_clock_mean_mhz=_rounded(mean(inside(lambda r: r.core_clock_mhz))),
        core_clock_min_mhz=_rounded(min(inside(lambda r: r.core_clock_mhz), default=None)),
        memory_clock_mean_mhz=_rounded(mean(inside(lambda r: r.memory_clock_mhz))),
        throttled=_throttled(sampled, begin, end),
        pcie_generation=_whole(most(inside(lambda r: r.pcie_generation))),
        pcie_width=_whole(most(inside(lambda r: r.pcie_width))),
        foreign_processes=_whole(most(foreign.within(begin, end))),
    )


def _energy(power: Series, energy: Series, window: Window) -> float | None:
    if window.end_ns - window.begin_ns < SHORTEST_ENERGY_NS:
        return None
    counted = energy.grown(window.begin_ns, window.end_ns)
    return counted if counted is not None else power.integral_s(window.begin_ns, window.end_ns)


def _net(used_j: float | None, base: Baseline, window: Window) -> float | None:
    if used_j is None or base.power_w is None:
        return None
    return used_j - base.power_w * (window.end_ns - window.begin_ns) / NS_PER_S


def _throttled(sampled: SampledDevice, begin_ns: int, end_ns: int) -> dict[ThrottleKind, float] | None:
    told = [r.throttle for r in sampled.readings if begin_ns <= r.at_ns <= end_ns and r.throttle is not None]
    if not told:
        return None
    return {
        kind: round(sum(any(t.kind is kind for t in reasons) for reasons in told) / len(told), 4)
        for kind in ThrottleKind
    }


def summarise_host(readings: tuple[HostReading, ...], window: Window) -> HostSummary:
    """The host in one window."""
    begin, end = window.begin_ns, window.end_ns
    if window.name == IDLE and readings:
        # It begins with the first look at anything, which may have been at a device.
        begin = max(begin, readings[0].at_ns)

    def grown(name: str) -> float | None:
        # The last look at a container lies before its last row, since its control group is gone at the next one.
        slack_ns = CONTAINER_SLACK_NS if name.startswith("container") else 0
        return Series.of((r.at_ns, getattr(r, name)) for r in readings).grown(begin, end, slack_ns=slack_ns)

    def used(name: str) -> float | None:
        """Of a container that was found late: as much in the rest of the window as in the part that was seen."""
        whole = grown(name)
        seen = Series.of((r.at_ns, getattr(r, name)) for r in readings if begin <= r.at_ns <= end)
        if whole is not None or not seen.at_ns or (part_ns := seen.at_ns[-1] - seen.at_ns[0]) < SEEN * (end - begin):
            return whole
        part = seen.grown(seen.at_ns[0], seen.at_ns[-1])
        return None if part is None or not part_ns else part * (end - begin) / part_ns

    def share(name: str) -> float | None:
        part, whole = grown(name), grown("cpu_total_ns")
        return None if part is None or not whole else round(part / whole, 4)

    swapped = [moved for name in ("swap_in_bytes", "swap_out_bytes") if (moved := grown(name)) is not None]

    def highest(name: str) -> int | None:
        return _whole(most(Series.of((r.at_ns, getattr(r, name)) for r in readings).within(begin, end)))

    return HostSummary(
        readings=sum(begin <= reading.at_ns <= end for reading in readings),
        cpu_busy=share("cpu_busy_ns"),
        cpu_steal=share("cpu_steal_ns"),
        own_cpu=share("own_cpu_ns"),
        swap_bytes=_whole(sum(swapped)) if swapped else None,
        stall_cpu_ns=_whole(grown("stall_cpu_ns")),
        stall_memory_ns=_whole(grown("stall_memory_ns")),
        stall_io_ns=_whole(grown("stall_io_ns")),
        container_cpu_ns=_whole(used("container_cpu_ns")),
        container_cpus=highest("container_cpus"),
        container_memory_max_bytes=highest("container_memory_bytes"),
        container_anonymous_max_bytes=highest("container_anonymous_bytes"),
        container_resident_max_bytes=highest("container_resident_bytes"),
        container_peak_resident_bytes=highest("container_peak_resident_bytes"),
        container_throttled_ns=_whole(used("container_throttled_ns")),
        container_major_faults=_whole(grown("container_major_faults")),
        container_refaults=_whole(grown("container_refaults")),
    )


def _rounded(value: Number | None) -> float | None:
    return None if value is None else round(float(value), 2)


def _whole(value: Number | None) -> int | None:
    return None if value is None else round(value)
