"""Badges for a README: an image of shields.io for each row that may be ranked. The text is in its address."""

from __future__ import annotations

from urllib.parse import quote

from harness.analysis.groups import controls
from harness.report.exports.exported import Exported, one_line
from harness.report.naming import told_apart
from harness.report.writers.markdown import escape
from harness.stats.digits import plain
from harness.values.result_row import ResultRow

COLOUR = "blue"
MOST = 50


def markdown_bytes(exported: Exported) -> bytes:
    """A line a badge, the best of each group only; at most fifty. Noise for weights only where nothing else is."""
    may = [row for row in exported.rows if row.rankable and row.value is not None]
    may = [row for row in may if row.kind == "ranked"] or may
    # The faster arm of a control is faster by chance only.
    further = {id(arm) for _, arm in controls(may)}
    best: dict[str, ResultRow] = {}
    for row in may:
        kept = best.get(row.group)
        if id(row) not in further and (kept is None or _better(row, kept)):
            best[row.group] = row
    shown = list(best.values())[:MOST]
    called = told_apart([_called(row) for row in shown], [row.key for row in shown])
    lines = [badge(row, left) for row, left in zip(shown, called, strict=True)]
    if not lines:
        lines = ["No row of this report may be ranked, so that there is nothing for a badge."]
    return ("\n".join(lines) + "\n").encode()


def _better(row: ResultRow, other: ResultRow) -> bool:
    a, b = row.value or 0.0, other.value or 0.0
    return a > b if row.higher_is_better else a < b


def _called(row: ResultRow) -> str:
    return f"{row.model_title} {row.test} on {row.device}"


def badge(row: ResultRow, left: str = "") -> str:
    """One badge, as an image in Markdown whose text stands for those who do not load images.

    Args:
        left: what stands before the figure; the model, the test and the device where that is empty.
    """
    left = left or _called(row)
    right = f"{plain(row.value or 0.0)} {row.unit}"
    address = f"https://img.shields.io/badge/{_part(left)}-{_part(right)}-{COLOUR}"
    return f"![{escape(f'{left}: {right}')}]({address})"


def _part(text: str) -> str:
    """Text as a part of a badge's address: shields.io doubles dashes and underscores."""
    return quote(one_line(text).replace("-", "--").replace("_", "__"), safe="")
