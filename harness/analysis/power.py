"""Speed and energy over the power limit of a card, and the limits at which a sweep bends."""

from __future__ import annotations

from dataclasses import dataclass

from harness.analysis.arms import setting
from harness.analysis.energy import token_energy
from harness.analysis.results import CellResult, MachineResults
from harness.values.cell import POWER_LIMIT

KEPT = 0.95
"""Share of the speed under the highest limit that the knee keeps."""
FEWEST = 3
"""Limits below which there is no curve to bend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One limit of a sweep: `tokens_per_s` and net `tokens_per_j`, None where they are not known."""

    watts: int
    result: CellResult
    tokens_per_s: float | None
    tokens_per_j: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One test of one model under several limits, the lowest first.

    Attributes:
        knee: the lowest limit with `KEPT` of the speed under the highest; None below `FEWEST` limits with a number,
            and where the highest has none.
        thriftiest: the limit with the most tokens for a joule; None where fewer than two tell it.
    """

    machine: MachineResults
    steps: tuple[Step, ...]

    @property
    def knee(self) -> Step | None:
        """See the class. It is of the medians: whether two limits differ is what `compare` says."""
        known = [step for step in self.steps if step.tokens_per_s]
        if len(known) < FEWEST or not self.steps[-1].tokens_per_s:
            return None
        top = self.steps[-1].tokens_per_s
        # From the top down: below a limit that is too slow nothing counts, even if noise lifts it.
        knee = self.steps[-1]
        for step in reversed(self.steps):
            if not step.tokens_per_s or step.tokens_per_s < KEPT * top:
                break
            knee = step
        return knee

    @property
    def thriftiest(self) -> Step | None:
        """See the class."""
        known = [(step.tokens_per_j, step) for step in self.steps if step.tokens_per_j]
        return max(known, key=lambda pair: pair[0])[1] if len(known) > 1 else None


def sweeps(machine: MachineResults) -> tuple[Sweep, ...]:
    """Cells that differ in the power limit only, two and more."""
    groups: dict[object, list[Step]] = {}
    for result in machine.cells:
        watts = result.cell.params.get(POWER_LIMIT)
        if not isinstance(watts, int):
            continue
        rest = tuple((key, str(value)) for key, value in sorted(setting(result).items()) if key != POWER_LIMIT)
        energy = token_energy(result, machine)
        step = Step(
            watts=watts,
            result=result,
            tokens_per_s=result.tokens_per_s,
            tokens_per_j=energy.tokens_per_j if energy else None,
        )
        groups.setdefault((rest, result.cell.test, result.cell.label), []).append(step)
    return tuple(
        Sweep(machine=machine, steps=tuple(sorted(steps, key=lambda step: step.watts)))
        for steps in groups.values()
        if len(steps) > 1
    )
