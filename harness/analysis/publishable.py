"""What speaks against publishing a report: each objection is of a kind, and some kinds may be declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.analysis.arms import control_arms
from harness.analysis.results import MachineResults
from harness.values.declaration import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """One thing that speaks against publishing results of a machine."""

    kind: Kind
    machine: str
    what: str

    def __str__(self) -> str:
        return f"{self.machine}: {self.what}"


def objections(machines: Iterable[MachineResults]) -> tuple[Objection, ...]:
    """Everything that speaks against publishing these results, machine by machine."""
    return tuple(objection for machine in machines for objection in _of(machine))


def undeclared(found: Iterable[Objection], declared: Mapping[Kind, str]) -> tuple[Objection, ...]:
    """Those that nobody declared."""
    return tuple(objection for objection in found if objection.kind not in declared)


def _of(results: MachineResults) -> list[Objection]:
    found: list[tuple[Kind, str]] = []
    for result in results.cells:
        if result.simulated:
            found.append((Kind.SIMULATED, f"{result.cell.id} is simulated"))
        if not result.complete and not result.failures:
            found.append((Kind.INCOMPLETE, f"{result.cell.id} is not finished"))
        if result.screening:
            what = f"{result.cell.id} is screening: measure it with the preset standard or rigorous"
            found.append((Kind.SCREENING, what))
    if results.cells and not control_arms(results):
        what = "no A/A control: put one cell into the matrix under two labels"
        found.append((Kind.NO_CONTROL, f"{results.latest.matrix} has {what}"))
    if any((session.harness_source or "-dirty").endswith("-dirty") for session in results.sessions):
        found.append((Kind.UNCOMMITTED, "measured by a harness whose changes are in no commit"))
    return [Objection(kind=kind, machine=results.machine.machine, what=what) for kind, what in found]
