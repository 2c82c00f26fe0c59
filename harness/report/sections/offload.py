"""Partial offload as a curve: speed and memory over the layers that lie on the device, or whose experts do not."""

from __future__ import annotations

from harness.analysis.arms import setting
from harness.analysis.memory import cell_memory
from harness.analysis.results import CellResult, MachineResults
from harness.report import naming, words
from harness.report.charts.offload import Line, chart
from harness.report.data import ReportData
from harness.stats.digits import plain, with_interval
from harness.values.backend import BACKENDS
from harness.values.block import Block, Heading, Paragraph, Table
from harness.values.cell import PARAMETERS
from harness.values.measurement import BENCH

LADDERS = {"n_gpu_layers": "Layers on the device", "n_cpu_moe": "Layers with experts on the host"}
SHORT = {name: f"{PARAMETERS[name].short} " for name in LADDERS}
TEXT = (
    "The same test with more and more of the model on the device. A layer that stays on the host is computed there, "
    "and its part of the KV cache stays there too. Weights on the device: by llama.cpp's own log, else as predicted."
)
COLUMNS = ("Machine", "Cell", "Step", "Tokens/s (95 % interval)", "Of the most offloaded", "Weights on the device")
ALIGN = ("left", "left", "right", "right", "right", "right")


def render(data: ReportData) -> tuple[Block, ...]:
    """A table and a chart for each kind of ladder; empty where no parameter of offload has two values."""
    blocks: list[Block] = []
    for name, title in LADDERS.items():
        ladders = [(machine, ladder) for machine in data.machines for ladder in _ladders(machine, name)]
        if not ladders:
            continue
        rows = tuple(_row(machine, result, ladder, name) for machine, ladder in ladders for result in ladder)
        start = 0 if data.several else 1
        blocks.append(
            Table(columns=COLUMNS[start:], rows=tuple(row[start:] for row in rows), align=ALIGN[start:], caption=title)
        )
        lines = [_line(machine, ladder, name, several=data.several) for machine, ladder in ladders]
        blocks += chart(f"offload-{name.replace('_', '-')}", title, lines)
    return (Heading(level=2, text="Partial offload"), Paragraph(text=TEXT), *blocks) if blocks else ()


def _ladders(machine: MachineResults, name: str) -> list[list[CellResult]]:
    """Cells that differ in this parameter only, the fewest first."""
    groups: dict[object, list[CellResult]] = {}
    for result in machine.cells:
        if result.cell.test.measurement != BENCH or not BACKENDS[result.cell.backend].is_gpu:
            continue
        if isinstance(result.cell.params.get(name), int):
            rest = tuple((key, str(value)) for key, value in sorted(setting(result).items()) if key != name)
            groups.setdefault((rest, result.cell.test, result.cell.label), []).append(result)
    ordered = (sorted(group, key=lambda r: _step(r, name)) for group in groups.values())
    return [group for group in ordered if len(group) > 1]


def _step(result: CellResult, name: str) -> int:
    value = result.cell.params.get(name, 0)
    return value if isinstance(value, int) else 0


def _line(machine: MachineResults, ladder: list[CellResult], name: str, *, several: bool) -> Line:
    top = _most(ladder, name)
    first = ladder[0]
    where = f", {machine.machine.machine}" if several else ""
    steps = []
    for result in ladder:
        if top and (rate := result.tokens_per_s) is not None:
            found = result.interval
            ends = (100 * found.low / top, 100 * found.high / top) if found else (None, None)
            steps.append((_step(result, name), 100 * rate / top, *ends))
    own = [word for word in words.parameters(first.cell).split(", ") if word and not word.startswith(SHORT[name])]
    called = ", ".join([naming.model(first), first.cell.test.name, naming.contender(machine, first), *own])
    return Line(name=called + where, steps=tuple(steps))


def _most(ladder: list[CellResult], name: str) -> float | None:
    """The speed of the most offloaded step."""
    return ladder[-1 if name == "n_gpu_layers" else 0].tokens_per_s


def _row(machine: MachineResults, result: CellResult, ladder: list[CellResult], name: str) -> tuple[str, ...]:
    top = _most(ladder, name)
    rate = result.tokens_per_s
    if rate is None:
        shown = str(result.failures[0][1].reason) if result.failures else "-"
    else:
        shown = with_interval(rate, result.interval) if result.interval else f"{plain(rate)} (no interval)"
    return (
        machine.machine.machine,
        result.cell.id,
        str(_step(result, name)),
        shown,
        "-" if rate is None or not top else f"{100 * rate / top:.0f} %",
        _weights(machine, result),
    )


def _weights(machine: MachineResults, result: CellResult) -> str:
    log = result.log
    if log is not None and log.model_buffers:
        prefix = BACKENDS[result.cell.backend].device_prefix or "-"
        held = [size for name, size in log.model_buffers.items() if name.startswith(prefix) and "_Host" not in name]
        return words.size(sum(held))
    memory = cell_memory(result, machine.machine)
    if memory is None or memory.predicted is None:
        return "-"
    return words.size(next(part.device for part in memory.predicted.parts if part.name == "weights"))
