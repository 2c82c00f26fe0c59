"""A/A controls: the same cell under two labels. What differs between them is noise, and the report says how much."""

from __future__ import annotations

from harness.analysis.arms import control_arms
from harness.analysis.comparisons import Compared, compare
from harness.analysis.results import MachineResults


def controls(machine: MachineResults) -> tuple[Compared, ...]:
    """All pairs of one machine that differ in their label only, each compared by itself."""
    return tuple(compare(arms) for arms in control_arms(machine))
