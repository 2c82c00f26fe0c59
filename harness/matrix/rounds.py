"""Which cells share a run, and the order of the runs: randomised complete blocks, every round has each run once."""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness.values import measurement
from harness.values.cell import Cell, Test

_PRINTED = {"pp": 0, "tg": 1, "pg": 2}


def group_cells(cells: Sequence[Cell]) -> tuple[tuple[Cell, ...], ...]:
    """The cells that one llama-bench process can measure with one loaded model.

    They share backend, image, model, device, label, parameters and depth. Within a group they stand in the order in
    which llama-bench prints their rows: all of `-p`, then of `-n`, then of `-pg`. Of other programs those share a
    process that can: requests to one server with as many at once, numbers of sequences of one shape.
    """
    groups: dict[object, list[Cell]] = {}
    for cell in cells:
        params = tuple(sorted(cell.params.items()))
        key = (
            cell.backend,
            cell.image,
            cell.model,
            cell.device,
            cell.label,
            params,
            cell.beside,
            cell.beside_busy,
            _process(cell.test),
        )
        groups.setdefault(key, []).append(cell)
    return tuple(tuple(sorted(g, key=lambda cell: _PRINTED.get(cell.test.kind, 0))) for g in groups.values())


def _process(test: Test) -> tuple[object, ...]:
    """What of a test its process is started for; the rest is asked of it."""
    match test.measurement:
        case measurement.LATENCY:
            return (test.measurement, test.n_parallel, test.draft)
        case measurement.BATCHED:
            return (test.measurement, test.n_prompt, test.n_gen)
        case measurement.BENCH:
            # How often it is repeated holds for the whole process.
            return (test.n_depth, test if test.sustained_s else None)
        case _:
            return (test,)


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
