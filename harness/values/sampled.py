"""What a sampler saw during one run, raw: it becomes a `Telemetry` once the run's windows are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.values.facts import Device
from harness.values.telemetry import DeviceReading, HostReading


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledDevice:
    """All looks at one device.

    Attributes:
        asked: whether the cells of the run were to compute on it.
        foreign: for each reading, how many processes were not the container's; None where that is not known.
        own_memory_bytes: for each reading, what the container's own processes held; None where drivers do not tell.
    """

    device: Device
    asked: bool
    readings: tuple[DeviceReading, ...] = ()
    foreign: tuple[int | None, ...] = ()
    own_memory_bytes: tuple[int | None, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    substitutes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """All looks of one run.

    Attributes:
        interval_ms: between two looks, as asked for.
        devices: those that the cells were to compute on first.
        sampling_cpu_ns: CPU time that looking cost. elapsed_ns: how long it went on.
        problem: why there is less than there should be; empty where nothing went wrong.
    """

    interval_ms: int
    devices: tuple[SampledDevice, ...] = ()
    host: tuple[HostReading, ...] = ()
    host_missing: Mapping[str, str] = field(default_factory=dict)
    sampling_cpu_ns: int | None = None
    elapsed_ns: int = 0
    problem: str = ""
