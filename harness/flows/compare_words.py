"""Comparisons as lines for the console, and as JSON for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.analysis.comparisons import Compared, Limit
from harness.analysis.results import CellResult
from harness.flows.tables import columns
from harness.stats.digits import plain
from harness.stats.verdicts import Verdict, in_words, percent

SCHEMA = "llama-bench-harness/comparisons"
VERSION = 1


def as_table(compared: Sequence[Compared]) -> Iterator[str]:
    """A row each, and what has to be known to read them."""
    several = any(each.arms.machines[0] != each.arms.machines[1] for each in compared)
    head = ("first", "tokens/s", "second", "tokens/s", "differs in", "rounds", "the second is", "could show")
    yield columns(head, [_row(each) for each in compared])
    number = sum(each.comparison is not None for each in compared)
    paired = any(each.arms.paired for each in compared if each.comparison)
    how = "paired t on the log ratios of common rounds" if paired else "Welch's t on log times; no round is common"
    yield ""
    yield f"95 % intervals, {how}." + (f" {number} comparisons, corrected by Holm's procedure." if number > 1 else "")
    if number:
        yield "Could show: the smallest difference that so many rounds would have shown in four of five attempts."
    if not paired and number:
        yield "Measured apart: what differs from one start to the next is not in the intervals."
    if several:
        yield "Two machines: what is said is about these two, not about their kinds or makers."
    if any(each.arms.first.simulated for each in compared):
        yield "Simulated: nothing here was measured."


def _row(each: Compared) -> tuple[str, ...]:
    first, second = each.arms.first, each.arms.second
    same = first.cell.id == second.cell.id
    return (
        first.cell.id
        if each.arms.machines[0] == each.arms.machines[1]
        else f"{first.cell.id} ({each.arms.machines[0]})",
        _rate(first),
        "same" if same else second.cell.id,
        _rate(second),
        ", ".join(each.arms.differs) or "nothing",
        str(each.comparison.rounds) if each.comparison else "-",
        in_words(each.comparison, why_none=each.why_none),
        f"{percent(100 * each.comparison.smallest_effect)} %" if each.comparison else "-",
    )


def _rate(result: CellResult) -> str:
    return "-" if result.tokens_per_s is None else plain(result.tokens_per_s)


def as_json(compared: Sequence[Compared], *, limit: Limit | None, accepted: float | None) -> dict[str, Any]:
    """Everything, with ratios of speeds (second over first) as numbers."""
    data: dict[str, Any] = {"schema": SCHEMA, "version": VERSION, "comparisons": [_entry(each) for each in compared]}
    if limit is not None:
        data["fail_if_slower"] = {
            "limit": accepted,
            "passed": not limit.slower and not limit.undecided,
            "slower": [each.arms.second.cell.id for each in limit.slower],
            "undecided": [each.arms.second.cell.id for each in limit.undecided],
        }
    return data


def _entry(each: Compared) -> dict[str, Any]:
    found, sign = each.comparison, each.sign
    return {
        "first": _arm(each, 0),
        "second": _arm(each, 1),
        "differs": list(each.arms.differs),
        "verdict": str(found.verdict if found else Verdict.INCONCLUSIVE),
        "words": in_words(found, why_none=each.why_none),
        "why_none": each.why_none or None,
        "method": ("paired t on log ratios" if each.arms.paired else "Welch's t on log times") if found else None,
        "rounds": found.rounds if found else None,
        "ratio": found.ratio if found else None,
        "low": found.low if found else None,
        "high": found.high if found else None,
        "confidence": found.confidence if found else None,
        "p": found.p if found else None,
        "smallest_effect": found.smallest_effect if found else None,
        "sign_interval": {"low": sign.low, "high": sign.high, "coverage": sign.coverage} if sign else None,
        "simulated": each.arms.first.simulated or each.arms.second.simulated,
    }


def _arm(each: Compared, index: int) -> dict[str, Any]:
    result = (each.arms.first, each.arms.second)[index]
    return {
        "machine": each.arms.machines[index],
        "cell": result.cell.id,
        "label": result.cell.label or None,
        "image": result.image.id if result.image else None,
        "build_number": result.image.build_number if result.image else None,
        "model_sha256": result.model.sha256 if result.model else None,
        "tokens_per_s": result.tokens_per_s,
        "runs": len(result.runs),
    }
