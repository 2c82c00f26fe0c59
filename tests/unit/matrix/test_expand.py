import time
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.matrix.expand import expand, timeouts
from harness.matrix.load import load_matrix
from harness.values.matrix import Matrix, ModelSource

REGISTRY = {name: ModelSource(name=name, kind="synthetic", recipe={}) for name in ("m", "k")}


def load(tmp_path: Path, text: str) -> Matrix:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    return load_matrix(file, shown="x.yaml", registry=REGISTRY)


def ids(tmp_path: Path, text: str, **options: tuple[str, ...]) -> list[str]:
    return [cell.id for cell in expand(load(tmp_path, text), n_threads=8, **options)]


def test_a_cpu_cell_is_complete(tmp_path: Path) -> None:
    (cell,) = expand(load(tmp_path, "cells: [{backend: cpu, model: m, tests: tg16, n_depth: 64}]"), n_threads=6)
    assert cell.id == "cpu/m/tg16@d64"
    assert dict(cell.params) == {
        "n_gpu_layers": 0,
        "flash_attn": 0,
        "n_batch": 2048,
        "n_ubatch": 512,
        "type_k": "f16",
        "type_v": "f16",
        "load_mode": "mmap",
        "n_threads": 6,
    }
    assert (cell.test.n_prompt, cell.test.n_gen, cell.test.n_depth) == (0, 16, 64)


def test_a_gpu_cell_offloads_all_layers(tmp_path: Path) -> None:
    cell = expand(load(tmp_path, "cells: [{backend: rocm, model: m}]"), n_threads=6)[0]
    assert cell.params["n_gpu_layers"] == 99


def test_lists_are_crossed_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "cells: [{backend: cpu, model: [m, k], tests: [pp8, tg4], n_depth: [0, 16], flash_attn: [0, 1]}]"
    assert ids(tmp_path, text) == [
        f"cpu/{model}/{test}{depth}{mark}"
        for model in "mk"
        for mark in ("", "/fa1")
        for depth in ("", "@d16")
        for test in ("pp8", "tg4")
    ]


def test_the_micro_batch_is_never_larger_than_the_batch(tmp_path: Path) -> None:
    cells = expand(load(tmp_path, "cells: [{backend: cpu, model: m, tests: pp8, n_batch: [128, 4096]}]"), n_threads=1)
    assert [(c.params["n_batch"], c.params["n_ubatch"]) for c in cells] == [(128, 128), (4096, 512)]


def test_the_ids_do_not_depend_on_the_machine(tmp_path: Path) -> None:
    matrix = load(tmp_path, "cells: [{backend: cpu, model: m, tests: pp8, n_threads: [1, 4]}]")
    for n_threads in (1, 4):
        cells = expand(matrix, n_threads=n_threads)
        assert [cell.id for cell in cells] == ["cpu/m/pp8/t1", "cpu/m/pp8/t4"]
        assert [cell.params["n_threads"] for cell in cells] == [1, 4]


def test_include_and_exclude(tmp_path: Path) -> None:
    text = "cells: [{backend: cpu, model: [m, k], tests: [pp8, tg4]}]\n"
    assert ids(tmp_path, text + 'include: "*/pp*"') == ["cpu/m/pp8", "cpu/k/pp8"]
    assert ids(tmp_path, text + "exclude: [cpu/m/*]") == ["cpu/k/pp8", "cpu/k/tg4"]
    assert ids(tmp_path, text + 'include: "cpu*"\nexclude: ["*/m/*", "*tg4"]') == ["cpu/k/pp8"]


def test_only_narrows_further(tmp_path: Path) -> None:
    text = "cells: [{backend: cpu, model: [m, k], tests: [pp8, tg4]}]\nexclude: cpu/k/*\n"
    assert ids(tmp_path, text, only=("*tg4", "*pp8")) == ["cpu/m/pp8", "cpu/m/tg4"]
    assert ids(tmp_path, text, only=("*tg4",)) == ["cpu/m/tg4"]
    with pytest.raises(InputError, match=r"--only: 'cpu/k/\*' matches no cell; cells look like 'cpu/m/pp8'"):
        ids(tmp_path, text, only=("*tg4", "cpu/k/*"))


def test_timeouts(tmp_path: Path) -> None:
    text = """
cells:
  - {backend: cpu, model: m, tests: pp8, timeout: 9.5}
  - {backend: cpu, model: k, tests: [pp8, tg4]}
"""
    assert timeouts(load(tmp_path, text)) == {"cpu/m/pp8": 9.5}


def test_ten_thousand_cells_take_seconds(tmp_path: Path) -> None:
    text = f"cells: [{{backend: cpu, model: m, n_prompt: {list(range(1, 101))}, n_depth: {list(range(100))}}}]\n"
    text += "include: ['*/*/*p*', '*']\n"
    start = time.monotonic()
    assert len(ids(tmp_path, text)) == 10_000
    assert time.monotonic() - start < 5
