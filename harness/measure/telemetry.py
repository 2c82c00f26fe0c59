"""From raw readings to what a record keeps: summaries of all of them, and traces of some. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.measure.series import thinned
from harness.measure.summaries import baseline, summarise_device, summarise_host
from harness.values.sampled import Sampled, SampledDevice
from harness.values.telemetry import (
    DEVICE_FIELDS,
    HOST_FIELDS,
    HOST_LEVELS,
    DeviceReading,
    HostReading,
    Number,
    Telemetry,
    Trace,
    Window,
    WindowSummary,
)

MOST_POINTS = 120
"""Of a device's trace. A run of ten minutes then shows a point every five seconds."""

IDLE_NS = 2_000_000_000
"""How much before the container is kept: what was seen while the gate was closed is not how the device is idle."""

MOST_HOST_POINTS = 60
MOST_WATCHED_POINTS = 30

AT_NS = "at_ns"
"""When a server's counters were read, among them."""

_MIB = 1024 * 1024
_MS_NS = 1_000_000
_DIGITS = 1


def since(sampled: Sampled, begin_ns: int) -> Sampled:
    """The looks from a moment on."""
    devices = []
    for device in sampled.devices:
        first = sum(reading.at_ns < begin_ns for reading in device.readings)
        devices.append(
            replace(
                device,
                readings=device.readings[first:],
                foreign=device.foreign[first:],
                own_memory_bytes=device.own_memory_bytes[first:],
            )
        )
    host = tuple(reading for reading in sampled.host if reading.at_ns >= begin_ns)
    return replace(sampled, devices=tuple(devices), host=host)


def telemetry(sampled: Sampled, windows: tuple[Window, ...], *, started_ns: int) -> Telemetry:
    """What a run's record keeps of its readings.

    Args:
        sampled: raw.
        windows: of the run, on the monotonic clock.
        started_ns: when the container was started: times are counted from there.
    """
    bases = [baseline(device, windows) for device in sampled.devices]
    summaries = tuple(
        WindowSummary(
            window=replace(window, begin_ns=window.begin_ns - started_ns, end_ns=window.end_ns - started_ns),
            devices=tuple(summarise_device(d, window, b) for d, b in zip(sampled.devices, bases, strict=True)),
            host=summarise_host(sampled.host, window) if sampled.host else None,
        )
        for window in windows
    )
    cost = sampled.sampling_cpu_ns
    return Telemetry(
        interval_ms=sampled.interval_ms,
        devices=tuple(_device_trace(device, started_ns) for device in sampled.devices),
        host=_host_trace(sampled, started_ns) if sampled.host else None,
        windows=summaries,
        sampling_cpu=round(cost / sampled.elapsed_ns, 5) if cost is not None and sampled.elapsed_ns else None,
        problem=sampled.problem,
    )


def _device_trace(sampled: SampledDevice, started_ns: int) -> Trace:
    readings = sampled.readings
    kept = [readings[i] for i in thinned(len(readings), MOST_POINTS if sampled.asked else MOST_WATCHED_POINTS)]
    reasons = sorted({reason for reading in readings for reason in reading.throttle or ()})
    columns: dict[str, list[Number | None]] = {}
    for name in DEVICE_FIELDS:
        if name == "throttle":
            columns[name] = [None if r.throttle is None else _bits(r, reasons) for r in kept]
        elif name == "processes":
            columns[name] = [None if r.processes is None else len(r.processes) for r in kept]
        else:
            columns[name] = [getattr(r, name) for r in kept]
    columns["energy_j"] = _from_zero(columns["energy_j"])
    varying, constant = _split(columns)
    return Trace(
        subject=sampled.device.name,
        pci=sampled.device.pci,
        asked=sampled.asked,
        at_ms=_times(kept, started_ns) if varying else (),
        columns=varying,
        constant=constant,
        throttle_reasons=tuple(f"{reason.kind}:{reason.name}" for reason in reasons),
        missing=dict(sampled.missing),
        substitutes=dict(sampled.substitutes),
    )


def _bits(reading: DeviceReading, reasons: Sequence[object]) -> int:
    return sum(1 << index for index, reason in enumerate(reasons) if reason in (reading.throttle or ()))


def _host_trace(sampled: Sampled, started_ns: int) -> Trace:
    kept = [sampled.host[i] for i in thinned(len(sampled.host), MOST_HOST_POINTS)]
    columns: dict[str, list[Number | None]] = {name: [getattr(r, name) for r in kept] for name in HOST_FIELDS}
    columns = {name: values if name in HOST_LEVELS else _from_zero(values) for name, values in columns.items()}
    varying, constant = _split(columns)
    return Trace(
        subject="host",
        at_ms=_times(kept, started_ns),
        columns=varying,
        constant=constant,
        missing=dict(sampled.host_missing),
    )


def server_trace(counters: Sequence[Mapping[str, float]], started_ns: int) -> Trace | None:
    """What a llama-server's `/metrics` said over time; None where they were never read.

    Args:
        counters: by name, with `at_ns` on the monotonic clock.
    """
    if not counters:
        return None
    kept = [counters[i] for i in thinned(len(counters), MOST_POINTS)]
    names = dict.fromkeys(name for one in kept for name in one if name != AT_NS)
    varying, constant = _split({name: [_number(one.get(name)) for one in kept] for name in names})
    at_ms = tuple(round((one[AT_NS] - started_ns) / _MS_NS) for one in kept)
    return Trace(subject="llama-server", at_ms=at_ms, columns=varying, constant=constant)


def _number(value: float | None) -> Number | None:
    """Whole numbers as such, which are shorter."""
    return None if value is None else int(value) if value == int(value) else value


def _times(readings: Sequence[DeviceReading | HostReading], started_ns: int) -> tuple[int, ...]:
    return tuple(round((reading.at_ns - started_ns) / _MS_NS) for reading in readings)


def _from_zero(values: Sequence[Number | None]) -> list[Number | None]:
    """A counter since the first look that told it."""
    first = next((value for value in values if value is not None), 0)
    return [None if value is None else value - first for value in values]


def _split(columns: dict[str, list[Number | None]]) -> tuple[dict[str, tuple[Number | None, ...]], dict[str, Number]]:
    """The columns that vary, and those that had one value; without those that never had any.

    Sizes become MiB and durations ms, with the names that say so: finer steps would only be noise in a file.
    """
    varying: dict[str, tuple[Number | None, ...]] = {}
    constant: dict[str, Number] = {}
    for name, values in columns.items():
        short, step = _unit(name)
        scaled = [None if value is None else _short(value / step if step != 1 else value) for value in values]
        different = set(scaled)
        if different <= {None}:
            continue
        if len(different) == 1 and (only := scaled[0]) is not None:
            constant[short] = only
        else:
            varying[short] = tuple(scaled)
    return varying, constant


def _unit(name: str) -> tuple[str, int]:
    for unit, short, step in (("_bytes", "_mib", _MIB), ("_ns", "_ms", _MS_NS)):
        if name.endswith(unit):
            return name.removesuffix(unit) + short, step
    return name, 1


def _short(value: Number) -> Number:
    rounded = round(value, _DIGITS)
    return int(rounded) if rounded == int(rounded) else rounded
