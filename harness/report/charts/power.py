"""Lines over the power limit: speed, and tokens for a joule, both as shares of what the highest limit gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.analysis.power import Step, Sweep
from harness.report import naming
from harness.values.block import Axis, Chart, Point, Series

MOST_CHARTS = 4
_FEWEST = 2


def charts(sweeps: Sequence[Sweep]) -> tuple[Chart, ...]:
    """One for each sweep with two limits that have a number."""
    found = [chart for number, sweep in enumerate(sweeps[:MOST_CHARTS], start=1) if (chart := _chart(sweep, number))]
    return tuple(found)


def _chart(sweep: Sweep, number: int) -> Chart | None:
    lines = (
        ("Speed", _points(sweep, lambda step: step.tokens_per_s)),
        ("Tokens per joule", _points(sweep, lambda step: step.tokens_per_j)),
    )
    series = tuple(
        Series(name=name, points=points, line=True, colour=colour)
        for colour, (name, points) in enumerate(lines)
        if len(points) >= _FEWEST
    )
    if not series:
        return None
    first = sweep.steps[0].result
    said = "; ".join(f"{s.name}: {', '.join(f'{p.x:g} W {p.y:.0f} %' for p in s.points)}" for s in series)
    return Chart(
        name="power" if number == 1 else f"power-{number}",
        kind="xy",
        title=f"{naming.model(first)}, {first.cell.test.name}, over the power limit",
        summary=f"Percent of what the highest limit gives. {said}.",
        x=Axis(title="Power limit, W"),
        y=Axis(title="Percent of the highest limit's"),
        series=series,
    )


def _points(sweep: Sweep, of: Callable[[Step], float | None]) -> tuple[Point, ...]:
    top = of(sweep.steps[-1])
    if not top:
        return ()
    known = [(step.watts, value) for step in sweep.steps if (value := of(step))]
    return tuple(Point(x=float(watts), y=100 * value / top) for watts, value in known)
