"""The tables that people come for: prompt processing and text generation, in tokens per second."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.comparability import KINDS, comparability_key, kind, proof_of
from harness.analysis.comparisons import Compared
from harness.analysis.controls import controls
from harness.analysis.results import CellResult, MachineResults
from harness.report import words
from harness.report.data import ReportData
from harness.stats.digits import plain, with_interval
from harness.stats.verdicts import Verdict
from harness.store.reproductions import Conclusion
from harness.values.block import Block, Heading, Paragraph, Table
from harness.values.record import Proof

TITLES = {
    "pp": "Prompt processing",
    "tg": "Text generation",
    "pg": "Prompt processing and text generation together",
}
_DIFFERENT = {Verdict.FASTER, Verdict.SLOWER}
CAPTIONS = {
    "ranked": "",
    "synthetic": "Synthetic models, comparable with each other only:",
    "software": "Software devices, not ranked:",
}


def render(data: ReportData) -> tuple[Block, ...]:
    """One heading a kind of test, one table a kind of result."""
    blocks: list[Block] = []
    pairs = [pair for machine in data.machines for pair in controls(machine)]
    for test_kind, title in TITLES.items():
        rows = [(m, c) for m, c in data.rows() if c.cell.test.kind == test_kind and c.runs]
        if not rows:
            continue
        blocks.append(Heading(level=2, text=title))
        for result_kind in KINDS:
            wanted = [(m, c) for m, c in rows if kind(c) == result_kind]
            if wanted:
                blocks.append(_table(wanted, several=data.several, caption=CAPTIONS[result_kind]))
        blocks.append(Paragraph(text=_counted(data, test_kind, pairs)))
    if blocks:
        blocks.append(
            Paragraph(
                text="Tokens per second: the median over rounds with its 95 % interval. A round is a fresh container; "
                "its value is the median over its repetitions without the first. Between and within rounds: the "
                "coefficient of variation. Rows stand in an order only within the same model and test. What is not "
                "proven is named under Proof: unobservable says that a check could not be made, not that it failed."
            )
        )
    return tuple(blocks)


def _counted(data: ReportData, test_kind: str, pairs: Sequence[Compared]) -> str:
    """How often equal things were held against each other, and how often the numbers were had again."""
    mine = [pair for pair in pairs if pair.arms.first.cell.test.kind == test_kind]
    alarms = sum(p.comparison is not None and p.comparison.verdict in _DIFFERENT for p in mine)
    shown = f"A/A controls of these tests: {len(mine)}, {alarms or 'none'} with a difference that is not there."
    cells = {result.cell.id for _, result in data.rows() if result.cell.test.kind == test_kind}
    again = [cell for r in data.reproductions for cell in r.cells if cell.cell in cells]
    good = sum(cell.conclusion is Conclusion.REPRODUCED for cell in again)
    return (shown if mine else "No A/A control of these tests.") + (
        f" Measured again by others: {len(again)} cells, {good or 'none'} reproduced."
        if again
        else " Nobody has measured them again."
    )


def _table(rows: list[tuple[MachineResults, CellResult]], *, several: bool, caption: str) -> Table:
    # Only rows with one comparability key are put in an order, the fastest first; the groups keep the matrix's order.
    groups: dict[object, list[tuple[MachineResults, CellResult]]] = {}
    for machine, cell in rows:
        groups.setdefault(comparability_key(cell), []).append((machine, cell))
    ordered = [row for group in groups.values() for row in _ranked(group)]
    columns = (
        "Model",
        "Test",
        "Backend",
        "Device",
        "Parameters",
        "Tokens/s (95 % interval)",
        "Rounds",
        "Between / within rounds",
        "Proof",
    )
    align = ("left", "left", "left", "left", "left", "right", "right", "right", "left")
    return Table(
        columns=(("Machine", *columns) if several else columns),
        rows=tuple((m.machine.machine, *_row(c)) if several else _row(c) for m, c in ordered),
        align=("left", *align) if several else align,
        caption=caption,
    )


def _ranked(group: list[tuple[MachineResults, CellResult]]) -> list[tuple[MachineResults, CellResult]]:
    """The fastest first, where an order means something: real devices, proven numbers, no screening."""
    if all(kind(c) != "software" and not c.screening and proof_of(c) is Proof.PROVEN for _, c in group):
        return sorted(group, key=lambda pair: -(pair[1].tokens_per_s or 0))
    return group


def _row(result: CellResult) -> tuple[str, ...]:
    rate, interval = result.tokens_per_s, result.interval
    if rate is None:
        value = "-"
    elif interval is None:
        value = f"{plain(rate)} (no interval)"
    else:
        value = with_interval(rate, interval)
    rounds = str(len(result.runs)) + ("" if result.complete else f" of {result.rounds_planned}")
    between, within = words.percent(result.between_runs), words.percent(result.within_runs)
    return (
        result.model.title if result.model else result.cell.model,
        result.cell.test.name,
        words.backend(result.cell),
        result.device,
        words.parameters(result.cell),
        value,
        rounds,
        f"{between} / {within}",
        str(proof_of(result)),
    )
