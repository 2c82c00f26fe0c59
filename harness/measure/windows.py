"""Which part of a run is what: idle before it, loading, and the timed part of each test, by the stamps of its output.

llama-bench prints the row of a test at its end, so the stamp of the row is that end, and the sum of its samples is how
long the timed part was. Before the first test lies the load: the model, the first context, and the warm-up.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.measure.llama_bench import match
from harness.values.bench import BenchOutput
from harness.values.cell import Cell
from harness.values.container import ContainerExit
from harness.values.telemetry import IDLE, LOAD, Window

__all__ = ["IDLE", "LOAD", "is_timed", "windows"]


def windows(
    cells: Sequence[Cell], ended: ContainerExit, output: BenchOutput, *, begin_ns: int | None
) -> tuple[Window, ...]:
    """The windows of a run in the order of time; a cell without a row has none.

    Args:
        begin_ns: when the device was first looked at; None where it was not.
    """
    found = []
    if begin_ns is not None and begin_ns < ended.started_ns:
        found.append(Window(name=IDLE, begin_ns=begin_ns, end_ns=ended.started_ns))
    rows = [
        (ended.stdout[row.line].at_ns, cell.id, row)
        for cell, row in zip(cells, match(cells, output.rows), strict=True)
        if row is not None and row.line is not None and row.line < len(ended.stdout)
    ]
    tests: list[Window] = []
    before = ended.started_ns
    for end_ns, name, row in sorted(rows, key=lambda item: item[0]):
        # At a depth the cache is filled between the repetitions, untimed, so their beginnings are not known.
        begin = before if row.n_depth else max(before, end_ns - sum(row.samples_ns))
        tests.append(Window(name=name, begin_ns=begin, end_ns=max(begin, end_ns), untimed=bool(row.n_depth)))
        before = end_ns
    loaded = tests[0].begin_ns if tests else ended.ended_ns
    if loaded > ended.started_ns:
        found.append(Window(name=LOAD, begin_ns=ended.started_ns, end_ns=loaded))
    return (*found, *tests)


def is_timed(window: Window) -> bool:
    """Whether samples were taken in it."""
    return window.name not in {IDLE, LOAD}
