"""Cells that cannot fit, since a smaller one did not: they are recorded as skipped and never run."""

from __future__ import annotations

from dataclasses import replace

from harness.matrix.strategies.rounds import Rounds
from harness.store.history import History
from harness.values.cell import Cell
from harness.values.failure import Failure, Phase, Reason
from harness.values.plan import Group, Planned

OUT_OF_MEMORY = frozenset({Reason.OOM_DEVICE, Reason.OOM_HOST})
BATCH = ("n_batch", "n_ubatch")


def memory(cell: Cell) -> tuple[int, ...]:
    """What the memory of a cell grows with: context, sequences, the batch, the micro-batch."""
    return (cell.test.n_context, cell.test.n_parallel, *(int(cell.params.get(name, 0)) for name in BATCH))


def dominates(smaller: Cell, cell: Cell) -> bool:
    """Whether `cell` needs at least the memory of `smaller` in every way, and more in one.

    Both are the same model in the same image on the same device with the same parameters, batch and label apart, in the
    same program beside the same others: a server holds what llama-bench does not, such as a draft model or a cache.
    """
    if _same(smaller) != _same(cell):
        return False
    pairs = tuple(zip(memory(smaller), memory(cell), strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _same(cell: Cell) -> tuple[object, ...]:
    params = {name: value for name, value in cell.params.items() if name not in BATCH}
    programs = cell.test.measurement, cell.test.draft, cell.test.against, cell.beside, cell.beside_busy
    return cell.backend, cell.image, cell.model, cell.device, *programs, tuple(sorted(params.items()))


class SkipDominated:
    """Rounds in which the cells that are dominated by one that ran out of memory in the warm-up are skipped.

    Later rounds teach nothing here: a cell that had room once and then has not met another program, not its limit.
    """

    def __init__(self, rounds: Rounds) -> None:
        self.rounds = rounds

    @property
    def groups(self) -> tuple[Group, ...]:
        """Those of the rounds."""
        return self.rounds.groups

    def next(self, history: History) -> tuple[Planned, ...]:
        """As the rounds say; of each run the cells that are skipped apart, with the reason."""
        full = self._full(history)
        return tuple(part for planned in self.rounds.next(history) for part in _split(planned, full))

    def ahead(self, history: History) -> tuple[Planned, ...]:
        """Runs that are left; what is going to be skipped is still among them."""
        return self.rounds.ahead(history)

    def lacking(self, history: History) -> tuple[str, ...]:
        """Ids of the cells that lack a number."""
        return self.rounds.lacking(history)

    def _full(self, history: History) -> tuple[Cell, ...]:
        """The cells that ran out of memory in the warm-up."""
        return tuple(
            cell
            for group in self.rounds.groups
            for cell in group.cells
            if (failure := history.lasting_failure(group.key, cell.id, 0)) and failure.reason in OUT_OF_MEMORY
        )


def _split(planned: Planned, full: tuple[Cell, ...]) -> tuple[Planned, ...]:
    if planned.failure is not None or not full:
        return (planned,)
    by = {cell.id: next((small for small in full if dominates(small, cell)), None) for cell in planned.cells}
    parts = []
    kept = tuple(cell for cell in planned.cells if by[cell.id] is None)
    if kept:
        parts.append(replace(planned, cells=kept))
    for cell in planned.cells:
        small = by[cell.id]
        if small is not None:
            parts.append(replace(planned, cells=(cell,), failure=_skipped(small)))
    return tuple(parts)


def _skipped(smaller: Cell) -> Failure:
    return Failure(
        phase=Phase.PREPARE,
        reason=Reason.SKIPPED_DOMINATED,
        detail=f"not tried: {smaller.id} needs less and ran out of memory",
        remedy="To try it all the same, name it with --only and add --retry-failed.",
    )
