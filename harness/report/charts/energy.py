"""Energy for a token: bars, less is better."""

from __future__ import annotations

from harness.analysis.energy import token_energy
from harness.analysis.results import CellResult, MachineResults
from harness.analysis.standings import may_be_ranked
from harness.report import naming
from harness.report.data import ReportData
from harness.stats.digits import plain, significant
from harness.values.block import Axis, Chart, Point, Series

MOST_BARS = 24
_FEWEST = 2


def net_joules(machine: MachineResults, result: CellResult) -> float | None:
    """For a token, of all devices that a cell computed on, less idle power; None where that is not valid."""
    found = token_energy(result, machine)
    return None if found is None else found.net_j


def charts(data: ReportData) -> tuple[Chart, ...]:
    """Energy for a generated token, by model and test; nothing where fewer than two results know it."""
    rows = [(m, c) for m, c in data.rows() if c.cell.test.kind == "tg" and may_be_ranked(c)]
    known = [(m, c, joules) for m, c in rows if (joules := net_joules(m, c)) is not None]
    known.sort(key=lambda row: (naming.model(row[1]), row[1].cell.test, row[2]))
    kept = known[:MOST_BARS]
    if len(kept) < _FEWEST:
        return ()
    by_vendor: dict[str, list[Point]] = {}
    called = naming.names([(m, c) for m, c, _ in kept])
    for name, (machine, result, joules) in zip(called, kept, strict=True):
        group = f"{naming.model(result)}, {result.cell.test.name}"
        by_vendor.setdefault(naming.vendor(machine, result), []).append(
            Point(y=joules, label=name, group=group, shown=plain(joules))
        )
    said = "; ".join(f"{name} {significant(joules, 3)}" for name, (_, _, joules) in zip(called, kept, strict=True))
    more = f" {len(known) - len(kept)} further results are in the tables only." if len(known) > len(kept) else ""
    return (
        Chart(
            name="energy",
            kind="bars",
            title="Energy for a generated token, without idle power (less is better)",
            summary=f"Energy for a generated token in joules, without idle power: {said}.{more}",
            x=Axis(title="Joules per token"),
            y=Axis(title=""),
            series=tuple(
                Series(name=name, points=tuple(points), colour=naming.vendor_colour(name))
                for name, points in by_vendor.items()
            ),
        ),
    )
