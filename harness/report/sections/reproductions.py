"""Who got these numbers again, and who did not."""

from __future__ import annotations

from harness.analysis.reproduction import in_words
from harness.report.data import ReportData
from harness.store.reproductions import Conclusion, Reproduction
from harness.values.block import Block, Heading, Paragraph, Table


def render(data: ReportData) -> tuple[Block, ...]:
    """A row a reproduction, and one for each cell that was not reproduced; empty where nobody tried."""
    if not data.reproductions:
        return ()
    good = sum(1 for reproduction in data.reproductions if reproduction.conclusion is Conclusion.REPRODUCED)
    text = (
        f"Reproduced by {good} of {len(data.reproductions)} attempts. A cell is reproduced where the ratio of the two "
        "starts lies within their intervals, widened by what is taken for the scatter from one start to another; the "
        "intervals of an attempt hold together with 95 %."
    )
    columns = ("Attempt", "Machine", "Original", "Harness", "Reproduced", "Not", "Inconclusive", "Not comparable")
    blocks: list[Block] = [
        Heading(level=2, text="Reproductions"),
        Paragraph(text=text),
        Table(
            columns=columns,
            rows=tuple(_row(reproduction) for reproduction in data.reproductions),
            align=("left",) * 4 + ("right",) * 4,
        ),
    ]
    rows = tuple((r.id[:8], cell.cell, in_words(cell)) for r in data.reproductions for cell in r.cells)
    blocks.append(Table(columns=("Attempt", "Cell", "Speed against the original"), rows=rows, align=("left",) * 3))
    remarks = tuple((r.id[:8], remark) for r in data.reproductions for remark in r.remarks)
    if remarks:
        blocks.append(Table(columns=("Attempt", "Not the same"), rows=remarks, align=("left",) * 2))
    return tuple(blocks)


def _row(found: Reproduction) -> tuple[str, ...]:
    return (
        f"{found.id[:8]}, {found.created_utc[:10]}",
        found.second_machine,
        found.first_machine,
        f"{found.harness_version} ({found.harness_source or 'no git'})",
        *(
            str(found.count(conclusion))
            for conclusion in (
                Conclusion.REPRODUCED,
                Conclusion.NOT_REPRODUCED,
                Conclusion.INCONCLUSIVE,
                Conclusion.NOT_COMPARABLE,
            )
        ),
    )
