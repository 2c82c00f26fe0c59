"""How a device and its host were while a run went on. Missing is None with a reason, never 0.

A reading is one look at a device or at the host. A trace holds many of them as columns; a summary says what they come
to within one window of the run. `docs/telemetry.md` has the source of each field for each vendor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Number = int | float

IDLE, LOAD = "idle", "load"
"""Windows that are of no cell."""

OF_THE_HOST = "see the host's columns"
"""Why fields are missing of a processor: its memory, and how busy it is, are the host's."""


class ThrottleKind(StrEnum):
    """Why clocks are held down. Thermal and hardware spoil a run; a power limit is how many cards normally work."""

    THERMAL = "thermal"
    POWER = "power"
    HARDWARE = "hardware"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Throttle:
    """One active reason for lower clocks: its class, and the driver's own word in lower case (`sw_power_cap`)."""

    kind: ThrottleKind
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProcess:
    """A process that computes on a device: its id on the host, and what it holds there; None where that is not told."""

    pid: int
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReading:
    """One look at a device.

    Attributes:
        at_ns: monotonic clock of the host.
        utilization_percent: share of the driver's last sample period in which anything ran on it, 0 to 100.
        memory_used_bytes: of its own memory, by everyone; on chips without memory of their own, of the host's.
        gtt_used_bytes: of the host's memory, mapped for it (amdgpu): where the model of an APU lies.
        power_w: of the whole board where the driver knows it, else of the chip.
        energy_j: a counter: only differences mean something.
        temperature_c: of the chip (`edge`); hotspot_c: its hottest sensor; memory_temperature_c: of its memory.
        core_clock_mhz: of the SMs or shaders; of a CPU the mean of its cores. memory_clock_mhz: as the driver says.
        throttle: the active reasons for lower clocks; an empty tuple means that there are none.
        pcie_generation, pcie_width: of the link as it is now; idle cards slow it down.
        processes: those that compute on it; None where the driver does not list them.
    """

    at_ns: int
    utilization_percent: Number | None = None
    memory_used_bytes: int | None = None
    gtt_used_bytes: int | None = None
    power_w: Number | None = None
    energy_j: Number | None = None
    temperature_c: Number | None = None
    hotspot_c: Number | None = None
    memory_temperature_c: Number | None = None
    core_clock_mhz: Number | None = None
    memory_clock_mhz: Number | None = None
    throttle: tuple[Throttle, ...] | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    processes: tuple[DeviceProcess, ...] | None = None


