"""Earlier results of cells that were measured again with something else, or that the matrix no longer asks for."""

from __future__ import annotations

from harness.analysis.superseded import Superseded
from harness.report.data import ReportData
from harness.stats.digits import significant
from harness.values.block import Block, Heading, Paragraph, Table


def render(data: ReportData) -> tuple[Block, ...]:
    """A row for each cell and each thing that it was measured with before; empty where there is none."""
    rows = tuple((m.machine.machine, *_row(old)) for m in data.machines for old in m.superseded_cells)
    if not rows:
        return ()
    stale = [m.machine.machine for m in data.machines if m.latest.only_stale]
    text = "Kept in the records and in no table above, since something that a number depends on changed."
    if stale:
        text += (
            f" The last start on {', '.join(stale)} measured only such cells again (--only-stale) and kept the rest."
        )
    columns = ("Machine", "Cell", "Measured", "Runs", "Tokens/s then", "Why it does not count")
    return (
        Heading(level=2, text="Superseded"),
        Paragraph(text=text),
        Table(columns=columns, rows=rows, align=("left", "left", "left", "right", "right", "left")),
    )


def _row(old: Superseded) -> tuple[str, ...]:
    first, last = old.first_utc[:10], old.last_utc[:10]
    return (
        old.cell,
        first if first == last else f"{first} to {last}",
        f"{old.runs} ({old.failures} failed)" if old.failures else str(old.runs),
        "-" if old.tokens_per_s is None else significant(old.tokens_per_s, 4),
        "; ".join(old.why),
    )
