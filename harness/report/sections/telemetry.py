"""What devices and host were seen to do during the timed part of each cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from harness.analysis.results import CellResult
from harness.report import words
from harness.report.data import ReportData
from harness.report.holes import not_recorded
from harness.stats.digits import significant
from harness.values.block import Block, Heading, Paragraph, Table
from harness.values.telemetry import OF_THE_HOST, DeviceSummary, ThrottleKind, Trace

COLUMNS = (
    "Cell",
    "Device",
    "Memory",
    "Busy",
    "Power",
    "Net energy a token",
    "Temperature",
    "Clock",
    "Throttled",
    "PCIe",
)
LEFT = ("Machine", "Cell", "Device")
NONE = "-"

_FIELDS = {
    "memory_used_bytes": "memory",
    "utilization_percent": "busy",
    "power_w": "power",
    "temperature_c": "temperature",
    "core_clock_mhz": "clock",
    "throttle": "throttling",
}
"""What the table shows, and what it is called where it is missing. An energy counter stands in for power."""


def render(data: ReportData) -> tuple[Block, ...]:
    """A row for each cell and device that the cell computed on; empty where no run has telemetry."""
    rows: list[tuple[str, ...]] = []
    missing: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for machine, result in data.rows():
        for index, trace in _devices(result):
            name = machine.machine.machine
            seen = [run.summary.devices[index] for run in result.observed if index < len(run.summary.devices)]
            rows.append((name, *_row(result, trace, seen)) if data.several else _row(result, trace, seen))
            for field, reason in _missing(trace).items():
                fields, subjects = missing.setdefault(reason, ({}, {}))
                fields[_FIELDS[field]] = subjects[trace.subject] = None
    if not rows:
        return ()
    columns = ("Machine", *COLUMNS) if data.several else COLUMNS
    # A column that nothing is known for would only be wide; what is missing stands below with its reason.
    kept = [index for index in range(len(columns)) if any(row[index] != NONE for row in rows)]
    align = ["left" if columns[index] in LEFT else "right" for index in kept]
    shown = tuple(tuple(row[index] for index in kept) for row in rows)
    blocks: list[Block] = [
        Heading(level=2, text="Telemetry"),
        Paragraph(
            text="Of the timed part of each cell, as the median over rounds, sampled on the host: the most memory in "
            "use on the device by anybody, mean and most of the rest. Of a processor, memory is what the container's "
            "control group was charged with (weights that the page cache held before are not in it), and busy is the "
            "CPU time of all programs. Net energy is less idle power and needs a test of five seconds. A power limit "
            "is how many cards normally work; heat or hardware slowdown for over 1 % of the readings makes a run "
            "invalid."
        ),
        Table(columns=tuple(columns[index] for index in kept), rows=shown, align=tuple(align)),
    ]
    blocks += [Paragraph(text=text) for text in _hosts(data)]
    if missing:
        reasons = "; ".join(
            f"{', '.join(fields)}: {', '.join(subjects)}: {reason}" for reason, (fields, subjects) in missing.items()
        )
        blocks.append(Paragraph(text=f"Not to be had: {reasons}."))
    blocks += not_recorded(data, {machine.machine.machine for machine, result in data.rows() if _devices(result)})
    return tuple(blocks)


def _devices(result: CellResult) -> list[tuple[int, Trace]]:
    """The devices that the cell computed on, of its first run with telemetry, by their place in the summaries."""
    if not result.observed:
        return []
    return [(index, trace) for index, trace in enumerate(result.observed[0].traces) if trace.asked]


def _is_host(trace: Trace) -> bool:
    """Whether the device is the processor: its memory and how busy it is are the host's."""
    return trace.missing.get("memory_used_bytes") == OF_THE_HOST


def _missing(trace: Trace) -> dict[str, str]:
    found = {field: reason for field, reason in trace.missing.items() if field in _FIELDS}
    if "power_w" in found:
        # The energy counter's difference stands in for it.
        found["power_w"] = trace.missing.get("energy_j", "")
    return {field: reason for field, reason in found.items() if reason and reason != OF_THE_HOST}


