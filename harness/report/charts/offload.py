"""Lines over the layers that lie on the device: speed, as a share of what the most offloaded arrangement gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.charts import MOST_LINES
from harness.values.block import Axis, Chart, Point, Series

_FEWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One ladder: its name, and of each step with a number the layers, the speed and the interval's ends in percent."""

    name: str
    steps: tuple[tuple[int, float, float | None, float | None], ...]


def chart(name: str, title: str, lines: Sequence[Line]) -> tuple[Chart, ...]:
    """A chart of the first seven ladders with two steps that have a number; none without any.

    Args:
        name: of its file. title: what the steps count.
    """
    usable = [line for line in lines if len(line.steps) >= _FEWEST]
    if not usable:
        return ()
    shown = usable[:MOST_LINES]
    more = f" {len(usable) - MOST_LINES} further lines are left out." if len(usable) > MOST_LINES else ""
    said = "; ".join(f"{line.name}: {', '.join(f'{x} {y:.0f} %' for x, y, _, _ in line.steps)}" for line in shown)
    return (
        Chart(
            name=name,
            kind="xy",
            title=f"Speed over {title[0].lower()}{title[1:]}",
            summary=f"Percent of the most offloaded arrangement's speed. {said}.{more}",
            x=Axis(title=title),
            y=Axis(title="Percent of the most offloaded"),
            series=tuple(
                Series(
                    name=line.name,
                    points=tuple(Point(x=float(x), y=y, low=low, high=high) for x, y, low, high in line.steps),
                    line=True,
                )
                for line in shown
            ),
        ),
    )
