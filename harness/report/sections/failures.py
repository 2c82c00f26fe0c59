"""Every cell without all its numbers, and why."""

from __future__ import annotations

from harness.report.data import ReportData
from harness.values.block import Block, Heading, Table


def render(data: ReportData) -> tuple[Block, ...]:
    """A row for each cell and reason; empty where nothing failed and nothing is missing."""
    rows = []
    for machine, result in data.rows():
        if result.complete:
            continue
        for run in result.invalid:
            if not run.made_again:
                broken = "; ".join(f"{rule.rule}: {rule.evidence}" for rule in run.rules)
                where, remedy = _rounds([run.round]), "See to the cause, then start again with --fresh."
                rows.append((machine.machine.machine, result.cell.id, where, "run", "invalid", broken, remedy))
        if not result.failures and not result.holes:
            done = f"{len(result.runs)} of {result.rounds_planned} rounds"
            rows.append(
                (machine.machine.machine, result.cell.id, done, "-", "not finished", "", "Start the command again.")
            )
            continue
        reasons: dict[tuple[str, str, str, str], list[int]] = {}
        for round_, failure in result.failures:
            key = (failure.phase, failure.reason, failure.detail, failure.remedy)
            reasons.setdefault(key, []).append(round_)
        for (phase, reason, detail, remedy), rounds in reasons.items():
            rows.append((machine.machine.machine, result.cell.id, _rounds(rounds), phase, reason, detail, remedy))
    if not rows:
        return ()
    columns = ("Machine", "Cell", "Where", "Phase", "Reason", "Evidence", "What to do")
    table = Table(columns=columns, rows=tuple(rows), align=("left",) * len(columns))
    return Heading(level=2, text="Without a result"), table


def _rounds(rounds: list[int]) -> str:
    words = ["warm-up" if round_ == 0 else f"round {round_}" for round_ in rounds]
    return ", ".join(words)
