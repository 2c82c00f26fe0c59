"""Speed and memory over the depth of the context, and rankings that turn with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from harness.analysis.arms import Arms, differing, setting
from harness.analysis.comparisons import Compared, compare_all
from harness.analysis.results import CellResult, MachineResults
from harness.values.measurement import BENCH

TURNED_BY = frozenset({"backend", "image", "device", "flash_attn", "type_k", "type_v", "n_gpu_layers"})
"""Settings whose ranking is looked at over depth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One setting of one model and test, shallow to deep; at least two depths."""

    results: tuple[CellResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Two settings of which one is shown to be faster at one depth, and the other at another.

    Attributes:
        shallow, deep: the two comparisons next to the turn; the ratio is that of the second setting over the first.
    """

    shallow: Compared
    deep: Compared

    @property
    def depths(self) -> tuple[int, int]:
        """Between which it turns."""
        return self.shallow.arms.first.cell.test.n_depth, self.deep.arms.first.cell.test.n_depth


def curves(machine: MachineResults, measurement: str = BENCH) -> tuple[Curve, ...]:
    """The settings that were measured at several depths, in the order of the matrix."""
    groups: dict[object, list[CellResult]] = {}
    for result in machine.cells:
        asked = tuple((name, str(value)) for name, value in sorted(setting(result).items()))
        test = result.cell.test
        if test.measurement == measurement:
            groups.setdefault((asked, result.cell.label, replace(test, n_depth=0)), []).append(result)
    ordered = (sorted(group, key=lambda r: r.cell.test.n_depth) for group in groups.values())
    return tuple(Curve(results=tuple(group)) for group in ordered if len({r.cell.test.n_depth for r in group}) > 1)


def turns(machine: MachineResults) -> tuple[Turn, ...]:
    """Where a ranking turns with the depth: both sides are shown, by Holm's procedure over all that are compared."""
    pairs = [
        (first, second)
        for first, second in combinations(curves(machine), 2)
        if _comparable(first.results[0], second.results[0])
    ]
    arms = [_arms(machine, pair) for pair in pairs]
    compared = compare_all([each for group in arms for each in group])
    found = []
    begin = 0
    for group in arms:
        turn = _turn(compared[begin : begin + len(group)])
        begin += len(group)
        if turn is not None:
            found.append(turn)
    return tuple(found)


def _comparable(first: CellResult, second: CellResult) -> bool:
    a, b = first.cell, second.cell
    same = (a.model, replace(a.test, n_depth=0)) == (b.model, replace(b.test, n_depth=0))
    differs = set(differing(first, second))
    return same and bool(differs) and differs <= TURNED_BY and first.software == second.software


def _arms(machine: MachineResults, pair: tuple[Curve, Curve]) -> list[Arms]:
    """The two settings at each depth that both have."""
    by_depth = {result.cell.test.n_depth: result for result in pair[1].results}
    return [
        Arms(
            first=first,
            second=second,
            machines=(machine.machine.machine,) * 2,
            differs=differing(first, second),
        )
        for first in pair[0].results
        if (second := by_depth.get(first.cell.test.n_depth)) is not None
    ]


def _turn(compared: Sequence[Compared]) -> Turn | None:
    """The first turn from one side to the other; what is not shown either way lies between."""
    shown: Compared | None = None
    for each in compared:
        if each.comparison is None:
            continue
        low, high = each.comparison.low, each.comparison.high
        if low <= 1 <= high:
            continue
        if shown is not None and shown.comparison is not None and (shown.comparison.low > 1) != (low > 1):
            return Turn(shallow=shown, deep=each)
        shown = each
    return None
