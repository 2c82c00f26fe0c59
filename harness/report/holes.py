"""Machines that a section has nothing of, named: else a reader takes the others for all."""

from __future__ import annotations

from collections.abc import Collection

from harness.report.data import ReportData
from harness.values.block import Block, Paragraph


def not_recorded(data: ReportData, shown: Collection[str]) -> tuple[Block, ...]:
    """A sentence where machines with results are not among those `shown`, by their names."""
    left = [m.machine.machine for m in data.machines if m.machine.machine not in shown and any(c.runs for c in m.cells)]
    if not left:
        return ()
    return (Paragraph(text=f"Not recorded on {', '.join(dict.fromkeys(left))}, so nothing of it is here."),)
