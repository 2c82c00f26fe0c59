"""Generation against what the memory can deliver: advice, by data sheets."""

from __future__ import annotations

from harness.analysis.plausibility import Plausibility, Verdict, plausibility
from harness.analysis.results import CellResult, MachineResults
from harness.report.data import ReportData
from harness.values.block import Block, Heading, Note, Paragraph, Table

_COLUMNS = ("Cell", "Weights read, GB/s", "Data sheet, GB/s", "Share", "Remark")
_ALIGN = ("left", "right", "right", "right", "left")


def render(data: ReportData) -> tuple[Block, ...]:
    """A row for each cell that generates text; nothing where no device has a data sheet here."""
    found = [(machine, result, seen) for machine, result in data.rows() if (seen := plausibility(result)) is not None]
    if not any(seen.share is not None for _, _, seen in found):
        return ()
    rows = tuple(_row(data, machine, result, seen) for machine, result, seen in found)
    columns, align = (("Machine", *_COLUMNS), ("left", *_ALIGN)) if data.several else (_COLUMNS, _ALIGN)
    warnings = tuple(
        Note(kind="warning", text=f"{result.cell.id} on {machine.machine.machine}: {seen.reason}.")
        for machine, result, seen in found
        if seen.verdict in {Verdict.TOO_FAST, Verdict.TOO_SLOW}
    )
    text = (
        "Generating a token reads the weights once, and nothing reads faster than its memory. The KV cache is read too "
        "and not counted. Figures of data sheets are in harness/analysis/hardware.yaml of llama-bench-harness, each "
        "device with where its figures are from: mostly a data sheet, written down from memory. This is advice: it "
        "ranks and rejects nothing."
    )
    return (
        Heading(level=2, text="Generation against memory bandwidth"),
        Paragraph(text=text),
        *warnings,
        Table(columns=columns, rows=rows, align=align),
    )


def _row(data: ReportData, machine: MachineResults, result: CellResult, seen: Plausibility) -> tuple[str, ...]:
    cells = (
        result.cell.id,
        f"{seen.bytes_per_s / 1e9:.1f}" if seen.bytes_per_s is not None else "-",
        f"{seen.sheet.bandwidth_gb_s:g}" if seen.sheet else "-",
        f"{100 * seen.share:.0f} %" if seen.share is not None else "-",
        seen.reason,
    )
    return (machine.machine.machine, *cells) if data.several else cells
