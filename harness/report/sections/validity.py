"""Runs that broke a rule of validity: kept, shown, and not counted."""

from __future__ import annotations

from harness.report.data import ReportData
from harness.values.block import Block, Heading, Paragraph, Table
from harness.values.plan import MAX_REPEATS


def render(data: ReportData) -> tuple[Block, ...]:
    """A row for each invalid run; empty where there is none."""
    found: dict[tuple[str, ...], list[str]] = {}
    for machine, result in data.rows():
        for run in result.invalid:
            rules = "; ".join(f"{broken.rule}: {broken.evidence}" for broken in run.rules)
            after = (
                "the round was made again" if run.made_again else f"left out; the round was repeated {run.repeat} times"
            )
            where = f"round {run.round}" + (f", repetition {run.repeat}" if run.repeat else "")
            found.setdefault((machine.machine.machine, where, rules, after), []).append(result.cell.id)
    if not found:
        return ()
    aside = sum(result.set_aside for _, result in data.rows())
    rows = tuple(
        (machine, where, ", ".join(cells), rules, after) for (machine, where, rules, after), cells in found.items()
    )
    return (
        Heading(level=2, text="Invalid runs"),
        Paragraph(
            text="The rules were declared before and never look at the result. A round with an invalid run is made "
            f"again whole, at most {MAX_REPEATS} times; the last time counts, without its invalid runs. "
            f"Valid runs of such rounds that do not count either: {aside}."
        ),
        Table(columns=("Machine", "Where", "Cells", "Rule", "What became of it"), rows=rows, align=("left",) * 5),
    )
