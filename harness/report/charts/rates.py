"""Bars with intervals: how fast each contender is, within each model and test."""

from __future__ import annotations

from harness.analysis.results import CellResult
from harness.analysis.standings import Row, standings
from harness.report import naming
from harness.report.data import ReportData
from harness.stats.digits import fixed, interval_decimals
from harness.values.block import Axis, Chart, Point, Series

MOST_BARS = 24
_TITLES = {"pp": "Prompt processing", "tg": "Text generation"}


def charts(data: ReportData) -> tuple[Chart, ...]:
    """A chart for each kind of test that has results to hold against each other; the largest groups first."""
    groups = [s.rows for s in standings(data.rows()) if len(s.rows) > 1]
    found = []
    for kind, title in _TITLES.items():
        wanted = [rows for rows in groups if rows[0][1].cell.test.kind == kind]
        # Depth has charts of its own. The sort keeps the matrix's order among equals.
        least = min((rows[0][1].cell.test.n_depth for rows in wanted), default=0)
        wanted = sorted((rows for rows in wanted if rows[0][1].cell.test.n_depth == least), key=len, reverse=True)
        kept: list[tuple[Row, ...]] = []
        for rows in wanted:
            if sum(map(len, kept)) + len(rows) <= MOST_BARS or not kept:
                kept.append(rows[:MOST_BARS])
        if kept:
            found.append(_chart(kind, title, kept, left_out=len(wanted) - len(kept)))
    return tuple(found)


def _shown(result: CellResult) -> str:
    rate = result.tokens_per_s or 0.0
    return fixed(rate, interval_decimals(rate, result.interval))


def _chart(kind: str, title: str, groups: list[tuple[Row, ...]], *, left_out: int) -> Chart:
    by_vendor: dict[str, list[Point]] = {}
    said = []
    for group, rows in zip(naming.groups([rows[0][1] for rows in groups]), groups, strict=True):
        called = naming.names(rows)
        values = [_shown(result) for _, result in rows]
        said.append(f"{group}: " + ", ".join(map(" ".join, zip(called, values, strict=True))))
        for name, value, (machine, result) in zip(called, values, rows, strict=True):
            interval = result.interval
            point = Point(
                y=result.tokens_per_s or 0.0,
                low=interval.low if interval else None,
                high=interval.high if interval else None,
                label=name,
                group=group,
                shown=value,
            )
            by_vendor.setdefault(naming.vendor(machine, result), []).append(point)
    more = f" {left_out} further groups are in the tables only." if left_out else ""
    return Chart(
        name=f"rates-{kind}",
        kind="bars",
        title=f"{title}: tokens per second, with 95 % intervals",
        summary=f"{title}, tokens per second. {'; '.join(said)}.{more}",
        x=Axis(title="Tokens per second"),
        y=Axis(title=""),
        series=tuple(
            Series(name=name, points=tuple(points), colour=naming.vendor_colour(name))
            for name, points in by_vendor.items()
        ),
    )
