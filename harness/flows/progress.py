"""What the lines of a campaign say: rates with their intervals as they narrow, and how wide a round leaves them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from statistics import median

from harness.stats.digits import significant
from harness.stats.intervals import rate, run_value
from harness.stats.until import relative_half_width
from harness.stats.verdicts import CONFIDENCE
from harness.store.history import History
from harness.values.cell import Cell
from harness.values.failure import Failure, Reason
from harness.values.measurement import BATCHED, BENCH, CONTEXT
from harness.values.plan import Group
from harness.values.record import Outcome, Record, Run

FEWEST = 3
"""Rounds before widths are shown: of two values the t interval is a hundred times wider than what comes of it."""

MOST_CAUSES = 4
"""Different failures that are told at the end; the report has all of them."""


def title(run: Run, history: History) -> str:
    """`round 3: cpu/gemma3-270m-q4_k_m/fa1#a`: what a cell's id says beside its test."""
    first = run.cells[0]
    # The label ends the marks, where there are any.
    marks = "".join(f"/{mark}" for mark in first.id.split("/")[3:]) or (f"#{first.label}" if first.label else "")
    what = "warm-up" if run.round == 0 else f"round {run.round}"
    # Depths of one setting are runs of one key, and count on: that is no further attempt.
    tried = any((run.key, cell.id, run.round) in history.outcomes for cell in run.cells)
    again = ", again" if tried else ""
    again += f", the round's repetition {run.repeat}" if run.repeat else ""
    return f"{what}{again}: {first.backend}/{first.model}{marks}"


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
    return f"{words} (median {_shown(median(values), cell)} {_reach(_width(values))})"


def _shown(ns_per_token: float, cell: Cell) -> str:
    """A rate; of latency the time to first token, and of loading how long it took."""
    test = cell.test
    if test.measurement in {BENCH, BATCHED, CONTEXT}:
        return f"{significant(rate(ns_per_token), 4)} t/s"
    return f"{significant(ns_per_token * test.n_tokens / 1e6, 4)} ms"


def causes(lacking: Collection[str], history: History) -> list[str]:
    """Why cells have no result and what to do about it, the most frequent first; what has one remedy is told once.

    Args:
        lacking: ids of cells, of which those without a failure are left out.
    """
    latest = {cell: outcome.failure for (_, cell, _), outcome in history.outcomes.items() if cell in lacking}
    found: dict[tuple[Reason, str], list[Failure]] = {}
    for failure in latest.values():
        if failure is not None:
            found.setdefault((failure.reason, failure.remedy), []).append(failure)
    lines = []
    for (reason, remedy), failed in sorted(found.items(), key=lambda item: -len(item[1]))[:MOST_CAUSES]:
        others = len({failure.detail for failure in failed}) - 1
        count = f"{len(failed)} cell{'s' if len(failed) > 1 else ''}"
        lines.append(f"  {count}: {reason}: {failed[0].detail[:160]}" + (f" (and {others} like it)" if others else ""))
        lines += [f"    -> {remedy}"] if remedy else []
    if len(found) > MOST_CAUSES:
        lines.append(f"  and {len(found) - MOST_CAUSES} more reasons")
    return lines


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
    return f"after round {round_} the widest interval is {_reach(widest)}: {cell}"


def _values(key: str, cell: Cell, history: History) -> list[float]:
    return [value for value in history.by_round(key, cell).values() if value is not None]


def _width(values: Sequence[float]) -> float:
    return relative_half_width(values, confidence=CONFIDENCE) or 0.0


def _reach(share: float) -> str:
    """`±1.3 %`. What is wider than the value itself has no more to say than that."""
    return f"±{significant(100 * share, 2)} %" if share < 1 else "±100 % or more"
