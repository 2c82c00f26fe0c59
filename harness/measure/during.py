"""The proof while it runs: the device's memory grew by the model, and the device was busy during the timed part.

What a row says, and what the log says, is what llama.cpp believes. This is what the driver of the device saw. Two
checks, `device_memory` and `device_busy`; `docs/proof.md` says how their bounds were chosen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.measure.placement import Finding, contradicted, on_host, proven, unobservable
from harness.measure.summaries import SHORTEST_BUSY_NS
from harness.measure.windows import IDLE
from harness.values.bench import BenchRow, LogFacts
from harness.values.cell import Cell
from harness.values.facts import ModelFacts
from harness.values.failure import Reason
from harness.values.record import DURING
from harness.values.telemetry import DeviceSummary, Telemetry, Trace, WindowSummary

MEMORY, BUSY = DURING

ENOUGH_BY_LOG = 0.9
"""Share of the weights that the log puts on the device by which its memory has to grow. Less than all, since other
programs may give memory back meanwhile; cache and context come on top, so more is no contradiction."""

ENOUGH_BY_SIZE = 0.5
"""The same without a log: the token embeddings stay on the host, which is a third of a small model's size."""

TOO_LITTLE = 0.5
"""Below this share of what would be enough, the model is not there."""

SMALLEST_BYTES = 64 * 1024 * 1024
"""Below it a growth proves nothing: contexts and desktops move by tens of MiB."""

BUSY_PERCENT = 10.0
"""Mean utilisation from which on the device was at work. Small models leave a GPU waiting for its host between
kernels, so full utilisation cannot be asked for; idle ones show 0 to 3."""

IDLE_PERCENT = 3.0
"""Where no look in the window saw more, nothing ran on it."""

SMALLEST_SHARE = 0.25
"""Where fewer of the layers are on the device, its utilisation may be low by right."""

_MOVED = ("n_cpu_moe", "tensor_buft_overrides")
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How much of the model should lie on the devices: `enough` bytes prove it. `share` of its layers is there."""

    bytes: int
    enough: int
    share: float
    by: str


def findings(
    cell: Cell,
    row: BenchRow | None,
    telemetry: Telemetry | None,
    *,
    log: LogFacts | None,
    model: ModelFacts,
    software: bool,
) -> tuple[Finding, ...]:
    """What the telemetry proves about one cell of a GPU backend.

    Args:
        row: as llama-bench printed it; None for other programs, of which cell and model are taken at their word.
        telemetry: of the run; None where there was none.
        log: of this run or of the warm-up of the same key; None where there is none.
        software: the cell asked for a software device, which has neither memory nor utilisation to be seen.
    """
    if software:
        return tuple(unobservable(name, "a software device computes on the CPU") for name in DURING)
    if telemetry is None:
        return tuple(unobservable(name, "there was no telemetry") for name in DURING)
    window = telemetry.window(cell.id)
    asked, others = _devices(telemetry, window)
    if window is None or not asked:
        why = telemetry.problem or "no device was looked at"
        return tuple(unobservable(name, why) for name in DURING)
    expected = expect(cell, row, log, model)
    asked = _used(cell, asked)
    return _memory(expected, asked, others), _busy(expected, window, asked, others)


_Seen = tuple[Trace, DeviceSummary]


def _devices(telemetry: Telemetry, window: WindowSummary | None) -> tuple[list[_Seen], list[_Seen]]:
    """The devices that were asked for with what they did in the window, and the others with the most they ever did.

    Others are looked at once a second only, so that a short test may lie between two looks.
    """
    asked = [
        (trace, summary)
        for trace, summary in zip(telemetry.devices, window.devices if window else (), strict=False)
        if trace.asked
    ]
    others = [(trace, _most(telemetry, index)) for index, trace in enumerate(telemetry.devices) if not trace.asked]
    return asked, others


def _most(telemetry: Telemetry, index: int) -> DeviceSummary:
    seen = [w.devices[index] for w in telemetry.windows if w.window.name != IDLE and index < len(w.devices)]
    return DeviceSummary(
        readings=sum(summary.readings for summary in seen),
        memory_growth_bytes=max((grown for s in seen if (grown := _growth(s)) is not None), default=None),
        utilization_mean_percent=max(
            (mean for s in seen if (mean := s.utilization_mean_percent) is not None), default=None
        ),
    )


def _used(cell: Cell, asked: list[_Seen]) -> list[_Seen]:
    """Of several devices those that the split of the model leaves something to: as many as hold the most."""
    count = len(asked)
    if cell.params.get("split_mode") == "none":
        count = 1
    elif split := cell.params.get("tensor_split"):
        count = min(count, sum(bool(float(part)) for part in re.split(r"[,/;]", str(split)) if _is_number(part)))
    return sorted(asked, key=lambda pair: -(_growth(pair[1]) or 0))[: max(1, count)]


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*\d+(?:\.\d*)?\s*", text) is not None


def expect(cell: Cell, row: BenchRow | None, log: LogFacts | None, model: ModelFacts) -> Expected | None:
    """How much of the model should be on the devices; None where the parameters leave that open."""
    asked = cell.params.get("n_gpu_layers")
    layers = row.raw.get("n_gpu_layers", asked) if row else asked
    offloaded = layers if isinstance(layers, int) and not isinstance(layers, bool) else None
    total = log.layers_total if log and log.layers_total else (model.n_layers or 0) + 1
    share = 1.0 if offloaded is None or offloaded < 0 or total <= 1 else min(1.0, offloaded / total)
    if log and log.model_buffers:
        held = sum(size for name, size in log.model_buffers.items() if not on_host(name))
        return Expected(bytes=held, enough=round(ENOUGH_BY_LOG * held), share=share, by="its log")
    if any(cell.params.get(name) for name in _MOVED) or offloaded is None:
        return None
    held = round(share * (row.model_size if row else model.size_bytes))
    return Expected(bytes=held, enough=round(ENOUGH_BY_SIZE * held), share=share, by="its size and layers")


def _memory(expected: Expected | None, asked: Sequence[_Seen], others: Sequence[_Seen]) -> Finding:
    if expected is None:
        return unobservable(MEMORY, "the parameters move weights, and there is no log that says how much")
    wanted = f"{_mib(expected.bytes)} of weights by {expected.by}"
    if expected.bytes < SMALLEST_BYTES:
        return unobservable(MEMORY, f"{wanted} are too few to be told from other programs' memory")
    grown = [_growth(summary) for _, summary in asked]
    known = [growth for growth in grown if growth is not None]
    if len(known) < len(grown):
        reasons = sorted({_why(trace, "memory_used_bytes") for trace, s in asked if _growth(s) is None})
        return unobservable(MEMORY, "; ".join(reasons))
    evidence = f"grew by {' and '.join(_mib(growth) for growth in known)}, {wanted}"
    if sum(known) >= expected.enough and min(known) >= _least(expected, len(known)):
        return proven(MEMORY, evidence)
    return _too_little(expected, known, evidence, asked, others)


def _too_little(
    expected: Expected, grown: Sequence[int], evidence: str, asked: Sequence[_Seen], others: Sequence[_Seen]
) -> Finding:
    if any("memory_used_bytes" in trace.substitutes for trace, _ in asked):
        return unobservable(MEMORY, f"{evidence}; the host's memory is moved by other programs too")
    some = sum(grown) >= TOO_LITTLE * expected.enough
    if some and min(grown) >= _least(expected, len(grown)):
        return unobservable(MEMORY, f"{evidence}: neither enough nor nothing")
    elsewhere = next((t for t, s in others if (_growth(s) or 0) >= expected.enough), None)
    if elsewhere is not None:
        return contradicted(MEMORY, f"{evidence}; {_named(elsewhere)} grew instead", Reason.WRONG_DEVICE)
    return contradicted(MEMORY, evidence, Reason.WRONG_DEVICE if some else Reason.CPU_FALLBACK)


def _least(expected: Expected, devices: int) -> float:
    """What each of several devices has to hold: splits may be uneven, but none may hold nothing."""
    return 0.0 if devices == 1 else min(SMALLEST_BYTES, 0.1 * expected.bytes / devices)


def _growth(summary: DeviceSummary) -> int | None:
    """What the container's own processes hold, where the driver tells; else by how much the memory grew."""
    return summary.own_memory_bytes if summary.own_memory_bytes is not None else summary.memory_growth_bytes


