"""How the A/A controls came out."""

from __future__ import annotations

from harness.analysis.controls import controls
from harness.report.data import ReportData
from harness.stats.verdicts import in_words
from harness.values.block import Block, Heading, Note, Paragraph, Table


def render(data: ReportData) -> tuple[Block, ...]:
    """The same cell under two labels, compared; a note where a matrix has no such pair."""
    rows = []
    for machine in data.machines:
        for control in controls(machine):
            pair = f"{control.arms.first.cell.id} and #{control.arms.second.cell.label}"
            rounds = str(control.comparison.rounds) if control.comparison else "-"
            said = in_words(control.comparison, why_none=control.why_none)
            rows.append((machine.machine.machine, pair, rounds, said))
    heading = Heading(level=2, text="Control: the same thing twice")
    if not rows:
        text = (
            "This matrix has no A/A pair: a cell under two labels would show how far apart equal things come out here."
        )
        return heading, Note(kind="note", text=text)
    columns = ("Machine", "Cells", "Rounds", "The second is")
    return (
        heading,
        Paragraph(
            text="One cell under two labels, measured twice in each round: paired t on the per-round log ratio, 95 % "
            "intervals without a correction for several pairs. Faster or slower is a false alarm, which is expected of "
            "one in twenty such pairs; inconclusive is none, and says that the noise hides what is inside its interval."
        ),
        Table(columns=columns, rows=tuple(rows), align=("left", "left", "right", "left")),
    )
