"""From a folder with records to its report."""

from __future__ import annotations

from pathlib import Path

from harness.analysis.results import read_results
from harness.report.data import ReportData
from harness.report.sections import SECTIONS
from harness.report.writers import markdown
from harness.store.files import write_whole
from harness.store.reproductions import read_reproductions
from harness.values.block import Block


def report_blocks(data: ReportData) -> tuple[Block, ...]:
    """All sections in order."""
    return tuple(block for section in SECTIONS.values() for block in section(data))


def render_report(folder: Path, *, simulated: bool = False) -> str:
    """The text of `report.md`, from the records.

    Raises:
        InputError: there are no records, or they are damaged.
    """
    data = ReportData(
        name=folder.name,
        machines=read_results(folder, simulated=simulated),
        reproductions=read_reproductions(folder),
    )
    return markdown.write(report_blocks(data))


def write_report(folder: Path, *, simulated: bool = False) -> Path:
    """Write `report.md` from the records. The same records give the same bytes.

    Raises:
        InputError: there are no records, or they are damaged.
        MachineError: the report cannot be written.
    """
    path = folder / "report.md"
    write_whole(path, render_report(folder, simulated=simulated).encode())
    return path
