"""Which cell ended a run, and which never had their turn."""

import pytest

from harness.store.history import left_over
from harness.values.cell import Cell, Test
from harness.values.failure import Failure, Phase, Reason


def cell(**test: int | str) -> Cell:
    made = Test(**{"n_prompt": 512, "n_gen": 64, "measurement": "latency", **test})
    return Cell(id=made.name, backend="cuda", image="cuda", model="m", test=made)


def failed(cells: tuple[Cell, ...], reason: Reason) -> dict[str, Failure]:
    return {each.id: Failure(phase=Phase.LOAD, reason=reason, detail="d") for each in cells}


@pytest.mark.parametrize("reason", [Reason.OOM_DEVICE, Reason.OOM_HOST, Reason.CONTEXT])
@pytest.mark.parametrize(
    "cells",
    [
        (cell(), cell(n_depth=4096), cell(n_depth=65536)),
        (cell(n_depth=65536), cell()),
        (cell(measurement="batched"), cell(measurement="batched", n_parallel=512)),
    ],
    ids=lambda cells: "+".join(c.id for c in cells),
)
def test_a_context_made_for_all_that_does_not_fit_is_the_largest_ones(cells: tuple[Cell, ...], reason: Reason) -> None:
    largest = max(cells, key=lambda c: (c.test.n_depth, c.test.n_parallel))
    assert left_over(cells, failed(cells, reason)) == tuple(c for c in cells if c is not largest)


def test_where_some_were_measured_the_next_one_ended_it() -> None:
    cells = (cell(), cell(n_depth=4096), cell(n_depth=65536))
    assert left_over(cells, failed(cells[1:], Reason.OOM_DEVICE)) == cells[2:]


def test_llama_bench_makes_a_context_for_each_test() -> None:
    cells = (cell(measurement="bench"), cell(measurement="bench", n_prompt=4096))
    assert left_over(cells, failed(cells, Reason.OOM_DEVICE)) == cells[1:]
