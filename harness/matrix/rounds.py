"""Which cells share a run, and the order of the runs: randomised complete blocks, every round has each run once."""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness.values.cell import Cell

_PRINTED = {"pp": 0, "tg": 1, "pg": 2}


def group_cells(cells: Sequence[Cell]) -> tuple[tuple[Cell, ...], ...]:
    """The cells that one llama-bench process can measure with one loaded model.

    They share backend, image, model, device, label, parameters and depth. Within a group they stand in the order in
    which llama-bench prints their rows: all of `-p`, then of `-n`, then of `-pg`.
    """
    groups: dict[object, list[Cell]] = {}
    for cell in cells:
        params = tuple(sorted(cell.params.items()))
        key = (cell.backend, cell.image, cell.model, cell.device, cell.label, params, cell.test.n_depth)
        groups.setdefault(key, []).append(cell)
    return tuple(tuple(sorted(group, key=lambda cell: _PRINTED[cell.test.kind])) for group in groups.values())


def round_order(n_groups: int, *, round_: int, seed: int) -> tuple[int, ...]:
    """The order of the groups in one round, as indices. Round 0, the warm-up, keeps the order of the file."""
    order = list(range(n_groups))
    if round_ > 0:
        # Shuffled by the seed and the round alone: the same on every machine, and whatever was run before.
        random.Random(f"{seed}/{round_}").shuffle(order)  # noqa: S311 - an order, no secret
    return tuple(order)


def plan_rounds(cells: Sequence[Cell], *, rounds: int, seed: int) -> tuple[tuple[tuple[Cell, ...], ...], ...]:
    """For the warm-up and each of `rounds` counted rounds: the groups of cells in the order in which they run."""
    groups = group_cells(cells)
    orders = (round_order(len(groups), round_=round_, seed=seed) for round_ in range(rounds + 1))
    return tuple(tuple(groups[index] for index in order) for order in orders)
