"""What a section gets: all results of a report's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.analysis.results import CellResult, MachineResults
from harness.store.reproductions import Reproduction
from harness.values.result_row import ResultRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """A report before it is text.

    Attributes:
        name: of the folder.
        machines: none where there are imported rows alone.
        page: what the page holds of every result, as columns; imported ones come last.
        brief: too many runs for their samples to be on the page.
        large: too many cells for a row each: the results are without what only such rows would show.
    """

    name: str
    machines: tuple[MachineResults, ...]
    reproductions: tuple[Reproduction, ...] = ()
    imported: tuple[ResultRow, ...] = ()
    page: Mapping[str, Any] | None = None
    large: bool = False
    brief: bool = False

    @property
    def several(self) -> bool:
        """Whether tables have to say which machine a row is of."""
        return len(self.machines) > 1

    def rows(self) -> tuple[tuple[MachineResults, CellResult], ...]:
        """Every cell of every machine."""
        return tuple((machine, cell) for machine in self.machines for cell in machine.cells)