def _row(result: CellResult, trace: Trace, seen: Sequence[DeviceSummary]) -> tuple[str, ...]:
    net = [s.net_energy_j for s in seen if s.net_energy_j is not None]
    tokens = [len(run.samples_ns) * result.cell.test.n_tokens for run in result.runs]
    untimed = any(run.summary.window.untimed for run in result.observed)
    per_token = median(net) / median(tokens) if net and tokens and not untimed else None
    memory = _median(s.memory_max_bytes for s in seen)
    busy = _both(seen, lambda s: s.utilization_mean_percent, lambda s: s.utilization_max_percent, "%")
    if _is_host(trace):
        hosts = [run.summary.host for run in result.observed if run.summary.host]
        memory = _median(host.container_memory_max_bytes for host in hosts)
        busy = _one(_median(100 * host.cpu_busy for host in hosts if host.cpu_busy is not None), "%")
    return (
        result.cell.id,
        f"{trace.subject} at {trace.pci}" if trace.pci else trace.subject,
        NONE if memory is None else words.size(round(memory)),
        busy,
        _both(seen, lambda s: s.power_mean_w, lambda s: s.power_max_w, "W"),
        NONE if per_token is None else f"{significant(per_token, 3)} J",
        _one(_median(s.temperature_max_c for s in seen), "°C"),
        _one(_median(s.core_clock_mean_mhz for s in seen), "MHz"),
        _throttled(seen),
        _link(seen),
    )


def _median(values: Iterable[float | int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _one(value: float | None, unit: str) -> str:
    return NONE if value is None else f"{value:.0f} {unit}"


def _both(
    seen: Sequence[DeviceSummary],
    mean: Callable[[DeviceSummary], float | None],
    most: Callable[[DeviceSummary], float | None],
    unit: str,
) -> str:
    middle, highest = _median(mean(s) for s in seen), _median(most(s) for s in seen)
    if middle is None:
        return NONE
    return f"{middle:.0f} {unit}" + (f", most {highest:.0f} {unit}" if highest is not None else "")


def _throttled(seen: Sequence[DeviceSummary]) -> str:
    told = [s.throttled for s in seen if s.throttled is not None]
    if not told:
        return NONE
    shares = {kind: max(throttled.get(kind, 0.0) for throttled in told) for kind in ThrottleKind}
    active = [f"{kind} {words.percent(share)}" for kind, share in shares.items() if share]
    return ", ".join(active) or "no"


def _link(seen: Sequence[DeviceSummary]) -> str:
    generation, width = _median(s.pcie_generation for s in seen), _median(s.pcie_width for s in seen)
    return NONE if generation is None or width is None else f"gen {generation:.0f} x{width:.0f}"


def _hosts(data: ReportData) -> list[str]:
    """A sentence a machine: the worst that was seen on its host while samples were taken."""
    found = []
    for machine in data.machines:
        windows = [run.summary.host for result in machine.cells for run in result.observed if run.summary.host]
        if not windows:
            continue
        steal = max((w.cpu_steal for w in windows if w.cpu_steal is not None), default=None)
        own = max((w.own_cpu for w in windows if w.own_cpu is not None), default=None)
        faults = max((w.container_major_faults for w in windows if w.container_major_faults is not None), default=None)
        memory = max((w.container_memory_max_bytes or 0 for w in windows), default=0) or None
        parts = [
            f"steal {words.percent(steal)}" if steal is not None else "",
            f"the harness itself {words.percent(own)} of the CPU time" if own is not None else "",
            f"{faults} pages read from disk" if faults is not None else "",
            f"{words.size(memory)} in the container" if memory else "",
        ]
        shown = ", ".join(part for part in parts if part)
        if shown:
            found.append(f"The most that was seen on {machine.machine.machine} during any test: {shown}.")
    return found
