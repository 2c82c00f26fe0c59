"""The protocol's own strategy: a warm-up, then rounds in which every cell has its turn once, as many as are wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from harness.store.history import History
from harness.values.cell import Cell
from harness.values.plan import Group, Planned


class Wanted(Protocol):
    """How many counted rounds a group needs, as far as is known by now."""

    def __call__(self, group: Group, history: History) -> int:
        """Rounds; it may grow as records come in, and never shrinks below what is recorded."""


def fixed(rounds: int) -> Wanted:
    """The same number for every group, known beforehand."""
    return lambda _group, _history: rounds


class Rounds:
    """Every group once a round until it has as many as are wanted.

    What is recorded is not run again, but for a round with an invalid run, which is made again whole; a cell that
    failed for good in the warm-up is not tried in the rounds.

    Args:
        order: the order of the groups in a round, as indices.
        wanted: rounds by group; asked again whenever records were added.
    """

    def __init__(self, *, groups: tuple[Group, ...], order: Callable[[int], Sequence[int]], wanted: Wanted) -> None:
        self._groups = groups
        self.order = order
        self.wanted = wanted

    @property
    def groups(self) -> tuple[Group, ...]:
        """All groups, in the order of the matrix."""
        return self._groups

    def next(self, history: History) -> tuple[Planned, ...]:
        """What is left of the first round that is not complete, in its order; empty when nothing is."""
        wanted = [self.wanted(group, history) for group in self.groups]
        for round_ in range(max(wanted, default=0) + 1):
            if found := self._round(round_, wanted, history):
                return found
        return ()

    def ahead(self, history: History) -> tuple[Planned, ...]:
        """What is left of all rounds by what is known now."""
        wanted = [self.wanted(group, history) for group in self.groups]
        rounds = range(max(wanted, default=0) + 1)
        return tuple(planned for round_ in rounds for planned in self._round(round_, wanted, history))

    def _round(self, round_: int, wanted: Sequence[int], history: History) -> tuple[Planned, ...]:
        repeat = history.repeat(round_)
        return tuple(
            Planned(key=group.key, round=round_, order=place, cells=cells, failure=group.failure, repeat=repeat)
            for place, index in enumerate(self.order(round_))
            if round_ <= wanted[index] and (cells := self._cells_left(group := self.groups[index], round_, history))
        )

    def lacking(self, history: History) -> tuple[str, ...]:
        """Ids of the cells that lack a number in some round that they should have one in."""
        return tuple(
            cell.id
            for group in self.groups
            for cell in group.cells
            if not all(history.ok(group.key, cell.id, r) for r in range(self.wanted(group, history) + 1))
        )

    def _cells_left(self, group: Group, round_: int, history: History) -> tuple[Cell, ...]:
        if group.failure is not None and round_ > 0:
            return ()
        return tuple(
            cell
            for cell in group.cells
            if not history.settled(group.key, cell.id, round_)
            and not (round_ > 0 and history.lasting_failure(group.key, cell.id, 0))
        )
