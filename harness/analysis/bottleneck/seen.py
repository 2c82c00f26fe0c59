"""All that is known of a cell, and how numbers are written in sentences about it."""

from __future__ import annotations

from dataclasses import dataclass

from harness.analysis.results import CellResult, MachineResults
from harness.analysis.shares import Shares
from harness.analysis.signs import Signs

MORE_MEMORY = (
    "Raise the limit (memory:), or take a smaller quantization, a shorter context or a KV cache of fewer bits."
)
COOLER = "See to its cooling, or lower its power limit until clocks are steady."


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One cell with what was measured about it."""

    result: CellResult
    machine: MachineResults
    signs: Signs
    shares: Shares

    @property
    def generating(self) -> bool:
        """Whether it generates text; else it processes a prompt."""
        return self.result.cell.test.kind == "tg"


def cpus(number: float | None) -> str:
    """`1.98`: CPUs that were used on average."""
    return "an unknown number" if number is None else f"{number:.2f}"
