from pathlib import Path

import pytest

from harness.errors import InputError, ProblemsError
from harness.matrix.load import load_matrix, resolve_file
from harness.values.matrix import ImageSource, Matrix, ModelSource

REGISTRY = {"m": ModelSource(name="m", kind="synthetic", recipe={})}
CELL = "cells: [{backend: cpu, model: m}]\n"


def load(tmp_path: Path, text: str, name: str = "x.yaml") -> Matrix:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return load_matrix(file, shown=name, registry=REGISTRY)


def test_the_smallest_file(tmp_path: Path) -> None:
    matrix = load(tmp_path, CELL, "my-bench.v2.yaml")
    assert matrix.name == "my-bench.v2"
    assert matrix.path == tmp_path / "my-bench.v2.yaml"
    assert (matrix.preset.name, matrix.preset.rounds, matrix.preset.repetitions) == ("standard", 6, 5)
    assert (matrix.seed, matrix.memory_bytes, matrix.title, matrix.includes) == (1, None, "", ())
    assert matrix.images["vulkan"] == ImageSource(name="vulkan", build="vulkan")
    (group,) = matrix.groups
    assert (group.images, group.models, group.devices, group.labels) == (("cpu",), ("m",), ("default",), ("",))
    assert group.tests == ((512, 0), (0, 128))
    assert group.depths == (0,)
    assert group.params == {}
    assert group.timeout_s is None


def test_the_hash_is_of_the_bytes(tmp_path: Path) -> None:
    assert load(tmp_path, CELL).sha256 != load(tmp_path, CELL + "# a comment\n").sha256


def test_everything_set(tmp_path: Path) -> None:
    matrix = load(
        tmp_path,
        """
name: n1
title: T
notes: |
  two
  lines
preset: rigorous
rounds: 7
repetitions: 3
seed: 42
memory: 1.5GiB
images:
  cpu: {ref: "ghcr.io/ggml-org/llama.cpp:full-b11312"}
  own: {build: cpu, binary_dir: /opt/x}
  old: {build: cpu-bench, source: b6110}
  ada: {build: cuda, architectures: [sm_89, sm_86]}
models:
  mine: {file: ../w/m.gguf}
  hub: {huggingface: a/b, revision: 0123456789abcdef0123456789abcdef01234567, filename: d/x.gguf, sha256: ABCDEF%s}
cells:
  - backend: vulkan
    image: [vulkan, own]
    model: [m, mine]
    device: [0, Software, "0000:01:00.0"]
    label: [a, b]
    tests: [pp64, tg8, pp64+tg8]
    n_prompt: 32
    n_gen: [4]
    pg: [[16, 2]]
    n_depth: [0, 128]
    flash_attn: [true, 0, auto]
    no_host: [false, true]
    n_batch: 512.0
    tensor_split: 3/1
    timeout: 90
include: "vulkan*"
exclude: ["*/pp32*", "*@0/*"]
"""
        % ("0" * 58),
    )
    assert (matrix.name, matrix.title, matrix.notes) == ("n1", "T", "two\nlines\n")
    assert (matrix.preset.name, matrix.preset.rounds, matrix.preset.repetitions) == ("rigorous", 7, 3)
    assert (matrix.seed, matrix.memory_bytes) == (42, 3 * 2**29)
    assert matrix.images["cpu"].ref == "ghcr.io/ggml-org/llama.cpp:full-b11312"
    assert matrix.images["old"] == ImageSource(name="old", build="cpu-bench", llama_source="b6110")
    assert matrix.images["own"] == ImageSource(name="own", build="cpu", binary_dir="/opt/x")
    assert matrix.images["ada"] == ImageSource(name="ada", build="cuda", architectures=("sm_89", "sm_86"))
    assert set(matrix.models) == {"m", "mine", "hub"}
    assert matrix.models["mine"].path == "../w/m.gguf", "relative to the matrix file, as it is written"
    assert matrix.models["hub"].sha256 == "abcdef" + "0" * 58
    (group,) = matrix.groups
    assert group.devices == ("0", "software", "0000:01:00.0")
    assert group.tests == ((64, 0), (0, 8), (64, 8), (32, 0), (0, 4), (16, 2))
    assert group.params == {
        "flash_attn": (1, 0, "auto"),
        "no_host": (0, 1),
        "n_batch": (512,),
        "tensor_split": ("3/1",),
    }
    assert all(type(value) is not bool for values in group.params.values() for value in values)
    assert type(group.params["n_batch"][0]) is int
    assert group.timeout_s == 90.0
    assert (matrix.includes, matrix.excludes) == (("vulkan*",), ("*/pp32*", "*@0/*"))


