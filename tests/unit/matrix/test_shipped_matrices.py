"""Every matrix that is shipped, and every YAML example of the documentation, is valid as it stands."""

import re
from pathlib import Path

import pytest

from harness.artifacts.synthetic_recipe import parse_recipe
from harness.formats.strict_yaml import load
from harness.matrix.expand import expand
from harness.matrix.load import load_matrix
from harness.matrix.registry import load_registry
from harness.matrix.rounds import group_cells

ROOT = Path(__file__).resolve().parents[3]
MATRICES = ROOT / "matrices"
FILES = sorted(path for path in MATRICES.glob("*.yaml") if path.name != "models.yaml")


def test_the_demo_is_among_them() -> None:
    assert {path.name for path in FILES} >= {"demo.yaml", "rtx4090.yaml", "rx7900xtx.yaml", "strix-halo.yaml"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_is_valid_and_carries_an_a_a_control(path: Path) -> None:
    matrix = load_matrix(path, shown=path.name, registry=load_registry(MATRICES / "models.yaml"))
    cells = expand(matrix, n_threads=4)
    assert len({cell.id for cell in cells}) == len(cells)
    labels = {cell.label for cell in cells}
    assert {"a", "b"} <= labels
    assert not matrix.preset.screening
    assert len(group_cells(cells)) < len(cells)


def test_the_registry_is_valid() -> None:
    models = load_registry(MATRICES / "models.yaml")
    gemma = models["gemma3-270m-q4_k_m"]
    assert gemma.sha256 == "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
    assert len(gemma.packages) == len(gemma.parts) == 4
    for model in models.values():
        if model.kind == "synthetic":
            assert parse_recipe(model.recipe, where=model.name).n_params > 1_000_000


def test_examples_of_the_documentation(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/matrix.md").read_text(encoding="utf-8"), re.DOTALL)
    whole = [block for block in blocks if "cells:" in block]
    assert len(blocks) >= 3
    assert whole
    for block in blocks:
        load(block.replace("sha256: ...", f"sha256: {'a' * 64}"), file="docs/matrix.md")
    registry = load_registry(MATRICES / "models.yaml")
    for block in whole:
        file = tmp_path / "example.yaml"
        file.write_text(block, encoding="utf-8")
        load_matrix(file, shown="docs/matrix.md", registry=registry)
    for block in blocks:
        if block.startswith(("images:", "models:")):
            complete = block.replace("sha256: ...", f"sha256: {'a' * 64}").replace("sha256:...", f"sha256:{'a' * 64}")
            file = tmp_path / "example.yaml"
            file.write_text(complete + "cells: [{backend: cpu, model: synthetic-17m-q4_0}]\n", encoding="utf-8")
            load_matrix(file, shown="docs/matrix.md", registry=registry)
