"""From a folder with records to its report: `report.md`, the charts beside it, and `index.html`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from harness.analysis.imported import imported_rows
from harness.analysis.many import PageMaker, read_many
from harness.report.data import ReportData
from harness.report.page import build
from harness.report.page.columns import columns, joined, of_machines, samples_of
from harness.report.sections import SECTIONS, imported
from harness.report.writers import markdown
from harness.store.files import write_whole
from harness.store.imports import read_imports
from harness.store.quick_check import collector_paused
from harness.store.reproductions import read_reproductions
from harness.values.block import Block, Chart, Heading, Note, Table

REPORT = "report.md"
OF_LARGE = (
    "summary", "answer", "failures", "validity", "superseded", "comparisons", "controls", "method", "reproduce",
    "reproductions", "imported", "provenance",
)  # fmt: skip
"""Sections of a report with too many cells for a row each: what they come to. Each one is on the page beside it."""
MOST_ROWS = 200
"""Of a table in a large report."""


def report_blocks(data: ReportData) -> tuple[Block, ...]:
    """All sections in order. Where anything is simulated, each table and chart says so, since they are copied alone.

    Of a folder that holds imported results only, these.
    """
    if not data.machines:
        return (Heading(level=1, text=data.name), *imported.render(data))
    sections = [SECTIONS[name] for name in OF_LARGE] if data.large else list(SECTIONS.values())
    blocks = tuple(block for section in sections for block in section(data))
    if data.large:
        blocks = _shortened(blocks, len(data.rows()), brief=data.brief)
    if not any(cell.simulated for _, cell in data.rows()):
        return blocks
    return tuple(_marked(block) for block in blocks)


def _shortened(blocks: tuple[Block, ...], cells: int, *, brief: bool) -> tuple[Block, ...]:
    """The blocks of a large report: what is left out is said, at its beginning and under each table that was cut."""
    found: list[Block] = []
    for block in blocks:
        if isinstance(block, Table) and len(block.rows) > MOST_ROWS:
            left = len(block.rows) - MOST_ROWS
            found += [replace(block, rows=block.rows[:MOST_ROWS]), Note(kind="note", text=f"And {left:,} more rows.")]
        else:
            found.append(block)
    its = "the values of its runs" if brief else "its samples"
    text = (
        f"{cells:,} results are too many for tables to be read: here is what they come to. Each one, with {its} "
        "and its command, is in index.html beside this file; `invoke export` writes all of them."
        + (" Samples are in the records." if brief else "")
    )
    return (found[0], Note(kind="note", text=text), *found[1:])


def _marked(block: Block) -> Block:
    if isinstance(block, Table):
        return replace(block, columns=(f"{block.columns[0]} (simulated)", *block.columns[1:]))
    if isinstance(block, Chart):
        return replace(block, title=f"{block.title} (simulated)", summary=f"Simulated. {block.summary}")
    return block


def read_data(folder: Path, *, simulated: bool = False, name: str = "", cache: Path | None = None) -> ReportData:
    """What a report is made of.

    Args:
        name: of the folder where the report was written; its present one where it is left out.
        cache: see `read_many`.

    Raises:
        InputError: there are no records, or they are damaged.
    """
    rows = imported_rows(folder.name, read_imports(folder))
    reproductions = read_reproductions(folder)
    called = name or folder.name
    if rows and not any((folder / "records").glob("*.jsonl")):
        alone = columns(rows, {})
        return ReportData(name=called, machines=(), reproductions=reproductions, imported=rows, page=alone)
    pages = PageMaker(of=of_machines, join=lambda pages: joined(chain(pages, [columns(rows, {})])))
    found = read_many(folder, report=called, pages=pages, reproductions=reproductions, simulated=simulated, cache=cache)
    page = found.page if found.large else columns((*found.rows, *rows), samples_of(found.machines))
    return ReportData(
        name=called,
        machines=found.machines,
        reproductions=reproductions,
        imported=rows,
        page=page,
        large=found.large,
        brief=found.brief,
    )


def render_report(
    folder: Path, *, simulated: bool = False, name: str = "", cache: Path | None = None
) -> Mapping[str, str]:
    """The text of `report.md`, its charts and its page by their paths in the folder, from the records.

    Args:
        name, cache: see `read_data`.

    Raises:
        InputError: there are no records, or they are damaged.
    """
    with collector_paused():
        data = read_data(folder, simulated=simulated, name=name, cache=cache)
        blocks = report_blocks(data)
    charts = _drawn([block for block in blocks if isinstance(block, Chart)])
    page = build.write(blocks, data.page or {}, picture=lambda chart: charts[markdown.chart_path(chart)])
    return {**charts, build.PAGE: page, REPORT: markdown.write(blocks)}


def _drawn(charts: Sequence[Chart]) -> dict[str, str]:
    """Each chart by its path in the folder."""
    if not charts:
        return {}
    # It takes half a second and 40 MB, which a machine that measures must not pay before its report is written.
    from harness.report.writers import svg  # noqa: PLC0415

    return {markdown.chart_path(chart): svg.write(chart) for chart in charts}


def write_report(folder: Path, *, simulated: bool = False, cache: Path | None = None) -> Path:
    """Write `report.md`, its charts and its page from the records. The same records give the same bytes.

    Args:
        cache: see `read_data`.

    Raises:
        InputError: there are no records, or they are damaged.
        MachineError: the report cannot be written.
    """
    files = render_report(folder, simulated=simulated, cache=cache)
    # The report comes last: where it is, all that it shows is.
    for path, text in files.items():
        write_whole(folder / path, text.encode())
    for stray in stray_charts(folder, files):
        stray.unlink()
    return folder / REPORT


def stray_charts(folder: Path, files: Mapping[str, str]) -> tuple[Path, ...]:
    """Charts of earlier reports that the present one does not show."""
    return tuple(path for path in sorted((folder / "charts").glob("*.svg")) if f"charts/{path.name}" not in files)
