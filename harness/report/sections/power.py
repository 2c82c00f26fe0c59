"""What a lower power limit costs in speed and saves in energy, and where the curve bends."""

from __future__ import annotations

from harness.analysis.power import KEPT, Step, Sweep, sweeps
from harness.report import naming
from harness.report.charts.power import charts
from harness.report.data import ReportData
from harness.stats.digits import plain, with_interval
from harness.values.block import Block, Heading, Paragraph, Table

NONE = "-"
COLUMNS = ("Machine", "Cell", "Limit, W", "Tokens/s (95 % interval)", "Of the highest limit's", "Tokens/J", "J/token")
TEXT = (
    "The limit is set for the time of each run and proven at its end; what was in force before is put back. Tokens for "
    "a joule are net of idle power."
)


def render(data: ReportData) -> tuple[Block, ...]:
    """A table of all sweeps and a sentence and a chart for each; empty where no cell has two limits."""
    found = [sweep for machine in data.machines for sweep in sweeps(machine)]
    if not found:
        return ()
    start = 0 if data.several else 1
    return (
        Heading(level=2, text="Power limit"),
        Paragraph(text=TEXT),
        Table(
            columns=COLUMNS[start:],
            rows=tuple(_row(sweep, step)[start:] for sweep in found for step in sweep.steps),
            align=("left",) * (2 - start) + ("right",) * 5,
        ),
        *(Paragraph(text=_said(sweep)) for sweep in found),
        *charts(found),
    )


def _row(sweep: Sweep, step: Step) -> tuple[str, ...]:
    result, rate, top = step.result, step.tokens_per_s, sweep.steps[-1].tokens_per_s
    if rate is None:
        shown = str(result.failures[0][1].reason) if result.failures else NONE
    else:
        shown = with_interval(rate, result.interval) if result.interval else f"{plain(rate)} (no interval)"
    return (
        sweep.machine.machine.machine,
        result.cell.id,
        str(step.watts),
        shown,
        NONE if rate is None or not top else f"{100 * rate / top:.0f} %",
        NONE if step.tokens_per_j is None else plain(step.tokens_per_j),
        NONE if step.tokens_per_j is None else plain(1 / step.tokens_per_j),
    )


def _said(sweep: Sweep) -> str:
    first = sweep.steps[0].result
    about = f"{naming.model(first)}, {first.cell.test.name}:"
    knee, thriftiest, top = sweep.knee, sweep.thriftiest, sweep.steps[-1]
    if knee is None or not knee.tokens_per_s or not top.tokens_per_s:
        return f"{about} no knee, since fewer than three limits have a number, or the highest has none."
    if knee is top:
        words = f"every lower limit costs more than {100 * (1 - KEPT):.0f} % of the speed: no knee below {top.watts} W."
    else:
        cost = 100 * (1 - knee.tokens_per_s / top.tokens_per_s)
        words = f"the knee is at {knee.watts} W: {cost:.1f} % slower than under {top.watts} W."
    if knee is sweep.steps[0] and knee is not top:
        words += " It is the lowest limit that was tried: the real one may lie below."
    if thriftiest is not None:
        words += f" Most tokens for a joule at {thriftiest.watts} W."
    return f"{about} {words} By medians; the knee is the lowest limit that keeps {100 * KEPT:.0f} % of the speed."
