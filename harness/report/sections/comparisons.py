"""Labelled arms of one matrix, compared round by round."""

from __future__ import annotations

from harness.analysis.arms import labelled_arms
from harness.analysis.comparisons import Compared, compare_all
from harness.analysis.results import CellResult
from harness.report.data import ReportData
from harness.stats.digits import fixed, plain
from harness.stats.intervals import Interval
from harness.stats.verdicts import in_words, percent
from harness.values.block import Block, Heading, Paragraph, Table

COLUMNS = (
    "Machine",
    "Model",
    "Test",
    "Differs in",
    "Base",
    "Tokens/s",
    "Other",
    "Tokens/s",
    "Rounds",
    "The other is",
    "Sign interval",
    "Could show",
)
ALIGN = ("left", "left", "left", "left", "left", "right", "left", "right", "right", "left", "right", "right")


def render(data: ReportData) -> tuple[Block, ...]:
    """A row for each pair of arms that differ in more than their label; empty where a matrix has none."""
    arms = [arms for machine in data.machines for arms in labelled_arms(machine)]
    if not arms:
        return ()
    compared = compare_all(arms)
    number = sum(each.comparison is not None for each in compared)
    several = (
        f"They are {number} comparisons: by Holm's procedure the chance of any difference that is not there is 5 % for "
        "all of them together, which widens their intervals. "
        if number > 1
        else ""
    )
    return (
        Heading(level=2, text="Comparisons"),
        Paragraph(
            text="Speed of the other arm over speed of the base, by the ratios of the rounds that both were measured "
            f"in; paired t on their logarithms, 95 % intervals. {several}The sign interval assumes no distribution and "
            "is not adjusted."
        ),
        Table(columns=COLUMNS, rows=tuple(_row(each) for each in compared), align=ALIGN),
        Paragraph(
            text="Could show: the smallest difference that so many rounds with this scatter would have shown in four "
            "of five attempts."
        ),
    )


def _row(each: Compared) -> tuple[str, ...]:
    first, second = each.arms.first, each.arms.second
    return (
        each.arms.machines[0],
        first.model.title if first.model else first.cell.model,
        first.cell.test.name,
        ", ".join(each.arms.differs),
        f"#{first.cell.label}",
        _rate(first),
        f"#{second.cell.label}",
        _rate(second),
        str(each.comparison.rounds) if each.comparison else "-",
        in_words(each.comparison, why_none=each.why_none),
        _sign(each.sign),
        f"{percent(100 * each.comparison.smallest_effect)} %" if each.comparison else "-",
    )


def _rate(result: CellResult) -> str:
    return "-" if result.tokens_per_s is None else plain(result.tokens_per_s)


def _sign(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    low, high = (fixed(100 * (end - 1), 1) for end in (interval.low, interval.high))
    return f"{low} to {high} %"
