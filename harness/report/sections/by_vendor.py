"""One table a vendor: its devices by backend, and what they do with each model."""

from __future__ import annotations

from collections import Counter

from harness.analysis.results import CellResult
from harness.analysis.standings import Row
from harness.report import naming
from harness.report.data import ReportData
from harness.report.sections.by_model import cell_text
from harness.values.block import Block, Heading, Note, Paragraph, Table
from harness.values.measurement import BENCH

MOST_COLUMNS = 6
_FEWEST = 2


def render(data: ReportData) -> tuple[Block, ...]:
    """Tables for each vendor, of the tests that most devices share; empty below two vendors."""
    vendors: dict[str, list[Row]] = {}
    for machine, result in data.rows():
        bench = result.cell.test.measurement == BENCH
        if bench and not result.software and not result.cell.label:
            vendors.setdefault(naming.vendor(machine, result), []).append((machine, result))
    # Of a cell without any number nobody knows on whose card it would have run.
    vendors = {vendor: rows for vendor, rows in vendors.items() if any(result.runs for _, result in rows)}
    if len(vendors) < _FEWEST:
        return ()
    results = [result for rows in vendors.values() for _, result in rows]
    columns = [*_columns(results, deep=False), *_columns(results, deep=True)]
    empty = Note(
        kind="warning",
        text="These devices are compared in an empty context only, and a ranking can turn with the depth. Add n_depth: "
        "[0, 4096] to the matrix.",
    )
    return (
        Heading(level=2, text="By vendor"),
        *(() if any(result.cell.test.n_depth for result in results) else (empty,)),
        Paragraph(
            text="Tokens per second with 95 % intervals, of the tests that most devices share: in an empty context, "
            "and behind a filled one (@d)."
        ),
        *(_table(vendor, rows, columns) for vendor, rows in vendors.items()),
    )


def _columns(results: list[CellResult], *, deep: bool) -> list[str]:
    shared = Counter(_work(result) for result in results if bool(result.cell.test.n_depth) is deep)
    return [work for work, _ in shared.most_common(MOST_COLUMNS)]


def _work(result: CellResult) -> str:
    return f"{naming.model(result)}, {result.cell.test.name}"


def _table(vendor: str, rows: list[Row], columns: list[str]) -> Table:
    found: dict[tuple[str, str], dict[str, CellResult]] = {}
    for name, (machine, result) in zip(naming.names(rows), rows, strict=True):
        found.setdefault((machine.machine.machine, name), {})[_work(result)] = result
    kept = [column for column in columns if any(column in results for results in found.values())]
    return Table(
        caption=f"{vendor}:",
        columns=("Machine", "Device and backend", *kept),
        rows=tuple((*row, *(cell_text(results.get(column)) for column in kept)) for row, results in found.items()),
        align=("left", "left", *("right" for _ in kept)),
    )