@pytest.mark.parametrize(("rounds", "screening"), [(1, True), (5, True), (6, False), (20, False)])
def test_few_rounds_are_for_looking_only(tmp_path: Path, rounds: int, *, screening: bool) -> None:
    assert load(tmp_path, f"rounds: {rounds}\n{CELL}").preset.screening is screening
    assert load(tmp_path, f"preset: quick\n{CELL}").preset.screening


@pytest.mark.parametrize(
    ("text", "name", "until"),
    [
        ("until: 1%", "until", 0.01),
        ("until: 0.5 %\npreset: rigorous", "rigorous", 0.005),
        ("preset: until", "until", 0.01),
    ],
)
def test_until_makes_as_many_rounds_as_it_needs(tmp_path: Path, text: str, name: str, until: float) -> None:
    preset = load(tmp_path, f"{text}\n{CELL}").preset
    assert (preset.name, preset.rounds, preset.screening) == (name, 20, False)
    assert preset.until == pytest.approx(until)


def test_a_file_name_that_names_no_folder_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError, match="add `name:`"):
        load(tmp_path, CELL, "my bench.yaml")
    assert load(tmp_path, f"name: b\n{CELL}", "my bench.yaml").name == "b"


def test_contradictions_of_excluded_cells_do_not_matter(tmp_path: Path) -> None:
    text = "cells: [{backend: cpu, model: m, n_batch: [256, 2048], n_ubatch: [128, 512]}]\n"
    with pytest.raises(ProblemsError):
        load(tmp_path, text)
    assert load(tmp_path, text + 'exclude: "*/b256,ub512"\n').excludes == ("*/b256,ub512",)
    with pytest.raises(ProblemsError, match="matches no cell"):
        load(tmp_path, text + 'exclude: "*/b256,ub512x"\n')


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        load_matrix(tmp_path / "x.yaml", shown="x.yaml", registry=REGISTRY)


@pytest.fixture
def house(tmp_path: Path) -> tuple[Path, Path]:
    matrices, cwd = tmp_path / "matrices", tmp_path / "cwd"
    for folder in (matrices, cwd, cwd / "sub"):
        folder.mkdir()
    for file in (matrices / "demo.yaml", matrices / "models.yaml", cwd / "own.yaml", cwd / "sub" / "s.yaml"):
        file.write_text("x")
    return cwd, matrices


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("demo.yaml", "matrices/demo.yaml"),
        ("demo", "matrices/demo.yaml"),
        ("own.yaml", "cwd/own.yaml"),
        ("./own.yaml", "cwd/own.yaml"),
        ("sub/s.yaml", "cwd/sub/s.yaml"),
        ("../matrices/demo.yaml", "matrices/demo.yaml"),
    ],
)
def test_resolve_file(name: str, found: str, house: tuple[Path, Path], tmp_path: Path) -> None:
    cwd, matrices = house
    assert resolve_file(name, cwd=cwd, matrices_dir=matrices).resolve() == (tmp_path / found).resolve()


def test_resolve_file_by_absolute_path(house: tuple[Path, Path]) -> None:
    cwd, matrices = house
    assert resolve_file(str(cwd / "own.yaml"), cwd=matrices, matrices_dir=matrices) == cwd / "own.yaml"


def test_unknown_files_are_told_with_what_was_meant(house: tuple[Path, Path]) -> None:
    cwd, matrices = house
    for name in ("dmo.yaml", "dmo", "models2", "x" * 5000, "a\0b"):
        with pytest.raises(InputError, match="there is no such matrix file") as caught:
            resolve_file(name, cwd=cwd, matrices_dir=matrices)
        assert ("Did you mean 'demo.yaml'?" in str(caught.value)) == name.startswith("dmo")
        assert "models.yaml" not in str(caught.value)


def test_a_folder_is_told_to_be_one(house: tuple[Path, Path]) -> None:
    cwd, matrices = house
    for name in (str(cwd), ".", "../matrices"):
        with pytest.raises(InputError, match="is a folder, not a matrix file") as caught:
            resolve_file(name, cwd=cwd, matrices_dir=matrices)
        assert caught.value.where == f"--file {name}"


@pytest.mark.parametrize("name", ["models.yaml", "models", "../matrices/models.yaml"])
def test_the_registry_is_no_matrix(name: str, house: tuple[Path, Path]) -> None:
    cwd, matrices = house
    with pytest.raises(InputError, match="is the registry of models, not a matrix file"):
        resolve_file(name, cwd=cwd, matrices_dir=matrices)
