"""Energy for a token: bars, less is better."""

from __future__ import annotations

from statistics import median

from harness.analysis.results import CellResult
from harness.analysis.standings import may_be_ranked
from harness.report import naming
from harness.report.data import ReportData
from harness.stats.digits import plain
from harness.values.block import Axis, Chart, Point, Series
from harness.values.measurement import BENCH

MOST_BARS = 24
_FEWEST = 2


def net_joules_per_token(result: CellResult) -> float | None:
    """Of all devices that a cell computed on, less idle power; None where a run has more than samples in its window."""
    bench = result.cell.test.measurement == BENCH
    if not bench or not result.observed or any(run.summary.window.untimed for run in result.observed):
        return None
    by_round = {run.round: len(run.samples_ns) * result.cell.test.n_tokens for run in result.runs}
    found = []
    for run in result.observed:
        asked = [d.net_energy_j for d, t in zip(run.summary.devices, run.traces, strict=False) if t.asked]
        known = [joules for joules in asked if joules is not None]
        if known and len(known) == len(asked) and by_round.get(run.round):
            found.append(sum(known) / by_round[run.round])
    return median(found) if found else None


def charts(data: ReportData) -> tuple[Chart, ...]:
    """Energy for a generated token, by model and test; nothing where fewer than two results know it."""
    rows = [(m, c) for m, c in data.rows() if c.cell.test.kind == "tg" and may_be_ranked(c)]
    known = [(m, c, joules) for m, c in rows if (joules := net_joules_per_token(c)) is not None]
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
    said = "; ".join(f"{name} {joules:.3g}" for name, (_, _, joules) in zip(called, kept, strict=True))
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
