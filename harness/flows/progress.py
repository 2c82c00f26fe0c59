"""What the lines of a campaign say: rates with their intervals as they narrow, and how wide a round leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from harness.stats.intervals import rate, run_value
from harness.stats.until import relative_half_width
from harness.stats.verdicts import CONFIDENCE
from harness.store.history import History
from harness.values.cell import Cell
from harness.values.measurement import BATCHED, BENCH, CONTEXT
from harness.values.plan import Group
from harness.values.record import Outcome, Record, Run

FEWEST = 3
"""Rounds before widths are shown: of two values the t interval is a hundred times wider than what comes of it."""


def title(run: Run) -> str:
    """`round 3: cpu/gemma3-270m-q4_k_m#a`."""
    first = run.cells[0]
    label = f"#{first.label}" if first.label else ""
    what = "warm-up" if run.round == 0 else f"round {run.round}"
    again = f", attempt {run.attempt}" if run.attempt > 1 else ""
    again += f", the round's repetition {run.repeat}" if run.repeat else ""
    return f"{what}{again}: {first.backend}/{first.model}{label}"


def result(record: Record, history: History) -> str:
    """The rates of a run in a few words, or the reason why there are none: `tg32 42.1 t/s (median 41.9 ±1.3 %)`."""
    cells = {cell.id: cell for cell in record.run.cells}
    words = [_outcome(outcome, cells[outcome.cell], record.run, history) for outcome in record.outcomes]
    if record.invalid:
        words.append("invalid: " + "; ".join(f"{broken.rule}: {broken.evidence}" for broken in record.invalid))
    return ", ".join(words)


def _outcome(outcome: Outcome, cell: Cell, run: Run, history: History) -> str:
    if outcome.failure is not None:
        return f"{cell.test.name} {outcome.failure.reason}: {outcome.failure.detail[:120]}"
    words = f"{cell.test.name} {_shown(run_value(outcome.samples_ns, n_tokens=cell.test.n_tokens), cell)}"
    values = _values(run.key, cell, history)
    if run.round < FEWEST or len(values) < FEWEST:
        return words
    return f"{words} (median {_shown(median(values), cell)} ±{_percent(_width(values))})"


def _shown(ns_per_token: float, cell: Cell) -> str:
    """A rate; of latency the time to first token, and of loading how long it took."""
    test = cell.test
    if test.measurement in {BENCH, BATCHED, CONTEXT}:
        return f"{rate(ns_per_token):.4g} t/s"
    return f"{ns_per_token * test.n_tokens / 1e6:.4g} ms"


def after_round(round_: int, groups: Sequence[Group], history: History) -> str:
    """How wide the widest interval is after a round; empty where it is too early to say."""
    widths = [
        (_width(values), cell.id)
        for group in groups
        for cell in group.cells
        if round_ >= FEWEST and len(values := _values(group.key, cell, history)) >= FEWEST
    ]
    if not widths:
        return ""
    widest, cell = max(widths)
    return f"after round {round_} the widest interval is ±{_percent(widest)}: {cell}"


def _values(key: str, cell: Cell, history: History) -> list[float]:
    return [value for value in history.by_round(key, cell).values() if value is not None]


def _width(values: Sequence[float]) -> float:
    return relative_half_width(values, confidence=CONFIDENCE) or 0.0


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 1 else f"{100 * share:.0f} %"
