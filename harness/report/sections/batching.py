"""Several sequences at once: what they generate together, and how many times that of one alone it is."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from harness.analysis.comparability import proof_of
from harness.analysis.results import CellResult, MachineResults
from harness.report import words
from harness.report.data import ReportData
from harness.stats.digits import with_interval
from harness.stats.intervals import median_interval
from harness.values.block import Block, Heading, Paragraph, Table
from harness.values.measurement import BATCHED

PROMISED = (2.0, 4.0)
"""What the performance guide says that batching brings, as a factor."""

_RATE = "generation_tokens_per_s"
_RATES = ("prompt_tokens_per_s", _RATE)
_Row = tuple[MachineResults, CellResult]


def render(data: ReportData) -> tuple[Block, ...]:
    """One table; nothing where no batch was measured."""
    rows = [row for row in data.rows() if row[1].cell.test.measurement == BATCHED and row[1].runs]
    if not rows:
        return ()
    setting = ("Model", "Test", "Backend", "Device", "Parameters")
    rates = ("Prompts, tokens/s", "Generation, tokens/s", "Times one sequence", "Promised 2 to 4")
    columns = (*setting, *rates, "Rounds", "Proof")
    align = ("left",) * 5 + ("right",) * 3 + ("left", "right", "left")
    return (
        Heading(level=2, text="Batching"),
        Table(
            columns=("Machine", *columns) if data.several else columns,
            rows=tuple((*((m.machine.machine,) if data.several else ()), *_row(m, c)) for m, c in rows),
            align=("left", *align) if data.several else align,
        ),
        Paragraph(
            text="llama-batched-bench: all sequences together, medians over rounds with their 95 % intervals. x4 means "
            "four sequences at once. Times one sequence: the ratio within each run, so what both share cancels."
        ),
    )


def _row(machine: MachineResults, result: CellResult) -> tuple[str, ...]:
    found = {m.metric.name: m for m in result.metrics}
    rates = [
        with_interval(m.median, m.interval) if (m := found.get(name)) else "-"
        for name in ("prompt_tokens_per_s", _RATE)
    ]
    gain, judged = _gain(machine, result)
    return (
        result.model.title if result.model else result.cell.model,
        result.cell.test.name,
        words.backend(result.cell),
        result.device,
        words.parameters(result.cell),
        *rates,
        gain,
        judged,
        str(len(result.runs)) + ("" if result.complete else f" of {result.rounds_planned}"),
        str(proof_of(result)),
    )


def _gain(machine: MachineResults, result: CellResult) -> tuple[str, str]:
    """How many times the rate of one sequence, by the runs that both share; and how that is to what is promised."""
    if result.cell.test.n_parallel == 1:
        return "1", ""
    alone = next((other for other in machine.cells if _is_alone(other, result)), None)
    if alone is None:
        return "not measured", ""
    base = {run.record: run.metrics.get(_RATE) for run in alone.runs}
    ratios = [rate / one for run in result.runs if (rate := run.metrics.get(_RATE)) and (one := base.get(run.record))]
    if not ratios:
        return "not measured", ""
    interval = None if result.screening else median_interval(ratios, confidence=result.confidence)
    return with_interval(median(ratios), interval), _judged(
        ratios if interval is None else (interval.low, interval.high)
    )


def _judged(ends: Sequence[float]) -> str:
    low, high = PROMISED
    if max(ends) < low:
        return "below"
    return "above" if min(ends) > high else "within" if min(ends) >= low and max(ends) <= high else "unclear"


def _is_alone(other: CellResult, result: CellResult) -> bool:
    mine, its = result.cell, other.cell
    return (
        its.test.measurement == BATCHED
        and its.test.n_parallel == 1
        and (its.test.n_prompt, its.test.n_gen) == (mine.test.n_prompt, mine.test.n_gen)
        and (its.backend, its.image, its.model, its.device, its.label)
        == (mine.backend, mine.image, mine.model, mine.device, mine.label)
        and dict(its.params) == dict(mine.params)
    )
