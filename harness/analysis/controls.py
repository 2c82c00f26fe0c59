"""A/A controls: the same cell under two labels. What differs between them is noise, and the report says how much."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

from harness.analysis.results import CellResult
from harness.stats.paired import compare_paired
from harness.stats.verdicts import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Two cells that differ in their label only, compared round by round; None below two common rounds."""

    first: CellResult
    second: CellResult
    comparison: Comparison | None


def controls(cells: tuple[CellResult, ...]) -> tuple[Control, ...]:
    """All pairs of one machine that differ in their label only."""
    groups: dict[object, list[CellResult]] = defaultdict(list)
    for result in cells:
        if result.cell.label:
            bare = replace(result.cell, id="", label="", params={})
            groups[bare.backend, bare.image, bare.model, bare.device, bare.test, _params(result)].append(result)
    return tuple(
        Control(first=group[0], second=second, comparison=_compare(group[0], second))
        for group in groups.values()
        for second in group[1:]
    )


def _params(result: CellResult) -> tuple[tuple[str, object], ...]:
    return tuple(sorted(result.cell.params.items()))


def _compare(first: CellResult, second: CellResult) -> Comparison | None:
    a = {run.round: run.ns_per_token for run in first.runs}
    b = {run.round: run.ns_per_token for run in second.runs}
    common = sorted(a.keys() & b.keys())
    return compare_paired([a[round_] for round_ in common], [b[round_] for round_ in common])
