"""Several models at once: memory of all of them, and the speed beside them against the same cell alone."""

from __future__ import annotations

from statistics import median

from harness.analysis.arms import Arms, differing
from harness.analysis.comparability import differences
from harness.analysis.comparisons import compare
from harness.analysis.memory import cell_memory
from harness.analysis.results import CellResult, MachineResults
from harness.report import words
from harness.report.data import ReportData
from harness.stats.digits import plain, with_interval
from harness.stats.verdicts import in_words
from harness.values.block import Block, Heading, Paragraph, Table

COLUMNS = (
    "Machine",
    "Cell",
    "Beside it",
    "Tokens/s (95 % interval)",
    "Against alone",
    "Its memory",
    "Theirs",
    "CPUs used",
)
ALIGN = ("left", "left", "left", "right", "left", "right", "right", "right")
TEXT = (
    "Other models were resident meanwhile, each in a server and a container of its own. Against alone: the same cell "
    "without them, paired by round, not corrected for being several. Memory on the device where drivers tell it by "
    "process, else of the processes on the host at their peak, mapped weights included; pages of a file that several "
    "map are there once. CPUs used: by the others, while the cell ran."
)


def render(data: ReportData) -> tuple[Block, ...]:
    """A row for each cell with models beside it; empty where there is none."""
    found = [(machine, result) for machine, result in data.rows() if result.cell.beside]
    if not found:
        return ()
    start = 0 if data.several else 1
    rows = tuple(_row(machine, result)[start:] for machine, result in found)
    return (
        Heading(level=2, text="Several models at once"),
        Paragraph(text=TEXT),
        Table(columns=COLUMNS[start:], rows=rows, align=ALIGN[start:]),
    )


def _row(machine: MachineResults, result: CellResult) -> tuple[str, ...]:
    memory = cell_memory(result, machine.machine)
    held = None if memory is None else memory.test.device if memory.test.device is not None else memory.measured_host
    state = "at work" if result.cell.beside_busy else "idle"
    return (
        machine.machine.machine,
        result.cell.id,
        f"{', '.join(result.cell.beside)} ({state})",
        _rate(result),
        _against(machine, result),
        "-" if held is None else words.size(held),
        _theirs(result),
        _cpus(machine, result),
    )


def _rate(result: CellResult) -> str:
    rate = result.tokens_per_s
    if rate is None:
        return str(result.failures[0][1].reason) if result.failures else "-"
    return with_interval(rate, result.interval) if result.interval else f"{plain(rate)} (no interval)"


def _against(machine: MachineResults, result: CellResult) -> str:
    alone = next((other for other in machine.cells if differs_by_neighbours(other, result)), None)
    if alone is None:
        return "not measured alone"
    refused = tuple(name for name in differences(alone, result) if name != "beside")
    name = machine.machine.machine
    compared = compare(Arms(first=alone, second=result, machines=(name, name), differs=("beside",), refused=refused))
    return in_words(compared.comparison, why_none=compared.why_none)


def differs_by_neighbours(alone: CellResult, result: CellResult) -> bool:
    """Whether the first is the same cell as the second, but for the models beside it."""
    a, b = alone.cell, result.cell
    return not a.beside and (a.test, a.label) == (b.test, b.label) and set(differing(alone, result)) == {"beside"}


def _theirs(result: CellResult) -> str:
    """Of each model the median over the runs; all of them together."""
    by_model: dict[str, list[int]] = {}
    for each in result.beside:
        held = each.device_bytes if each.device_bytes is not None else each.peak_resident_bytes
        if held is not None:
            by_model.setdefault(each.model, []).append(held)
    if set(by_model) != set(result.cell.beside):
        return "-"
    return words.size(round(sum(median(sizes) for sizes in by_model.values())))


def _cpus(machine: MachineResults, result: CellResult) -> str:
    """Their mean CPU time for a second of the run, the loading of the cell's own model included."""
    lasted = {record.id: record.duration_ns for record in machine.records}
    shares = [
        sum(each.cpu_ns for each in record.beside if each.cpu_ns is not None) / lasted[record.id]
        for record in machine.records
        if record.counted and record.beside and result.cell.id in {cell.id for cell in record.run.cells}
        if lasted[record.id] and all(each.cpu_ns is not None for each in record.beside)
    ]
    return plain(median(shares)) if shares else "-"
