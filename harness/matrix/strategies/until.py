"""`until: 1%`: rounds are added until the interval of every cell is narrow enough, by the looks of `stats/until.py`.

A cell stops when its own interval is narrow, and with it the cells of its run and the other arms that it may be
compared with, since arms are compared by rounds that both have.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.stats.until import rounds_wanted
from harness.store.history import History
from harness.values.plan import Group


def arms_together(groups: Sequence[Group]) -> tuple[tuple[Group, ...], ...]:
    """The groups that stop together: all labelled ones of a model, which may be compared; each other one by itself."""
    blocks: dict[object, list[Group]] = {}
    for index, group in enumerate(groups):
        first = group.cells[0]
        blocks.setdefault(("arms", first.model) if first.label else index, []).append(group)
    return tuple(tuple(block) for block in blocks.values())


class Until:
    """How many rounds a group needs until all of its block are within +-`goal`, a share."""

    def __init__(self, *, goal: float, groups: Sequence[Group]) -> None:
        self.goal = goal
        # Depths of one setting have one key: a group is told by its first cell too.
        self._blocks = {_place(group): block for block in arms_together(groups) for group in block}

    def __call__(self, group: Group, history: History) -> int:
        """The look at which it is or may be done. Cells that have no number in the warm-up hold nobody up."""
        series = [
            history.by_round(other.key, cell)
            for other in self._blocks[_place(group)]
            if other.failure is None
            for cell in other.cells
            if history.lasting_failure(other.key, cell.id, 0) is None
        ]
        return rounds_wanted(series, goal=self.goal)


def _place(group: Group) -> tuple[str, str]:
    return group.key, group.cells[0].id
