from collections.abc import Callable

import pytest

from harness.analysis.controls import controls
from harness.analysis.results import machine_results
from harness.store.sessions import Session
from harness.values.cell import Cell, Test
from harness.values.record import Record

MakeCell = Callable[..., Cell]
MakeSession = Callable[..., Session]
MakeRecord = Callable[..., Record]


def test_cells_that_differ_in_their_label_are_compared_by_round(
    make_cell: MakeCell, make_session: MakeSession, make_record: MakeRecord
) -> None:
    a, b = make_cell("x#a", label="a"), make_cell("x#b", label="b")
    keys = {"x#a": "ka", "x#b": "kb"}
    drift = [1000, 2000, 1500, 1200, 900, 3000]
    records = [make_record((a, [9, ns]), round_=r, key="ka") for r, ns in enumerate(drift, start=1)]
    records += [make_record((b, [9, 2 * ns]), round_=r, key="kb") for r, ns in enumerate(drift, start=1)]
    (control,) = controls(machine_results([make_session([a, b], keys=keys)], records))
    assert (control.arms.first.cell.label, control.arms.second.cell.label) == ("a", "b")
    assert control.comparison is not None
    assert control.comparison.ratio == pytest.approx(0.5)
    assert control.comparison.rounds == 6


def test_only_rounds_that_both_have_are_compared(
    make_cell: MakeCell, make_session: MakeSession, make_record: MakeRecord
) -> None:
    a, b = make_cell("x#a", label="a"), make_cell("x#b", label="b")
    keys = {"x#a": "ka", "x#b": "kb"}
    records = [make_record((a, [9, 1000]), round_=r, key="ka") for r in (1, 2, 3)]
    records += [make_record((b, [9, 1000]), round_=r, key="kb") for r in (2, 3, 4)]
    (control,) = controls(machine_results([make_session([a, b], keys=keys)], records))
    assert control.comparison is not None
    assert control.comparison.rounds == 2


def test_below_two_common_rounds_nothing_is_compared(make_cell: MakeCell, make_session: MakeSession) -> None:
    a, b = make_cell("x#a", label="a"), make_cell("x#b", label="b")
    (control,) = controls(machine_results([make_session([a, b])], []))
    assert control.comparison is None


def test_three_labels_make_two_pairs_with_the_first(make_cell: MakeCell, make_session: MakeSession) -> None:
    cells = [make_cell(f"x#{label}", label=label) for label in "abc"]
    found = controls(machine_results([make_session(cells)], []))
    assert [(c.arms.first.cell.label, c.arms.second.cell.label) for c in found] == [("a", "b"), ("a", "c")]


def test_cells_that_differ_in_more_are_no_pair(make_cell: MakeCell, make_session: MakeSession) -> None:
    cells = [
        make_cell("1", label="a"),
        make_cell("2", label="b", test=Test(n_gen=20)),
        make_cell("3", label="c", params={"flash_attn": 1}),
        make_cell("4", label="d", device="1"),
        make_cell("5"),
    ]
    assert controls(machine_results([make_session(cells)], [])) == ()
