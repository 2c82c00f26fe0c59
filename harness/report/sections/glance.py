"""Pictures of the results. Everything in them stands in a table too."""

from __future__ import annotations

from harness.report.charts import energy, over_depth, rates, roofline, sizes
from harness.report.data import ReportData
from harness.values.block import Block, Heading


def render(data: ReportData) -> tuple[Block, ...]:
    """The charts that these results give; empty where they give none."""
    found = (
        *rates.charts(data),
        *over_depth.speed(data),
        *over_depth.memory(data),
        *roofline.charts(data),
        *sizes.charts(data),
        *energy.charts(data),
    )
    return (Heading(level=2, text="Pictures"), *found) if found else ()
