"""Which results are held against which: the arms of a comparison, and the fields in which they differ.

controls          one matrix: the same cell under two labels
labelled arms     one matrix: cells with labels, each against the same thing under the first label
arms by a field   one matrix: cells that differ in one field only, such as `flash_attn` or `image`
counterparts      two reports: each cell of the first against the same cell of the second
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.analysis.comparability import beside, differences
from harness.analysis.results import CellResult, MachineResults
from harness.values.cell import PARAMETERS

FIELDS = ("backend", "image", "model", "device", "beside", *PARAMETERS)
"""What can tell two arms of one matrix apart."""

ENTAILED = {"backend": frozenset({"image", "n_gpu_layers"})}
"""Fields that cannot stay the same where another differs: each backend has its image, and a CPU offloads nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """Two results to be compared: the second against the first.

    Attributes:
        machines: the names of theirs.
        differs: the fields in which they differ, and are meant to; none for a control.
        refused: the fields that forbid to compare them.
        paired: whether they were measured in the same rounds of the same starts.
    """

    first: CellResult
    second: CellResult
    machines: tuple[str, str]
    differs: tuple[str, ...]
    refused: tuple[str, ...] = ()
    paired: bool = True


def setting(result: CellResult) -> dict[str, object]:
    """What was asked for, by field, without label and test."""
    cell = result.cell
    fields = {"backend": cell.backend, "image": cell.image, "model": cell.model, "device": cell.device}
    alone = {} if not cell.beside else {"beside": beside(cell)}
    return {**fields, **alone, **cell.params}


def differing(first: CellResult, second: CellResult) -> tuple[str, ...]:
    """The fields in which what was asked for differs."""
    a, b = setting(first), setting(second)
    return tuple(name for name in {**a, **b} if a.get(name) != b.get(name))


def labelled_arms(machine: MachineResults) -> tuple[Arms, ...]:
    """Cells with labels, each against its like under the label that stands first in the matrix.

    Its like is the cell of the same model and test that differs in the fewest fields. Controls are left out.
    """
    found = []
    labelled = [result for result in machine.cells if result.cell.label]
    base: dict[object, str] = {}
    for result in labelled:
        base.setdefault((result.cell.model, result.cell.test), result.cell.label)
    for result in labelled:
        label = base[result.cell.model, result.cell.test]
        if result.cell.label == label:
            continue
        likes = [r for r in labelled if r.cell.label == label and _same_work(r, result)]
        nearest = min(likes, key=lambda like: len(differing(like, result)))
        if differing(nearest, result):
            found.append(_arms(machine, nearest, result, allowed=FIELDS))
    return tuple(found)


def control_arms(machine: MachineResults) -> tuple[Arms, ...]:
    """A/A controls: cells that differ in their label only, each against the first of them."""
    groups: dict[object, list[CellResult]] = {}
    for result in machine.cells:
        if result.cell.label:
            key = (result.cell.test, tuple((name, str(value)) for name, value in sorted(setting(result).items())))
            groups.setdefault(key, []).append(result)
    return tuple(_arms(machine, group[0], other, allowed=()) for group in groups.values() for other in group[1:])


def arms_by(machine: MachineResults, field: str) -> tuple[Arms, ...]:
    """Cells that differ in one field only, each against the one that stands first in the matrix."""
    apart = {field} | ENTAILED.get(field, frozenset())
    groups: dict[object, list[CellResult]] = {}
    for result in machine.cells:
        rest = tuple(sorted((name, str(value)) for name, value in setting(result).items() if name not in apart))
        groups.setdefault((result.cell.test, result.cell.label, rest), []).append(result)
    return tuple(
        _arms(machine, group[0], other, allowed=(*apart, "model weights") if field == "model" else tuple(apart))
        for group in groups.values()
        for other in group[1:]
        if setting(other).get(field) != setting(group[0]).get(field)
    )


def counterparts(first: MachineResults, second: MachineResults) -> tuple[Arms, ...]:
    """Each cell of one report against the same cell of another; those that only one of them has are left out.

    Where nothing is quite the same, the nearest cell of the same test is refused by the fields that differ.
    """
    found = []
    for a in first.cells:
        b = _counterpart(a, second.cells)
        if b is not None:
            differs = [name for name in differing(a, b) if name not in {"image", "model", "device"}]
            differs += ["image"] if a.image is None or b.image is None or a.image.id != b.image.id else []
            differs += ["machine"] if first.machine.machine != second.machine.machine else []
            refused = differences(a, b) + (("backend",) if a.cell.backend != b.cell.backend else ())
            found.append(
                Arms(
                    first=a,
                    second=b,
                    machines=(first.machine.machine, second.machine.machine),
                    differs=tuple(differs),
                    refused=refused,
                    paired=False,
                )
            )
    return tuple(found)


def without_counterpart(first: MachineResults, second: MachineResults) -> tuple[str, ...]:
    """Ids of the cells of either report whose test the other has not."""
    mine, theirs = (
        tuple(r.cell.id for r in one.cells if _counterpart(r, other.cells) is None)
        for one, other in ((first, second), (second, first))
    )
    return mine + theirs


def _counterpart(result: CellResult, others: Sequence[CellResult]) -> CellResult | None:
    same = next((other for other in others if other.cell.id == result.cell.id), None)
    if same is not None:
        return same
    likes = [other for other in others if other.cell.test == result.cell.test and other.cell.label == result.cell.label]
    return min(likes, key=lambda other: (len(differences(result, other)), len(differing(result, other))), default=None)


def _same_work(first: CellResult, second: CellResult) -> bool:
    return (first.cell.model, first.cell.test) == (second.cell.model, second.cell.test)


def _follows(meant: set[str], first: CellResult, second: CellResult) -> set[str]:
    """What of the comparability key cannot stay the same: another device may be two, and those have a split mode."""
    unasked = first.cell.params.get("split_mode") == second.cell.params.get("split_mode")
    several = {"devices"} if meant & {"device", "split_mode"} else set()
    return several | ({"split_mode"} if "device" in meant and unasked else set())


def _arms(machine: MachineResults, first: CellResult, second: CellResult, *, allowed: Iterable[str]) -> Arms:
    meant = set(allowed)
    meant |= _follows(meant, first, second)
    return Arms(
        first=first,
        second=second,
        machines=(machine.machine.machine,) * 2,
        differs=differing(first, second),
        refused=tuple(name for name in differences(first, second) if name not in meant),
    )
