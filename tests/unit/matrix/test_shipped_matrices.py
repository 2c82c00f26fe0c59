"""Every matrix that is shipped, and every YAML example of the documentation, is valid as it stands."""

import json
import re
from datetime import datetime
from functools import cache
from pathlib import Path

import pytest

from harness.artifacts.dockerfile import read_dockerfile
from harness.artifacts.synthetic_recipe import parse_recipe
from harness.formats.strict_yaml import load
from harness.matrix.expand import expand
from harness.matrix.load import load_matrix
from harness.matrix.registry import load_registry
from harness.matrix.rounds import group_cells
from harness.values.cell import Cell
from harness.values.matrix import ModelSource

ROOT = Path(__file__).resolve().parents[3]
MATRICES = ROOT / "matrices"
FILES = sorted(path for path in MATRICES.glob("*.yaml") if path.name != "models.yaml")


GUIDE = ("synthetic-7b-q8_0", "synthetic-13b-q4_k_m", "synthetic-34b-q4_k_m", "synthetic-70b-q4_k_m")
"""From the smallest to the largest."""

# What each file must hold: its backends, how many of the guide's models fit, and the pattern of its card.
SHIPPED = {
    "anchor": ({"cuda", "rocm", "vulkan"}, 0, "default"),
    "arc-b580": ({"vulkan"}, 2, "B580"),
    "cross-vendor": ({"cuda", "rocm", "vulkan"}, 1, "default"),
    "demo": ({"cpu", "vulkan"}, 0, ""),
    "guide": ({"cpu", "vulkan"}, 0, ""),
    "h100": ({"cuda"}, 4, "*H100*"),
    "rtx4090": ({"cuda", "vulkan"}, 3, "*RTX 4090"),
    "rtx5090": ({"cuda", "vulkan"}, 3, "*RTX 5090"),
    "rx7900xtx": ({"rocm", "vulkan"}, 3, "7900 XTX"),
    "strix-halo": ({"rocm", "vulkan"}, 4, "8060S"),
}
MEMORY_GIB = {"arc-b580": 12, "h100": 80, "rtx4090": 24, "rtx5090": 32, "rx7900xtx": 24, "strix-halo": 128}
"""GiB of the card that a file is for; cross-vendor.yaml says 12 or more."""


@cache
def registry() -> dict[str, ModelSource]:
    return load_registry(MATRICES / "models.yaml")


@cache
def cells_of(path: Path) -> tuple[Cell, ...]:
    matrix = load_matrix(path, shown=path.name, registry=registry())
    return expand(matrix, n_threads=4)


def test_every_ready_matrix_is_there_and_known_to_this_test() -> None:
    assert {path.stem for path in FILES} == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_it_measures_its_card_with_the_models_that_fit(name: str) -> None:
    backends, n_models, device = SHIPPED[name]
    cells = cells_of(MATRICES / f"{name}.yaml")
    assert {cell.backend for cell in cells} == backends
    assert {cell.model for cell in cells} & set(GUIDE) == set(GUIDE[:n_models])
    if device:
        assert {cell.device for cell in cells} == {device}


@pytest.mark.parametrize("name", MEMORY_GIB)
def test_weights_and_cache_of_every_cell_fit_its_card(name: str) -> None:
    models = registry()
    for cell in cells_of(MATRICES / f"{name}.yaml"):
        if models[cell.model].kind == "synthetic":
            recipe = parse_recipe(models[cell.model].recipe, where=cell.model)
            width = 2 * recipe.n_kv_heads * recipe.head_dim * 2  # keys and values in two bytes
            cache = (cell.test.n_depth + cell.test.n_tokens) * recipe.n_layers * width
            assert recipe.size_bytes + cache < 0.92 * MEMORY_GIB[name] * 2**30, cell.id


