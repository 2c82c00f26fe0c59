from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.depth import curves, turns
from harness.analysis.results import MachineResults, machine_results
from harness.store.sessions import Session
from harness.values.cell import Cell, Test
from harness.values.record import Record

Speeds = dict[int, Sequence[int]]
Make = Callable[[Speeds, Speeds], MachineResults]
NOISE = (0, 7, -5, 3, -4, 6)


@pytest.fixture
def measured(
    make_cell: Callable[..., Cell], make_session: Callable[..., Session], make_record: Callable[..., Record]
) -> Make:
    """Flash attention off and on, with ns per sample by depth."""

    def make(off: dict[int, Any], on: dict[int, Any]) -> MachineResults:
        cells, records = [], []
        for flash, times in ((0, off), (1, on)):
            for depth, values in times.items():
                params = {"flash_attn": flash, "type_k": "f16", "type_v": "f16"}
                cell = make_cell(f"fa{flash}@d{depth}", params=params, test=Test(n_gen=10, n_depth=depth))
                cells.append(cell)
                for round_, ns in enumerate(values, start=1):
                    records.append(make_record((cell, [9, ns]), round_=round_, key=cell.id))
        return machine_results([make_session(cells, keys={cell.id: cell.id for cell in cells})], records)

    return make


def times(ns: int) -> list[int]:
    return [ns + noise for noise in NOISE]


def test_a_curve_has_its_depths_in_order(measured: Make) -> None:
    found = curves(measured({4096: times(2000), 0: times(1000)}, {0: times(900)}))
    assert [[r.cell.test.n_depth for r in curve.results] for curve in found] == [[0, 4096]]


def test_a_ranking_that_turns_is_told_with_both_comparisons(measured: Make) -> None:
    off = {0: times(1000), 1024: times(2000), 4096: times(4000)}
    on = {0: times(1100), 1024: times(2000), 4096: times(3000)}
    (turn,) = turns(measured(off, on))
    # At 1024 neither is shown to be faster: the turn lies somewhere between its neighbours.
    assert turn.depths == (0, 4096)
    assert turn.shallow.comparison is not None
    assert turn.deep.comparison is not None
    assert turn.shallow.comparison.high < 1 < turn.deep.comparison.low


def test_a_lead_that_only_shrinks_is_no_turn(measured: Make) -> None:
    assert turns(measured({0: times(1000), 4096: times(2000)}, {0: times(1100), 4096: times(2000)})) == ()


def test_nothing_is_said_without_rounds_enough(measured: Make) -> None:
    assert turns(measured({0: [1000], 4096: [2000]}, {0: [1100], 4096: [1500]})) == ()


def test_ten_minutes_are_held_against_no_short_test(measured: Make) -> None:
    found = measured({0: times(1000), 4096: times(4000)}, {0: times(1100), 4096: times(3000)})
    assert len(turns(found)) == 1
    cells = tuple(
        replace(r, cell=replace(r.cell, test=replace(r.cell.test, sustained_s=600 * int(r.cell.params["flash_attn"]))))
        for r in found.cells
    )
    assert turns(replace(found, cells=cells)) == ()
