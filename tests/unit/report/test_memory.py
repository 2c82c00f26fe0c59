"""What the section Memory says of its own figures, where they look as if they contradicted each other."""

from dataclasses import replace

from harness.analysis.fit.predict import Part, Prediction
from harness.analysis.memory import CellMemory, Held
from harness.report.sections.memory import notes
from harness.values.cell import Test
from tests.unit.analysis.made import made

MIB = 1024**2


def memory(*, loaded: int, test: int, peak: int | None = None, predicted: int = 100, depth: int = 0) -> CellMemory:
    return CellMemory(
        result=made(test=Test(n_gen=32, n_depth=depth)),
        load=Held(device=None, host=loaded * MIB),
        test=Held(device=None, host=test * MIB),
        peak=None if peak is None else peak * MIB,
        predicted=Prediction(parts=(Part(name="weights", host=predicted * MIB),)),
    )


def test_a_peak_below_what_was_loaded_is_explained_where_cells_shared_a_run() -> None:
    (note,) = notes([memory(loaded=103, test=101), memory(loaded=99, test=101)])
    assert "of the cell that came first" in note
    # The kernel's peak of a run covers its loading.
    assert notes([memory(loaded=99, test=98, peak=101)]) == []


def test_less_than_predicted_at_a_depth_is_explained_where_another_cell_filled_it() -> None:
    (note,) = notes([memory(loaded=60, test=70, depth=512)])
    assert "restores it from a copy" in note
    # It filled the depth itself, or is about as predicted, or has no depth.
    alone = memory(loaded=60, test=70, peak=70, depth=512)
    assert notes([alone, memory(loaded=60, test=97, depth=512), memory(loaded=60, test=70)]) == []
    assert notes([replace(alone, predicted=None)]) == []
