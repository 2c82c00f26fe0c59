"""Who is fastest: within each group of results that may be ranked, the first against the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import comb

from harness.analysis.arms import Arms, control_arms
from harness.analysis.comparability import comparability_key, kind, proof_of
from harness.analysis.comparisons import Compared, compare
from harness.analysis.results import CellResult, MachineResults
from harness.values.measurement import BENCH
from harness.values.record import Proof

Row = tuple[MachineResults, CellResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One group of results with equal comparability keys, the fastest first.

    Attributes:
        rows: those with a rate, in order.
        ahead: the first against the second, at a confidence that holds for every pair of the report that could have
            come out first and second; None for a group of one.
    """

    rows: tuple[Row, ...]
    ahead: Compared | None = None

    @property
    def first(self) -> Row:
        """The fastest."""
        return self.rows[0]


def may_be_ranked(result: CellResult) -> bool:
    """Whether a result has a place in an order: measured in rounds, proven, real weights on a real device."""
    ranked = kind(result) == "ranked" and not result.screening and result.cell.test.measurement == BENCH
    return ranked and bool(result.runs) and proof_of(result) is Proof.PROVEN


def second_arms(machines: Iterable[MachineResults]) -> frozenset[tuple[str, str]]:
    """Machine and cell of the second arms of A/A controls: the same thing again, which needs no second row."""
    once = {machine.machine.machine: machine for machine in machines}
    return frozenset((name, arms.second.cell.id) for name, m in once.items() for arms in control_arms(m))


def standings(rows: Iterable[Row]) -> tuple[Standing, ...]:
    """Every group of results that may be ranked, in the order in which they first appear.

    The second arm of an A/A control is left out. The first and the second are picked by looking at the results, so the
    interval between them is widened as if every pair of every group had been compared (Bonferroni): what is said of
    all groups holds together with 95 %.
    """
    groups: dict[object, list[Row]] = {}
    rows = tuple(rows)
    twice = second_arms(machine for machine, _ in rows)
    for machine, result in rows:
        if may_be_ranked(result) and (machine.machine.machine, result.cell.id) not in twice:
            groups.setdefault((comparability_key(result), result.simulated), []).append((machine, result))
    pairs = sum(comb(len(group), 2) for group in groups.values())
    return tuple(_standing(group, pairs) for group in groups.values())


def _standing(group: Sequence[Row], pairs: int) -> Standing:
    rows = tuple(sorted(group, key=lambda row: row[1].ns_per_token or 0.0))
    if len(rows) == 1:
        return Standing(rows=rows)
    (machine, first), (other, second) = rows[:2]
    machines = (other.machine.machine, machine.machine.machine)
    arms = Arms(first=second, second=first, machines=machines, differs=(), paired=machines[0] == machines[1])
    found = compare(arms)
    if found.comparison is None and arms.paired:
        # Measured on one machine in different starts: no round is common.
        found = compare(replace(arms, paired=False))
    if found.comparison is None:
        return Standing(rows=rows, ahead=found)
    level = (1 - found.comparison.confidence) / pairs
    return Standing(rows=rows, ahead=replace(found, comparison=found.comparison.at(1 - level)))
