"""The quick wins as pairs of cells: both sides are in the matrix that is made, and are found in it again."""

import json

import pytest

from harness.matrix.expand import expand_all
from harness.matrix.load import load_matrix
from harness.matrix.wins import About, claims, find, matrix_of
from harness.values.cell import Cell, Test
from harness.values.matrix import ModelSource

BIG, SMALL = "m-q8_0", "m-q4_0"
REGISTRY = {name: ModelSource(name=name, kind="file", path=f"/{name}.gguf") for name in (BIG, SMALL)}
ABOUT = About(cores=4, threads=8, context_length=8192, quantizations=(BIG, SMALL))


def base(backend="cpu"):
    params = {"n_gpu_layers": 0 if backend == "cpu" else 99, "flash_attn": 0, "n_batch": 2048, "n_ubatch": 512,
              "type_k": "f16", "type_v": "f16", "load_mode": "mmap", "n_threads": 4}  # fmt: skip
    test = Test(n_prompt=512, n_gen=128)
    return Cell(id="base", backend=backend, image=backend, model=BIG, params=params, test=test)


@pytest.mark.parametrize("backend", ["cpu", "vulkan"])
def test_both_sides_of_every_claim_are_cells_of_the_matrix(backend, tmp_path):
    wins = claims(base(backend), ABOUT)
    file = tmp_path / "wins.yaml"
    file.write_text(json.dumps(matrix_of(base(backend), wins, images=None, models=None, preset="standard")))
    cells = [cell for _, cell in expand_all(load_matrix(file, shown="wins.yaml", registry=REGISTRY), n_threads=4)]
    assert len({cell.id for cell in cells}) == len(cells)
    for win in wins:
        before, after = (find(cells, base(backend), side) for side in (win.before, win.after))
        assert before is not None, win
        assert after is not None, win
        assert before.id != after.id


def test_what_means_nothing_for_a_backend_is_not_claimed():
    on_cpu = {win.name for win in claims(base(), ABOUT)}
    on_card = {win.name for win in claims(base("vulkan"), ABOUT)}
    assert "all layers on the GPU" in on_card - on_cpu
    assert any("thread" in name for name in on_cpu)
    assert not any("thread" in name for name in on_card)


def test_a_model_made_for_a_short_context_has_no_claim_about_long_ones():
    names = {win.name for win in claims(base(), About(cores=4, threads=4, context_length=512))}
    assert not any("context" in name or "KV cache" in name for name in names)
    assert all(
        win.before.test.n_depth == win.after.test.n_depth == 0
        for win in claims(base(), About(cores=4, threads=4, context_length=512))
    )
