"""Arms compared: with the interval that fits to how they were measured, corrected for being several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.analysis.arms import Arms
from harness.analysis.results import CellResult
from harness.stats.holm import adjusted, corrected
from harness.stats.intervals import Interval
from harness.stats.paired import compare_paired, sign_interval
from harness.stats.verdicts import CONFIDENCE, Comparison
from harness.stats.welch import compare_apart
from harness.values.measurement import MEASUREMENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Two arms, and what can be said of them.

    Attributes:
        comparison: None where nothing can be said.
        why_none: the reason then, in a few words.
        sign: of paired arms: the interval that assumes no distribution; not adjusted for several comparisons.
        alone: the confidence that it would have by itself.
    """

    arms: Arms
    comparison: Comparison | None
    why_none: str = ""
    sign: Interval | None = None
    alone: float = CONFIDENCE


def paired_values(first: CellResult, second: CellResult) -> tuple[list[float], list[float]]:
    """Run values of the rounds that both have, each round within one start: another day is no pair."""
    a, b = ({(run.round, run.session): run.ns_per_token for run in result.runs} for result in (first, second))
    common = sorted(a.keys() & b.keys())
    return [a[pair] for pair in common], [b[pair] for pair in common]


def compare(arms: Arms) -> Compared:
    """One comparison by itself: paired by round where the arms were in the same rounds, else Welch's."""
    first, second = arms.first, arms.second
    if arms.refused:
        return Compared(arms=arms, comparison=None, why_none=f"not comparable: {', '.join(arms.refused)}")
    if not MEASUREMENTS[first.cell.test.measurement].timed:
        return Compared(arms=arms, comparison=None, why_none="quality is no speed")
    if first.screening or second.screening:
        return Compared(arms=arms, comparison=None, why_none="screening: too few rounds were asked for")
    if first.simulated != second.simulated:
        return Compared(arms=arms, comparison=None, why_none="not comparable: one of them is simulated")
    confidence = max(first.confidence, second.confidence)
    if arms.paired:
        a, b = paired_values(first, second)
        comparison, why = compare_paired(a, b, confidence=confidence), "fewer than two common rounds"
        sign = sign_interval(a, b, confidence=confidence)
    else:
        a, b = ([run.ns_per_token for run in result.runs] for result in (first, second))
        comparison, why = compare_apart(a, b, confidence=confidence), "fewer than two runs"
        sign = None
    why = "" if comparison else why
    return Compared(arms=arms, comparison=comparison, why_none=why, sign=sign, alone=confidence)


def compare_all(arms: Sequence[Arms]) -> tuple[Compared, ...]:
    """All comparisons of one report, by Holm's procedure."""
    alone = [compare(each) for each in arms]
    together = corrected([each.comparison for each in alone])
    return tuple(replace(each, comparison=found) for each, found in zip(alone, together, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Comparisons held against the largest slowdown that is accepted.

    Attributes:
        slower: those in which the second arm is shown to be slower by more than the limit.
        undecided: those in which that is neither shown nor ruled out.
    """

    slower: tuple[Compared, ...]
    undecided: tuple[Compared, ...]


def hold_against(compared: Sequence[Compared], limit: float) -> Limit:
    """Whether a slowdown by more than `limit`, a share, is shown or ruled out.

    Both questions are asked one-sided, at half of what the confidence leaves, and by Holm's procedure each: for a
    single comparison that is to ask on which side of the limit its whole interval lies.
    """
    real = [(each, each.comparison.p_below(1 - limit)) for each in compared if each.comparison is not None]
    level = min(((1 - each.alone) / 2 for each, _ in real), default=0.0)
    slower = adjusted([p for _, p in real])
    fine = adjusted([1 - p for _, p in real])
    shown = [each for (each, _), p in zip(real, slower, strict=True) if p <= level]
    ruled_out = [each for (each, _), p in zip(real, fine, strict=True) if p <= level]
    undecided = [each for each in compared if each not in shown and each not in ruled_out]
    return Limit(slower=tuple(shown), undecided=tuple(undecided))
