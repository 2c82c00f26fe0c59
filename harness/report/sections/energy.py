"""Energy and what it costs: net joules for a token, prompt and generation apart, and what a million cost."""

from __future__ import annotations

from harness.analysis.energy import TokenEnergy, Validity, token_energy
from harness.analysis.results import CellResult, MachineResults
from harness.report import naming
from harness.report.data import ReportData
from harness.report.holes import not_recorded
from harness.stats.digits import plain
from harness.values.block import Block, Heading, Paragraph, Table

_COLUMNS = ("Machine", "Model", "Test", "Device and backend", "J/token", "Tokens/J", "kWh per million tokens")


def render(data: ReportData) -> tuple[Block, ...]:
    """A row for each result whose energy is known, and the reasons of the others; empty where no device was seen."""
    found = [(m, c, energy) for m, c in data.rows() if (energy := token_energy(c, m)) is not None]
    seen = [row for row in found if row[2].validity is not Validity.UNSEEN]
    if not seen:
        return ()
    blocks: list[Block] = [Heading(level=2, text="Energy and cost")]
    valid = [row for row in seen if row[2].validity is Validity.VALID]
    if valid:
        blocks += _table(valid)
    reasons: dict[str, list[str]] = {}
    for _, result, energy in seen:
        if energy.validity is not Validity.VALID:
            reasons.setdefault(f"{energy.validity} ({energy.reason})", []).append(result.cell.id)
    blocks += [
        Paragraph(text=f"Without a figure: {why}: {', '.join(dict.fromkeys(cells))}.") for why, cells in reasons.items()
    ]
    blocks += not_recorded(data, {machine.machine.machine for machine, _, _ in seen})
    return tuple(blocks)


def _table(rows: list[tuple[MachineResults, CellResult, TokenEnergy]]) -> tuple[Block, ...]:
    priced = any(m.latest.price_per_kwh is not None for m, _, _ in rows)
    cost = (
        "What a million tokens cost is at the price of a kilowatt-hour that was given, in its currency; in brackets "
        "with idle power, as the meter counts."
        if priced
        else "The cost of a million tokens is the last column times your price of a kilowatt-hour (price: in a matrix)."
    )
    columns = (*_COLUMNS, "Cost per million tokens") if priced else _COLUMNS
    return (
        Paragraph(
            text="Of the devices alone, without their idle power, the rest of the machine, cooling and losses of the "
            f"power supply. {cost}"
        ),
        Table(
            columns=columns,
            rows=tuple(_row(m, c, energy, priced=priced) for m, c, energy in rows),
            align=("left",) * 4 + ("right",) * (len(columns) - 4),
        ),
    )


def _row(machine: MachineResults, result: CellResult, energy: TokenEnergy, *, priced: bool) -> tuple[str, ...]:
    price = machine.latest.price_per_kwh
    cost = energy.cost_per_million(price) if price is not None else None
    shown = (f"{plain(cost[0])} ({plain(cost[1])})" if cost else "-",) if priced else ()
    figures = (energy.net_j, energy.tokens_per_j, energy.kwh_per_million)
    return (
        machine.machine.machine,
        naming.model(result),
        result.cell.test.name,
        naming.contender(machine, result),
        *("-" if figure is None else plain(figure) for figure in figures),
        *shown,
    )
