"""Energy and what it costs: net joules for a token, and kilowatt-hours for a million."""

from __future__ import annotations

from harness.report import naming
from harness.report.charts.energy import net_joules_per_token
from harness.report.data import ReportData
from harness.stats.digits import plain
from harness.values.block import Block, Heading, Paragraph, Table

_J_PER_KWH = 3.6e6
_MILLION = 1e6


def render(data: ReportData) -> tuple[Block, ...]:
    """A row for each result whose devices' energy is known; empty where none is."""
    known = [(m, c, joules) for m, c in data.rows() if (joules := net_joules_per_token(c)) is not None]
    if not known:
        return ()
    rows = tuple(
        (
            m.machine.machine,
            naming.model(c),
            c.cell.test.name,
            naming.contender(m, c),
            plain(joules),
            plain(1 / joules),
            plain(joules * _MILLION / _J_PER_KWH),
        )
        for m, c, joules in known
        if joules > 0
    )
    return (
        Heading(level=2, text="Energy and cost"),
        Paragraph(
            text="Of the devices alone, without their idle power, the rest of the machine, cooling and losses of the "
            "power supply. The cost of a million tokens is the last column times your price of a kilowatt-hour."
        ),
        Table(
            columns=("Machine", "Model", "Test", "Device and backend", "J/token", "Tokens/J", "kWh per million tokens"),
            rows=rows,
            align=("left",) * 4 + ("right",) * 3,
        ),
    )
