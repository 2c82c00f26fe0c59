"""Speed and memory over the depth of the context, and where a ranking turns with it."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.comparisons import Compared
from harness.analysis.depth import Curve, Turn, curves, turns
from harness.analysis.memory import cell_memory
from harness.analysis.results import CellResult, MachineResults
from harness.report import words
from harness.report.data import ReportData
from harness.stats.digits import plain, with_interval
from harness.stats.verdicts import in_words
from harness.values.block import Block, Heading, Note, Paragraph, Table
from harness.values.measurement import LATENCY

TEXT = (
    "The same test behind more and more tokens that are in the context already: tokens per second with the 95 % "
    "interval, and the memory at its peak. A ranking is said to turn where one setting is shown to be faster at one "
    "depth and the other at another, by paired intervals that are corrected for all that are compared."
)
TITLE = "Over the depth of the context"
COLUMNS = ("Machine", "Model", "Test", "Setting", "Depth", "Tokens/s (95 % interval)", "Of the shallowest", "Memory")
WAITING = ("Machine", "Model", "Test", "Setting", "Depth", "Time to first token", "Between tokens, p50", "Memory")
ALIGN = ("left", "left", "left", "left", "right", "right", "right", "right")


def render(data: ReportData) -> tuple[Block, ...]:
    """A row for each depth of each setting; empty where nothing was measured at two depths."""
    found = [(machine, curve) for machine in data.machines for curve in curves(machine)]
    waiting = _waiting(data)
    if not found:
        return (Heading(level=2, text=TITLE), *waiting) if waiting else ()
    notes = [Note(kind="warning", text=_turned(machine, turn)) for machine in data.machines for turn in turns(machine)]
    rows = tuple(row for machine, curve in found for row in _rows(machine, curve))
    start = 0 if data.several else 1
    return (
        Heading(level=2, text=TITLE),
        Paragraph(text=TEXT),
        *notes,
        Table(columns=COLUMNS[start:], rows=tuple(row[start:] for row in rows), align=ALIGN[start:]),
        *waiting,
    )


def _waiting(data: ReportData) -> tuple[Block, ...]:
    """How long a client waits behind a prefix of each depth; empty where no server was asked at two."""
    found = [(machine, curve) for machine in data.machines for curve in curves(machine, LATENCY)]
    start = 0 if data.several else 1
    rows = tuple(_waited(machine, result)[start:] for machine, curve in found for result in curve.results)
    if not rows:
        return ()
    return (
        Paragraph(
            text="The time to first token of a server, behind a prefix of that depth that is in its cache, and the "
            "time between tokens after it: milliseconds, with 95 % intervals."
        ),
        Table(columns=WAITING[start:], rows=rows, align=(*ALIGN[start:5], "right", "right", "right")),
    )


def _waited(machine: MachineResults, result: CellResult) -> tuple[str, ...]:
    return (
        machine.machine.machine,
        result.model.title if result.model else result.cell.model,
        result.cell.test.name.partition("@")[0],
        _setting(result),
        str(result.cell.test.n_depth),
        *(_metric(result, name) for name in ("ttft_ms", "itl_p50_ms")),
        _memory(machine, result),
    )


def _metric(result: CellResult, name: str) -> str:
    found = result.metric(name)
    if found is None:
        return str(result.failures[0][1].reason) if result.failures else "-"
    return with_interval(found.median, found.interval)


def _rows(machine: MachineResults, curve: Curve) -> list[tuple[str, ...]]:
    first = curve.results[0]
    return [_row(machine, first, result) for result in curve.results]


def _row(machine: MachineResults, first: CellResult, result: CellResult) -> tuple[str, ...]:
    rate, base = result.tokens_per_s, first.tokens_per_s
    return (
        machine.machine.machine,
        result.model.title if result.model else result.cell.model,
        result.cell.test.name.partition("@")[0],
        _setting(result),
        str(result.cell.test.n_depth),
        _rate(result),
        "-" if rate is None or not base else f"{100 * rate / base:.0f} %",
        _memory(machine, result),
    )


def _memory(machine: MachineResults, result: CellResult) -> str:
    memory = cell_memory(result, machine.machine)
    held = None if memory is None else memory.test.device if memory.test.device is not None else memory.measured_host
    return "-" if held is None else words.size(held)


def _rate(result: CellResult) -> str:
    if result.tokens_per_s is None:
        return str(result.failures[0][1].reason) if result.failures else "-"
    if result.interval is None:
        return f"{plain(result.tokens_per_s)} (no interval)"
    return with_interval(result.tokens_per_s, result.interval)


def _setting(result: CellResult) -> str:
    parameters = words.parameters(result.cell)
    return words.backend(result.cell) + (f", {parameters}" if parameters else "")


def _turned(machine: MachineResults, turn: Turn) -> str:
    shallow, deep = turn.depths
    first, second = turn.shallow.arms.first, turn.shallow.arms.second
    model = first.model.title if first.model else first.cell.model
    test = first.cell.test.name.partition("@")[0]
    return (
        f"On {machine.machine.machine} a ranking of {model}, {test}, turns between a depth of {shallow} and of {deep}: "
        f"{_setting(second)} is {_words([turn.shallow])} than {_setting(first)} at {shallow}, and "
        f"{_words([turn.deep])} at {deep}."
    )


def _words(compared: Sequence[Compared]) -> str:
    return ", ".join(in_words(each.comparison, why_none=each.why_none) for each in compared)