@pytest.mark.parametrize("name", [name for name, (backends, *_) in SHIPPED.items() if len(backends) > 1])
def test_comparisons_have_the_same_cells_on_both_sides_and_more_than_an_empty_context(name: str) -> None:
    cells = [cell for cell in cells_of(MATRICES / f"{name}.yaml") if not cell.label]
    if name in {"demo", "guide"}:  # Vulkan's device is software there, and compared with nothing
        return
    by_backend = {
        backend: {
            (cell.model, cell.test, tuple(sorted(cell.params.items()))) for cell in cells if cell.backend == backend
        }
        for backend in SHIPPED[name][0]
    }
    assert len({frozenset(found) for found in by_backend.values()}) == 1
    if name != "anchor":  # the scoreboards' test is with an empty context
        assert len({cell.test.n_depth for cell in cells}) > 1


def test_the_guide_asks_for_every_metric_of_the_guide() -> None:
    cells = cells_of(MATRICES / "guide.yaml")
    tests = [cell.test for cell in cells]
    assert {test.measurement for test in tests} == {"bench", "latency", "load", "batched", "quality"}
    assert {test.cold for test in tests if test.measurement == "load"} == {True, False}
    assert any(test.sustained_s for test in tests)
    assert any(test.n_parallel > 1 for test in tests if test.measurement == "latency")
    assert {test.n_parallel for test in tests if test.measurement == "batched"} == {1, 2, 4, 8}
    for measurement in ("bench", "latency"):
        deep = [cell for cell in cells if cell.test.measurement == measurement and cell.test.n_depth]
        assert {(c.params["flash_attn"], c.params["type_k"]) for c in deep} == {(0, "f16"), (1, "f16"), (1, "q8_0")}
    # The server's rates stand beside llama-bench's of the same test.
    served = {(t.n_prompt, t.n_gen) for t in tests if t.measurement == "latency"}
    assert (128, 32) in served
    assert {(128, 0), (0, 32)} <= {(t.n_prompt, t.n_gen) for t in tests if t.measurement == "bench"}
    layers = {cell.params["n_gpu_layers"] for cell in cells if cell.backend == "vulkan"}
    assert min(layers) == 0
    assert len(layers) > 2