DEVICE_FIELDS = tuple(name for name in DeviceReading.__dataclass_fields__ if name != "at_ns")
"""What a probe can tell of a device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReading:
    """One look at the host, and at the container where it is known. All but the memory sizes are counters.

    Attributes:
        at_ns: monotonic clock of the host.
        cpu_busy_ns: CPU time that anything used, summed over CPUs; cpu_steal_ns: that the hypervisor gave to others.
        cpu_total_ns: CPU time that there was, idle or not.
        own_cpu_ns: CPU time of the harness itself, without its children.
        swap_in_bytes, swap_out_bytes: moved between memory and swap, by anything.
        stall_cpu_ns, stall_memory_ns, stall_io_ns: time in which some task waited for it (pressure stall information).
        memory_available_bytes: what can be had without swapping.
        container_memory_bytes: charged to the container, its page cache included.
        container_cpu_ns: CPU time that it used, summed over CPUs.
        container_cpus: how many CPUs it may use (its CPU set, not its quota).
        container_anonymous_bytes: of that, what is no file: it cannot be dropped and read again.
        container_resident_bytes: mapped and in memory, of all its processes: weights that are mapped count, whoever
            read them first.
        container_peak_resident_bytes: the most that ever was, as the kernel counts it for each process.
        container_throttled_ns: time in which its CPU quota held it back.
        container_major_faults: pages of it that had to be read from disk.
        container_refaults: pages that were dropped from memory and read again.
    """

    at_ns: int
    cpu_busy_ns: int | None = None
    cpu_steal_ns: int | None = None
    cpu_total_ns: int | None = None
    own_cpu_ns: int | None = None
    swap_in_bytes: int | None = None
    swap_out_bytes: int | None = None
    stall_cpu_ns: int | None = None
    stall_memory_ns: int | None = None
    stall_io_ns: int | None = None
    memory_available_bytes: int | None = None
    container_memory_bytes: int | None = None
    container_cpu_ns: int | None = None
    container_cpus: int | None = None
    container_anonymous_bytes: int | None = None
    container_resident_bytes: int | None = None
    container_peak_resident_bytes: int | None = None
    container_throttled_ns: int | None = None
    container_major_faults: int | None = None
    container_refaults: int | None = None


HOST_FIELDS = tuple(name for name in HostReading.__dataclass_fields__ if name != "at_ns")

HOST_LEVELS = frozenset(
    {
        "memory_available_bytes",
        "container_memory_bytes",
        "container_anonymous_bytes",
        "container_resident_bytes",
        "container_peak_resident_bytes",
        "container_cpus",
    }
)
"""Host fields that are no counters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Readings as columns over time, thinned to a bound; the summaries were made before.

    Attributes:
        subject: `host`, `llama-server`, or the device's name.
        pci: the device's address, to tell equal cards apart; None for the host and where there is none.
        asked: whether the cells were to compute on it. Other GPUs of the machine are watched for their memory.
        at_ms: since the container was started; negative before. Empty where no column varies.
        columns: a value for each time, None where that look did not tell. Counters begin at 0.
        constant: fields that had one value all the time.
        throttle_reasons: what the bits of the column `throttle` mean, lowest first, as `kind:name`.
        missing: why a field has no value.
        substitutes: fields that were had in another way than usual, and how.
    """

    subject: str
    pci: str | None = None
    asked: bool = True
    at_ms: tuple[int, ...] = ()
    columns: Mapping[str, tuple[Number | None, ...]] = field(default_factory=dict)
    constant: Mapping[str, Number] = field(default_factory=dict)
    throttle_reasons: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    substitutes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of a run: `idle` before it, `load`, or the id of a cell for its timed part.

    Attributes:
        begin_ns, end_ns: monotonic clock while measuring, since the container was started once stored.
        untimed: whether more is in it than the samples: a test at a depth fills the cache before each repetition.
    """

    name: str
    begin_ns: int
    end_ns: int
    untimed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSummary:
    """What the readings of a device come to within a window.

    Attributes:
        readings: how many lie in the window.
        utilization_mean_percent: leaves out the first second of a window of more than two, since drivers average.
        memory_growth_bytes: the most it held in the window, GTT included, less what it held before the container.
        own_memory_bytes: the most that the container's own processes held; None where drivers do not tell.
        energy_j: from the energy counter, else from power over time. net_energy_j: less idle power over the window.
        throttled: by class of reason, the share of the readings in which one was active.
        foreign_processes: the most that computed on it and were not the container's.
    """

    readings: int
    utilization_mean_percent: float | None = None
    utilization_max_percent: float | None = None
    memory_max_bytes: int | None = None
    memory_growth_bytes: int | None = None
    own_memory_bytes: int | None = None
    power_mean_w: float | None = None
    power_max_w: float | None = None
    energy_j: float | None = None
    net_energy_j: float | None = None
    temperature_max_c: float | None = None
    hotspot_max_c: float | None = None
    core_clock_mean_mhz: float | None = None
    core_clock_min_mhz: float | None = None
    memory_clock_mean_mhz: float | None = None
    throttled: Mapping[ThrottleKind, float] | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    foreign_processes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSummary:
    """What the readings of the host come to within a window: shares are of the machine's CPU time, 0 to 1.

    Attributes:
        container_memory_max_bytes, container_anonymous_max_bytes, container_resident_max_bytes: the most of the looks.
        container_peak_resident_bytes: the kernel's own peak since the container's start, as of the window's end.
    """

    readings: int
    cpu_busy: float | None = None
    cpu_steal: float | None = None
    own_cpu: float | None = None
    swap_bytes: int | None = None
    stall_cpu_ns: int | None = None
    stall_memory_ns: int | None = None
    stall_io_ns: int | None = None
    container_memory_max_bytes: int | None = None
    container_cpu_ns: int | None = None
    container_cpus: int | None = None
    container_anonymous_max_bytes: int | None = None
    container_resident_max_bytes: int | None = None
    container_peak_resident_bytes: int | None = None
    container_throttled_ns: int | None = None
    container_major_faults: int | None = None
    container_refaults: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSummary:
    """One window with what happened in it: `devices` in the order of `Telemetry.devices`."""

    window: Window
    devices: tuple[DeviceSummary, ...] = ()
    host: HostSummary | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """All that was seen of device and host during one run.

    Attributes:
        interval_ms: between two looks, as asked for.
        devices: those the cells were to compute on first, then the other GPUs of the machine.
        server: the counters of a llama-server (`/metrics`), read when it is ready and after each repetition, when
            nothing is measured; None of other programs. They count from the server's start.
        windows: `idle`, `load`, then one for each cell that printed a row.
        sampling_cpu: CPU time that looking cost, as a share of one CPU; None where it could not be measured.
        problem: why there is less than there should be; empty where nothing went wrong.
    """

    interval_ms: int
    devices: tuple[Trace, ...] = ()
    host: Trace | None = None
    server: Trace | None = None
    windows: tuple[WindowSummary, ...] = ()
    sampling_cpu: float | None = None
    problem: str = ""

    def window(self, name: str) -> WindowSummary | None:
        """The summary of a window; None where there is none of this name."""
        return next((found for found in self.windows if found.window.name == name), None)
