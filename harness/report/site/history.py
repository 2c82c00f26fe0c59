"""The histories of cells on a matrix's page: a chart, a table of starts, and where the level changed."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise

from harness.analysis.cell_history import CellHistory, Start
from harness.report.site.content import count
from harness.report.site.frame import Frame, Link, heading, paragraph
from harness.report.writers.html import escape
from harness.stats.change_points import FEWEST, FEWEST_BESIDE
from harness.stats.digits import significant, with_interval
from harness.values.block import Axis, Chart, Point, Series

MOST_CHARTS = 24
"""Of a page: each is 15 to 30 KB."""
MOST_STARTS = 60
_FEWEST_FOR_A_CHART = 3


def write(
    frame: Frame, histories: Sequence[CellHistory], pages: dict[str, Link], *, picture: Callable[[Chart], str]
) -> str:
    """Every cell that was measured by at least two starts; those that changed come first.

    Args:
        pages: of the reports, by their names. picture: draws a chart as SVG.
    """
    shown = sorted((h for h in histories if len(h.starts) > 1), key=lambda h: not h.changes)
    parts = [heading("History over builds and days")]
    if not shown:
        parts.append(paragraph("Every cell was measured by one start only. A further start, on another day or with "
                               "another build, begins a history."))  # fmt: skip
        return "\n".join(parts)
    parts.append(paragraph(_method(histories)))
    charts = 0
    for history in shown:
        title = f"{history.model}, {history.cell.test.name}: {history.cell.id} on {history.device}, {history.machine}"
        parts += ['<div class="history">', heading(title, level=3)]
        parts += [paragraph(_words(history, number), "warning") for number in range(len(history.changes))]
        if charts < MOST_CHARTS and len(history.starts) >= _FEWEST_FOR_A_CHART:
            charts += 1
            chart = _chart(history)
            image = base64.b64encode(picture(chart).encode()).decode()
            alt = escape(chart.summary)
            parts.append(f'<figure><img alt="{alt}" src="data:image/svg+xml;base64,{image}"></figure>')
        parts += [_table(frame, history, pages), "</div>"]
    return "\n".join(parts)


def _method(histories: Sequence[CellHistory]) -> str:
    examined = sum(len(history.starts) >= FEWEST for history in histories)
    said = (
        "One point is one start of the harness with one build: the median over its runs with its 95 % interval. A "
        "change of level is shown where the ranks before and after it are further apart than in 95 % of random orders "
        f"of the same points, and by more than 1 %; that takes at least {FEWEST} starts, {FEWEST_BESIDE} on each "
        "side."
    )
    if not examined:
        return f"{said} None of these histories is that long yet: no change can be shown, and none can be ruled out."
    chance = max(1, round(examined / 20))
    return (
        f"{said} {count(examined, 'history').replace('historys', 'histories')} "
        f"{'is' if examined == 1 else 'are'} that long; by chance alone one in twenty shows a change"
        + (f", here about {chance}." if examined >= 20 else ".")  # noqa: PLR2004 - one in twenty
    )


def _words(history: CellHistory, number: int) -> str:
    change = history.changes[number]
    before, after = history.starts[change.at - 1], history.starts[change.at]
    build = f", {before.build} to {after.build}" if before.build != after.build else ", with the same build"
    return (
        f"Change of level between {before.started_utc[:10]} and {after.started_utc[:10]}{build}: {change.words} "
        f"(p = {change.p:.2g}; 95 % interval by Welch's t over the starts, unadjusted)."
    )


def _table(frame: Frame, history: CellHistory, pages: dict[str, Link]) -> str:
    changed = {change.at for change in history.changes}
    rows = [
        (
            start.started_utc[:16].replace("T", " "),
            start.build,
            with_interval(start.tokens_per_s, start.interval),
            str(start.runs),
            pages.get(start.report, start.report),
            "the level changed before it" if number in changed else "",
        )
        for number, start in enumerate(history.starts)
    ][-MOST_STARTS:]
    columns = ("Started (UTC)", "llama.cpp", "Tokens/s (95 % interval)", "Runs", "Matrix", "Change")
    left = len(history.starts) - len(rows)
    more = paragraph(f"{left} earlier starts are in the chart and in the records.", "small") if left else ""
    return frame.table(columns, rows, right=(2, 3), label=f"Starts of {history.cell.id}") + more


def _chart(history: CellHistory) -> Chart:
    """One series a level, so that a change is seen as a break of the line."""
    first = _day(history.starts[0])
    ends = [0, *(change.at for change in history.changes), len(history.starts)]
    series = []
    for start, end in pairwise(ends):
        own = history.starts[start:end]
        days = f"{own[0].started_utc[:10]} to {own[-1].started_utc[:10]}"
        builds = own[0].build if own[0].build == own[-1].build else f"{own[0].build} to {own[-1].build}"
        series.append(Series(name=f"{days}, {builds}", points=tuple(_point(s, first) for s in own), line=True))
    rates = [start.tokens_per_s for start in history.starts]
    return Chart(
        name="history",
        kind="xy",
        title=f"{history.cell.id} on {history.device}",
        summary=f"{len(rates)} starts from {_date(history.starts[0])} to {_date(history.starts[-1])}, "
        f"{significant(min(rates), 4)} to {significant(max(rates), 4)} tokens/s, "
        f"{count(len(history.changes), 'change')} of level. "
        "The table below holds the same.",
        x=Axis(title=f"Days since {_date(history.starts[0])}"),
        y=Axis(title="Tokens per second (axis does not begin at zero)", scale="span"),
        series=tuple(series),
    )


def _point(start: Start, first: float) -> Point:
    interval = start.interval
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Point(x=_day(start) - first, y=start.tokens_per_s, low=low, high=high)


def _date(start: Start) -> str:
    return start.started_utc[:10]


def _day(start: Start) -> float:
    return datetime.fromisoformat(start.started_utc.replace("Z", "+00:00")).timestamp() / 86400