def test_the_anchor_is_the_scoreboards_test() -> None:
    cells = [cell for cell in cells_of(MATRICES / "anchor.yaml") if not cell.label]
    assert {cell.model for cell in cells} == {"synthetic-7b-q4_0"}
    assert {(cell.test.n_prompt, cell.test.n_gen, cell.test.n_depth) for cell in cells} == {(512, 0, 0), (0, 128, 0)}
    assert {cell.params["flash_attn"] for cell in cells} == {0, 1}
    assert {(cell.params["n_gpu_layers"], cell.params["n_batch"], cell.params["n_ubatch"]) for cell in cells} == {
        (99, 2048, 512)
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_its_comments_say_what_it_measures_how_long_it_takes_and_which_images_it_needs(path: Path) -> None:
    comments = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
    for word in ("Measures:", "Takes:", "Images:"):
        assert f"# {word}" in comments


def test_how_long_the_guide_takes_is_what_its_report_took_wherever_it_is_said() -> None:
    (journal,) = (ROOT / "reports" / "guide" / "journal").glob("*.jsonl")
    events = [json.loads(line)["at_utc"] for line in journal.read_text().splitlines()]
    took = datetime.fromisoformat(max(events)) - datetime.fromisoformat(min(events))
    minutes = round(took.total_seconds() / 60)
    assert f"# Takes: about {minutes} minutes" in (MATRICES / "guide.yaml").read_text()
    assert f"`./bench matrix --file guide.yaml`, {minutes} minutes there" in (ROOT / "README.md").read_text()
    rows = [
        line for line in (ROOT / "docs" / "matrix.md").read_text().splitlines() if line.startswith("| `guide.yaml`")
    ]
    assert [row.split(" | ")[-1] for row in rows] == [f"{minutes} min |"]


# What each card needs of an image, by backend. An image built here serves where its Dockerfile compiles for that.
CARDS = {
    "h100": {"cuda": "sm_90"},
    "rtx4090": {"cuda": "sm_89"},
    "rtx5090": {"cuda": "sm_120"},
    "rx7900xtx": {"rocm": "gfx1100"},
    "strix-halo": {"rocm": "gfx1151"},
}


@pytest.mark.parametrize("name", CARDS)
def test_a_card_that_images_built_here_do_not_serve_is_said_to_need_an_official_one(name: str) -> None:
    text = (MATRICES / f"{name}.yaml").read_text(encoding="utf-8")
    said = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    images = said.partition("Images:")[2].partition("Left out:")[0]
    for backend, code in CARDS[name].items():
        served = code in read_dockerfile(backend, ROOT / "images").architectures
        assert ("leave `images:` out" in images) is served
        assert ("official image" in images and code in images) or served


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_official_images_are_named_by_tags_that_are_always_there(path: Path) -> None:
    """Official images are made once a day: most builds have no tag with their number."""
    matrix = load_matrix(path, shown=path.name, registry=registry())
    for image in matrix.images.values():
        assert not image.ref or re.fullmatch(r"ghcr\.io/ggml-org/llama\.cpp:full-(cuda|rocm|vulkan)", image.ref)


@pytest.mark.parametrize("name", ["anchor", "cross-vendor"])
def test_matrices_for_any_card_say_which_need_an_official_image(name: str) -> None:
    text = (MATRICES / f"{name}.yaml").read_text(encoding="utf-8")
    assert all(word in text for word in ("Blackwell", "sm_100", "gfx1151", "gfx120x", "gfx942", "official"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_left_out_is_said_in_the_report_too(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ("# Left out:" in text) == ("notes:" in text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_is_valid_and_carries_an_a_a_control(path: Path) -> None:
    matrix = load_matrix(path, shown=path.name, registry=registry())
    cells = expand(matrix, n_threads=4)
    assert len({cell.id for cell in cells}) == len(cells)
    labels = {cell.label for cell in cells}
    assert {"a", "b"} <= labels
    assert not matrix.preset.screening
    assert len(group_cells(cells)) < len(cells)


def test_the_registry_is_valid() -> None:
    models = registry()
    gemma = models["gemma3-270m-q4_k_m"]
    assert gemma.sha256 == "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
    assert len(gemma.packages) == len(gemma.parts) == 4
    for model in models.values():
        if model.kind == "synthetic":
            assert parse_recipe(model.recipe, where=model.name).n_params > 1_000_000


# What llama-bench prints for the trained models of these shapes, and the sizes of their files in public repositories
# (which hold the vocabulary too): Llama 2 7B Q8_0 7.16 GB, Llama 2 13B 7.87 GB, Code Llama 34B 20,219,900,064 bytes,
# Llama 3.1 70B "39.59 GiB, 70.55 B".
@pytest.mark.parametrize(
    ("name", "size_bytes", "n_params"),
    [
        ("synthetic-7b-q4_0", 3_825_065_984, 6_738_415_616),
        ("synthetic-7b-q8_0", 7_160_348_672, 6_738_415_616),
        ("synthetic-13b-q4_k_m", 7_865_210_880, 13_015_864_320),
        ("synthetic-34b-q4_k_m", 20_219_150_336, 33_743_970_304),
        ("synthetic-70b-q4_k_m", 42_512_531_456, 70_553_706_496),
    ],
)
def test_sizes_are_those_of_the_trained_models(name: str, size_bytes: int, n_params: int) -> None:
    source = registry()[name]
    recipe = parse_recipe(source.recipe, where=name)
    assert (recipe.size_bytes, recipe.n_params) == (size_bytes, n_params)
    assert source.sha256


def test_examples_of_the_documentation(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/matrix.md").read_text(encoding="utf-8"), re.DOTALL)
    whole = [block for block in blocks if "cells:" in block]
    assert len(blocks) >= 3
    assert whole
    for block in blocks:
        load(block.replace("sha256: ...", f"sha256: {'a' * 64}"), file="docs/matrix.md")
    for block in whole:
        file = tmp_path / "example.yaml"
        file.write_text(block, encoding="utf-8")
        load_matrix(file, shown="docs/matrix.md", registry=registry())
    for block in blocks:
        if block.startswith(("images:", "models:")):
            complete = block.replace("sha256: ...", f"sha256: {'a' * 64}").replace("sha256:...", f"sha256:{'a' * 64}")
            file = tmp_path / "example.yaml"
            file.write_text(complete + "cells: [{backend: cpu, model: synthetic-17m-q4_0}]\n", encoding="utf-8")
            load_matrix(file, shown="docs/matrix.md", registry=registry())
