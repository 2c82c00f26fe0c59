# ruff: noqa: E501 - a message stands on one line, as users see it
from pathlib import Path

import pytest

from harness.errors import ProblemsError
from harness.matrix.registry import load_registry

H, C = "a" * 64, "b" * 40


def test_every_kind_of_model(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(
        f"""
near: {{file: w/m.gguf, title: Near, licence: MIT}}
far: {{file: /w/m.gguf, sha256: {H}}}
home: {{file: ~/m.gguf}}
hub: {{huggingface: o/r, revision: {C}, filename: d/x.gguf, sha256: {H}}}
packed: {{packages: [{{requirement: "p-1==1.0.0", sha256: {H.upper()}}}], parts: [p_1/a, p_1/b], sha256: {H}}}
made:
  synthetic: {{architecture: llama, n_layers: 1, n_embd: 32, n_ff: 32, n_heads: 1, n_kv_heads: 1, n_vocab: 32,
    n_ctx: 32, quantization: Q4_0, seed: 3}}
"""
    )
    models = load_registry(file)
    assert {name: model.kind for name, model in models.items()} == {
        "near": "file",
        "far": "file",
        "home": "file",
        "hub": "huggingface",
        "packed": "package",
        "made": "synthetic",
    }
    assert models["near"].path == str(tmp_path / "w/m.gguf"), "relative to the registry, wherever the matrix lies"
    assert (models["near"].title, models["near"].licence, models["near"].sha256) == ("Near", "MIT", "")
    assert models["far"].path == "/w/m.gguf"
    assert models["home"].path == "~/m.gguf"
    hub = models["hub"]
    assert (hub.repo, hub.revision, hub.filename, hub.sha256) == ("o/r", C, "d/x.gguf", H)
    assert models["packed"].packages == (("p-1==1.0.0", H),)
    assert models["packed"].parts == ("p_1/a", "p_1/b")
    assert models["made"].recipe is not None
    assert models["made"].recipe["seed"] == 3
    assert models["hub"].recipe is None


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{}", "r.yaml:1:4: $.m: must have exactly one of the keys file, huggingface, packages, synthetic"),
        (f"{{packages: [], parts: [a], sha256: {H}}}", "r.yaml:1:15: $.m.packages: must not be empty"),
        (
            f"{{packages: [{{requirement: p>=1, sha256: {H}}}], parts: [a/b], sha256: {H}}}",
            "r.yaml:1:30: $.m.packages[0].requirement: 'p>=1' is not a package with its exact version, such as name==1.0.0",
        ),
        (
            f"{{packages: [{{requirement: p==1, sha256: {H}}}], sha256: {H}}}",
            "r.yaml:1:5: $.m.packages: 'packages' needs 'parts' beside it",
        ),
        (
            "{file: a, revision: main}",
            "r.yaml:1:14: $.m.revision: 'revision' needs 'huggingface' beside it\nr.yaml:1:24: $.m.revision: 'main' is not a commit of 40 hexadecimal digits (branches and tags move)",
        ),
        ("1", "r.yaml:1:4: $.m: must be a mapping of keys to values, not 1"),
    ],
)
def test_wrong_entries(entry: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(f"m: {entry}\n")
    with pytest.raises(ProblemsError) as caught:
        load_registry(file, shown="r.yaml")
    assert "\n".join(str(problem) for problem in caught.value.problems) == expected


@pytest.mark.parametrize("path", ["../x", "a/../x", "a/..", "/x", "..", "a\\b", " a", "a/"])
def test_files_outside_their_source_are_refused(path: str, tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(f"m: {{huggingface: o/r, revision: {C}, filename: '{path}', sha256: {H}}}\n")
    with pytest.raises(ProblemsError, match="is not a path of a file within its source"):
        load_registry(file)
