"""Speed against the size of the weights: what a smaller quantization buys."""

from __future__ import annotations

from harness.analysis.results import CellResult
from harness.analysis.standings import may_be_ranked
from harness.report import naming
from harness.report.charts import MOST_LINES
from harness.report.data import ReportData
from harness.stats.digits import significant
from harness.values.block import Axis, Chart, Point, Series

_FEWEST = 3
GIB = 2.0**30


def charts(data: ReportData) -> tuple[Chart, ...]:
    """Text generation at no depth over the size of the model file; nothing below three sizes on one device."""
    lines: dict[str, dict[float, Point]] = {}
    rows = [
        (m, c)
        for m, c in data.rows()
        if c.cell.test.kind == "tg" and _plain(c) and may_be_ranked(c) and c.model and not c.synthetic
    ]
    for name, (_, result) in zip(naming.names(rows), rows, strict=True):
        size, interval = (result.model.size_bytes if result.model else 0) / GIB, result.interval
        lines.setdefault(name, {})[size] = Point(
            x=size,
            y=result.tokens_per_s or 0.0,
            low=interval.low if interval else None,
            high=interval.high if interval else None,
            label=naming.model(result),
        )
    series = [
        Series(name=name, points=tuple(points[size] for size in sorted(points)), line=True)
        for name, points in lines.items()
        if len(points) >= _FEWEST
    ][:MOST_LINES]
    if not series:
        return ()
    said = "; ".join(f"{s.name}: {', '.join(f'{p.label} {significant(p.y, 4)}' for p in s.points)}" for s in series)
    return (
        Chart(
            name="sizes",
            kind="xy",
            title="Text generation over the size of the model file",
            summary=f"Text generation, tokens per second: {said}.",
            x=Axis(title="Size of the model file, GiB", scale="log"),
            y=Axis(title="Tokens per second", scale="log"),
            series=tuple(series),
        ),
    )


def _plain(result: CellResult) -> bool:
    """At no depth, not for minutes, beside no other model: of these a line has one point a size."""
    test = result.cell.test
    return not (test.n_depth or test.sustained_s or result.cell.beside)
