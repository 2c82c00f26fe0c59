"""Lines over the depth of the context: speed, and memory on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median

from harness.analysis.comparability import beside
from harness.analysis.results import CellResult
from harness.analysis.standings import Row
from harness.report import naming
from harness.report.charts import MOST_LINES
from harness.report.data import ReportData
from harness.stats.digits import plain
from harness.values.block import Axis, Chart, Point, Series
from harness.values.cell import Test

MOST_CHARTS = 4
_FEWEST = 2
_TITLES = {"pp": "Prompt processing", "tg": "Text generation"}
GIB = 2.0**30

Value = Callable[[CellResult], tuple[float, float | None, float | None] | None]


def speed(data: ReportData) -> tuple[Chart, ...]:
    """For each model and kind of test that was measured at several depths, speed over depth."""
    found = []
    for (model, test, others), rows in _groups(data).items():
        if test.kind not in _TITLES:
            continue
        title = f"{_TITLES[test.kind]} of {model}{others} ({test.name}) over the depth of the context"
        chart = _chart(f"depth-{test.kind}", title, "Tokens per second", rows, _rate)
        found += [chart] if chart else []
    return _numbered(found)


def memory(data: ReportData) -> tuple[Chart, ...]:
    """The most memory in use on the device over depth, by the telemetry; by llama.cpp's log where there is none."""
    found = []
    for (model, test, others), rows in _groups(data).items():
        if test.kind == "tg":
            title = f"Memory for {model}{others} ({test.name}) over the depth of the context"
            chart = _chart("memory", title, "Memory on the device, GiB", rows, _memory)
            found += [chart] if chart else []
    return _numbered(found)


def memory_bytes(result: CellResult) -> float | None:
    """What a cell took on its devices: seen in use by its own run, or as llama.cpp's log adds up; None if untold."""
    seen = [
        sum(d.memory_growth_bytes or 0 for d, t in zip(run.summary.devices, run.traces, strict=False) if t.asked)
        for run in result.observed
        if any(d.memory_growth_bytes for d, t in zip(run.summary.devices, run.traces, strict=False) if t.asked)
    ]
    if seen:
        return median(seen)
    if result.log is None:
        return None
    buffers = (result.log.model_buffers, result.log.kv_buffers, result.log.compute_buffers)
    return float(sum(sum(each.values()) for each in buffers)) or None


def _groups(data: ReportData) -> dict[tuple[str, Test, str], list[Row]]:
    """Results with a number by model, by test but for its depth, and by the models beside it in words."""
    found: dict[tuple[str, Test, str], list[Row]] = {}
    for machine, result in data.rows():
        if result.runs and not result.software:
            test = replace(result.cell.test, n_depth=0)
            others = f" beside {beside(result.cell)}" if result.cell.beside else ""
            found.setdefault((naming.model(result), test, others), []).append((machine, result))
    return found


def _rate(result: CellResult) -> tuple[float, float | None, float | None] | None:
    interval = result.interval
    return (result.tokens_per_s or 0.0, interval.low if interval else None, interval.high if interval else None)


def _memory(result: CellResult) -> tuple[float, float | None, float | None] | None:
    found = memory_bytes(result)
    return None if found is None else (found / GIB, None, None)


def _chart(name: str, title: str, unit: str, rows: Sequence[Row], value: Value) -> Chart | None:
    lines: dict[str, list[Point]] = {}
    for called, (_, result) in zip(naming.names(rows), rows, strict=True):
        if (found := value(result)) is not None:
            point = Point(x=float(result.cell.test.n_depth), y=found[0], low=found[1], high=found[2])
            lines.setdefault(called, []).append(point)
    series = [
        Series(name=called, points=tuple(sorted(points, key=lambda p: p.x or 0.0)), line=True)
        for called, points in lines.items()
        if len({point.x for point in points}) >= _FEWEST
    ]
    if not series:
        return None
    # The highest are kept, in the order of the results, so that a contender has one colour in all charts of a model.
    kept = sorted(series, key=lambda each: -each.points[0].y)[:MOST_LINES]
    more = f" {len(series) - MOST_LINES} further lines are left out." if len(series) > MOST_LINES else ""
    series = [each for each in series if each in kept]
    said = "; ".join(
        f"{each.name}: {plain(each.points[0].y)} at {each.points[0].x:.0f}, "
        f"{plain(each.points[-1].y)} at {each.points[-1].x:.0f}"
        for each in series
    )
    return Chart(
        name=name,
        kind="xy",
        title=title,
        summary=f"{title}. {unit}: {said}.{more}",
        x=Axis(title="Depth, tokens in the context before", scale="linear"),
        y=Axis(title=unit),
        series=tuple(series),
    )


def _numbered(found: Sequence[Chart]) -> tuple[Chart, ...]:
    kept = found[:MOST_CHARTS]
    return tuple(replace(chart, name=f"{chart.name}-{number}") for number, chart in enumerate(kept, start=1))
