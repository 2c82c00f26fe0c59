"""What a section gets: all results of a report's folder."""

from __future__ import annotations

from dataclasses import dataclass

from harness.analysis.results import CellResult, MachineResults
from harness.store.reproductions import Reproduction
from harness.values.result_row import ResultRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """A report before it is text. `name` is that of the folder; of imported rows alone there are no machines."""

    name: str
    machines: tuple[MachineResults, ...]
    reproductions: tuple[Reproduction, ...] = ()
    imported: tuple[ResultRow, ...] = ()

    @property
    def several(self) -> bool:
        """Whether tables have to say which machine a row is of."""
        return len(self.machines) > 1

    def rows(self) -> tuple[tuple[MachineResults, CellResult], ...]:
        """Every cell of every machine."""
        return tuple((machine, cell) for machine in self.machines for cell in machine.cells)
