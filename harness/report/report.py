"""From a folder with records to its report: `report.md`, the charts beside it, and `index.html`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.analysis.imported import imported_rows
from harness.analysis.results import read_results
from harness.analysis.table import rows_of
from harness.report.data import ReportData
from harness.report.page import build
from harness.report.page.columns import samples_of
from harness.report.sections import SECTIONS, imported
from harness.report.writers import markdown
from harness.store.files import write_whole
from harness.store.imports import read_imports
from harness.store.reproductions import read_reproductions
from harness.values.block import Block, Chart, Heading, Table

REPORT = "report.md"


def report_blocks(data: ReportData) -> tuple[Block, ...]:
    """All sections in order. Where anything is simulated, each table and chart says so, since they are copied alone.

    Of a folder that holds imported results only, these.
    """
    if not data.machines:
        return (Heading(level=1, text=data.name), *imported.render(data))
    blocks = tuple(block for section in SECTIONS.values() for block in section(data))
    if not any(cell.simulated for _, cell in data.rows()):
        return blocks
    return tuple(_marked(block) for block in blocks)


def _marked(block: Block) -> Block:
    if isinstance(block, Table):
        return replace(block, columns=(f"{block.columns[0]} (simulated)", *block.columns[1:]))
    if isinstance(block, Chart):
        return replace(block, title=f"{block.title} (simulated)", summary=f"Simulated. {block.summary}")
    return block


def read_data(folder: Path, *, simulated: bool = False, name: str = "") -> ReportData:
    """What a report is made of.

    Args:
        name: of the folder where the report was written; its present one where it is left out.

    Raises:
        InputError: there are no records, or they are damaged.
    """
    rows = imported_rows(folder.name, read_imports(folder))
    only = bool(rows) and not any((folder / "records").glob("*.jsonl"))
    return ReportData(
        name=name or folder.name,
        machines=() if only else read_results(folder, simulated=simulated),
        imported=rows,
        reproductions=read_reproductions(folder),
    )


def render_report(folder: Path, *, simulated: bool = False, name: str = "") -> Mapping[str, str]:
    """The text of `report.md`, its charts and its page by their paths in the folder, from the records.

    Args:
        name: see `read_data`.

    Raises:
        InputError: there are no records, or they are damaged.
    """
    # It takes half a second and 40 MB, which a machine that measures must not pay before its report is written.
    from harness.report.writers import svg  # noqa: PLC0415

    data = read_data(folder, simulated=simulated, name=name)
    blocks = report_blocks(data)
    charts = {markdown.chart_path(block): svg.write(block) for block in blocks if isinstance(block, Chart)}
    rows = (*rows_of(data.name, data.machines, data.reproductions), *data.imported)
    page = build.write(blocks, rows, samples_of(data), picture=lambda chart: charts[markdown.chart_path(chart)])
    return {**charts, build.PAGE: page, REPORT: markdown.write(blocks)}


def write_report(folder: Path, *, simulated: bool = False) -> Path:
    """Write `report.md`, its charts and its page from the records. The same records give the same bytes.

    Raises:
        InputError: there are no records, or they are damaged.
        MachineError: the report cannot be written.
    """
    files = render_report(folder, simulated=simulated)
    # The report comes last: where it is, all that it shows is.
    for path, text in files.items():
        write_whole(folder / path, text.encode())
    for stray in stray_charts(folder, files):
        stray.unlink()
    return folder / REPORT


def stray_charts(folder: Path, files: Mapping[str, str]) -> tuple[Path, ...]:
    """Charts of earlier reports that the present one does not show."""
    return tuple(path for path in sorted((folder / "charts").glob("*.svg")) if f"charts/{path.name}" not in files)
