"""The guide's levels and promises: what is good, what is a warning, and what was measured of what was promised."""

from __future__ import annotations

from harness.analysis.expected import Expected, expected
from harness.analysis.levels import Grade, Level, levels
from harness.analysis.results import CellResult, MachineResults
from harness.report.data import ReportData
from harness.report.holes import not_recorded
from harness.stats.digits import plain
from harness.values.block import Block, Heading, Paragraph, Table

_ORDER = (Grade.WARNING, Grade.BETWEEN, Grade.GOOD)


def render(data: ReportData) -> tuple[Block, ...]:
    """Two tables: levels, warnings first, and promises; without those for which there is nothing."""
    return (*_levels(data), *_promises(data))


def _levels(data: ReportData) -> tuple[Block, ...]:
    found = [(m, c, level) for m, c in data.rows() for level in levels(c, m)]
    if not found:
        return ()
    found.sort(key=lambda row: _ORDER.index(row[2].grade))
    columns = (*_machine_column(data), "Cell", "Check", "Level", "Found", "What to do")
    return (
        Heading(level=2, text="Levels"),
        Paragraph(
            text="Of the guide: a device in use for 80 to 100 % of the time is good, below 50 % a warning; memory "
            "below 90 % and above 95 %; the first token within 500 ms and after 2 s; speed that falls over time by "
            "more than 1 % is a warning. On the CPU use is that of its threads, and memory what the run held of the "
            "machine's."
        ),
        Table(
            columns=columns,
            rows=tuple((*_machine(data, m), c.cell.id, *_level(level)) for m, c, level in found),
            align=("left",) * len(columns),
        ),
        *not_recorded(data, {m.machine.machine for m, _, _ in found}),
    )


def _level(level: Level) -> tuple[str, ...]:
    return level.check, str(level.grade), level.found, level.todo


def _promises(data: ReportData) -> tuple[Block, ...]:
    found = [(m, c, seen) for m, c in data.rows() if (seen := expected(c)) is not None]
    if not found:
        return ()
    columns = (*_machine_column(data), "Cell", "Promised for", "Promised", "Measured", "Is", "Against the promise")
    return (
        Heading(level=2, text="Expected and measured"),
        Paragraph(
            text="What the guide promises of this card for a model of this size and quantization, and what the data "
            "sheet says of the promise: a token reads the weights once. The guide's figures are in "
            "harness/analysis/guide.yaml."
        ),
        Table(
            columns=columns,
            rows=tuple((*_machine(data, m), *_promise(c, seen)) for m, c, seen in found),
            align=("left",) * len(columns),
        ),
    )


def _promise(result: CellResult, seen: Expected) -> tuple[str, ...]:
    return (
        result.cell.id,
        seen.promise.title,
        seen.promised,
        f"{plain(seen.value)} {seen.unit}",
        seen.verdict,
        seen.promise.against_physics if seen.unit == "tokens/s" else "",
    )


def _machine_column(data: ReportData) -> tuple[str, ...]:
    return ("Machine",) if data.several else ()


def _machine(data: ReportData, machine: MachineResults) -> tuple[str, ...]:
    return (machine.machine.machine,) if data.several else ()
