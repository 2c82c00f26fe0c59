"""`device: each`: a cell becomes one for each device, and keeps everything else."""

from dataclasses import replace

import pytest

from harness.matrix.cell_ids import cell_id
from harness.matrix.in_turn import in_turn, on_device
from harness.values.cell import Cell, Test


@pytest.fixture
def cell() -> Cell:
    test = Test(n_gen=128, n_depth=512)
    identity = cell_id(backend="cuda", image="x", device="each", model="m", test=test, given={}, label="a")
    return Cell(id=identity, backend="cuda", image="x", model="m", device="each", label="a", test=test)


def test_each_device_has_a_cell_of_its_own(cell: Cell) -> None:
    cells = in_turn(cell, ("01:00.0", "0001:41:00.0", "2"))
    assert [c.id for c in cells] == [
        "cuda:x@01:00.0/m/tg128@d512#a",
        "cuda:x@0001:41:00.0/m/tg128@d512#a",
        "cuda:x@2/m/tg128@d512#a",
    ]
    assert [c.device for c in cells] == ["01:00.0", "0001:41:00.0", "2"]
    assert all(replace(c, id="", device="") == replace(cell, id="", device="") for c in cells)


def test_without_a_device_the_cell_stays(cell: Cell) -> None:
    assert in_turn(cell, ()) == (cell,)


def test_the_id_is_the_one_that_the_place_itself_would_have(cell: Cell) -> None:
    moved = on_device(replace(cell, id=cell.id.replace("@each", "@GPU-5e7b"), device="GPU-5e7b"), "01:00.0")
    assert moved.id == cell_id(
        backend="cuda", image="x", device="01:00.0", model="m", test=cell.test, given={}, label="a"
    )