def _busy(expected: Expected | None, window: WindowSummary, asked: Sequence[_Seen], others: Sequence[_Seen]) -> Finding:
    lasted_ns = window.window.end_ns - window.window.begin_ns
    if lasted_ns < SHORTEST_BUSY_NS:
        seconds = f"the test lasted {lasted_ns / 1e9:.2f} s"
        return unobservable(BUSY, f"{seconds}; drivers tell utilisation over up to a second, so it takes two")
    if expected is not None and expected.share == 0:
        return unobservable(BUSY, "no layer is on the device")
    known = [mean for _, summary in asked if (mean := summary.utilization_mean_percent) is not None]
    if len(known) < len(asked):
        blind = [trace for trace, summary in asked if summary.utilization_mean_percent is None]
        return unobservable(BUSY, "; ".join(sorted({_why(trace, "utilization_percent") for trace in blind})))
    evidence = f"utilisation {' and '.join(f'{mean:.0f} %' for mean in known)} over {lasted_ns / 1e9:.1f} s"
    if min(known) >= BUSY_PERCENT:
        return proven(BUSY, evidence)
    return _not_busy(expected, evidence, asked, others)


def _not_busy(expected: Expected | None, evidence: str, asked: Sequence[_Seen], others: Sequence[_Seen]) -> Finding:
    most = [summary.utilization_max_percent or 0.0 for _, summary in asked]
    if min(most) > IDLE_PERCENT:
        return unobservable(BUSY, f"{evidence}: neither busy nor idle")
    if expected is None or expected.share < SMALLEST_SHARE:
        return unobservable(BUSY, f"{evidence}, with a small part of the layers on it")
    elsewhere = next((t for t, s in others if (s.utilization_mean_percent or 0) >= BUSY_PERCENT), None)
    if elsewhere is not None:
        return contradicted(BUSY, f"{evidence}; {_named(elsewhere)} was busy instead", Reason.WRONG_DEVICE)
    return contradicted(BUSY, evidence, Reason.CPU_FALLBACK if max(most) <= IDLE_PERCENT else Reason.WRONG_DEVICE)


def _why(trace: Trace, field: str) -> str:
    return trace.missing.get(field, "no look at it fell into the test, or none before the container")


def _named(trace: Trace) -> str:
    return f"{trace.subject} at {trace.pci}" if trace.pci else trace.subject


def _mib(size: int) -> str:
    return f"{size / _MIB:.0f} MiB"
