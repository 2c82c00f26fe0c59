"""The lock: written, read as it was written, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import InputError, ProblemsError
from harness.matrix.expand import expand
from harness.matrix.load import load_matrix, resolve_file
from harness.matrix.lock_file import apply_lock, lock_path, read_lock, render_lock
from harness.values.lock import Lock, LockedImage, LockedModel
from harness.values.matrix import Matrix, ModelSource

SHA = "0123456789abcdef" * 4
DIGEST = f"sha256:{SHA}"
REF = "ghcr.io/ggml-org/llama.cpp:full-vulkan"
REGISTRY = {"m": ModelSource(name="m", kind="huggingface", sha256=SHA)}
TEXT = f"""
images:
  official: {{ref: "{REF}"}}
models:
  mine: {{file: m.gguf}}
cells:
  - {{backend: cpu, model: [m, mine]}}
  - {{backend: vulkan, model: m, image: official}}
"""


@pytest.fixture
def matrix(tmp_path: Path) -> Matrix:
    path = tmp_path / "x.yaml"
    path.write_text(TEXT)
    return load_matrix(path, shown="x.yaml", registry=REGISTRY)


@pytest.fixture
def lock(matrix: Matrix) -> Lock:
    return Lock(
        matrix="x.yaml",
        matrix_sha256=matrix.sha256,
        locked_utc="2026-01-01T00:00:00Z",
        images={
            "cpu": LockedImage(build="cpu", id=DIGEST, recipe=SHA, build_number=11312, build_commit="0c1e57098"),
            "official": LockedImage(ref=REF, digest="sha256:" + "a" * 64, moving=True),
        },
        models={
            "m": LockedModel(sha256=SHA, source="huggingface a/b@c m.gguf"),
            "mine": LockedModel(sha256="b" * 64, source='file "m".gguf: \\ ü'),
        },
    )


def apply(lock: Lock, matrix: Matrix) -> Matrix:
    return apply_lock(lock, matrix, expand(matrix, n_threads=1), shown="x.lock.yaml", file="x.yaml")


def test_it_lies_beside_the_matrix() -> None:
    assert lock_path(Path("a/x.yaml")) == Path("a/x.lock.yaml")
    assert lock_path(Path("a/x.yml")) == Path("a/x.lock.yaml")
    assert lock_path(Path("a/x")) == Path("a/x.lock.yaml")


def test_what_is_read_is_what_was_written(lock: Lock, tmp_path: Path) -> None:
    path = tmp_path / "x.lock.yaml"
    path.write_bytes(render_lock(lock))
    read = read_lock(path, shown="x.lock.yaml", matrix="x.yaml")
    assert replace(read, sha256="") == lock
    assert len(read.sha256) == 64
    path.write_bytes(render_lock(lock) + b"# a word\n")
    assert read_lock(path, shown="x.lock.yaml", matrix="x.yaml").sha256 != read.sha256


def test_every_image_and_model_is_pinned(lock: Lock, matrix: Matrix) -> None:
    pinned = apply(lock, matrix)
    assert (pinned.images["cpu"].image_id, pinned.images["cpu"].digest) == (DIGEST, "")
    assert (pinned.images["official"].image_id, pinned.images["official"].digest) == ("", "sha256:" + "a" * 64)
    assert pinned.models["mine"].sha256 == "b" * 64
    assert pinned.images["vulkan"] == matrix.images["vulkan"], "no cell needs it"
    assert replace(pinned, images=matrix.images, models=matrix.models) == matrix


def test_a_matrix_that_changed_is_refused_with_what_to_do(lock: Lock, matrix: Matrix) -> None:
    with pytest.raises(InputError, match=r"x\.yaml changed since it was locked 2026-01-01") as caught:
        apply(lock, replace(matrix, sha256="f" * 64))
    assert caught.value.exit_code == 2
    assert caught.value.where == "x.lock.yaml"
    assert "`invoke lock --file x.yaml`" in caught.value.remedy


def test_all_that_is_missing_or_different_is_told_at_once(lock: Lock, matrix: Matrix) -> None:
    less = replace(
        lock,
        images={"official": replace(lock.images["official"], ref="a/b:c")},
        models={"m": replace(lock.models["m"], sha256="c" * 64)},
    )
    with pytest.raises(ProblemsError) as caught:
        apply(less, matrix)
    assert [str(problem) for problem in caught.value.problems] == [
        "x.lock.yaml: $.images.cpu: this image is not in the lock",
        f"x.lock.yaml: $.images.official: what was locked is a/b:c, and now it means {REF}",
        f"x.lock.yaml: $.models.m: what was locked has SHA-256 {'c' * 64}, and now {SHA} is asked for",
        "x.lock.yaml: $.models.mine: this model is not in the lock",
    ]
    assert caught.value.exit_code == 2


def test_only_what_the_cells_need_has_to_be_locked(lock: Lock, matrix: Matrix) -> None:
    cells = expand(matrix, n_threads=1, only=("cpu/m/*",))
    less = replace(lock, images={"cpu": lock.images["cpu"]}, models={"m": lock.models["m"]})
    apply_lock(less, matrix, cells, shown="x.lock.yaml", file="x.yaml")


def test_without_a_lock_it_is_said_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no lock yet") as caught:
        read_lock(tmp_path / "x.lock.yaml", shown="x.lock.yaml", matrix="x.yaml")
    assert "`invoke lock --file x.yaml`" in caught.value.remedy


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format: 1", "format: 2", "$.format: must be 1, not 2"),
        (f'"{DIGEST}"', '"sha256:12"', "$.images.cpu.id: 'sha256:12' is not `sha256:` and 64 hex digits"),
        (f'id: "{DIGEST}"', "", "must have exactly one of the keys digest, id"),
        ("moving", "mooving", "unknown key 'mooving'"),
        ("models:", "models: [", ""),
    ],
)
def test_a_damaged_lock_is_refused_with_its_place(lock: Lock, tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "x.lock.yaml"
    text = render_lock(lock).decode()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ProblemsError) as caught:
        read_lock(path, shown="x.lock.yaml", matrix="x.yaml")
    assert message in str(caught.value)
    assert "x.lock.yaml:" in str(caught.value)
    assert "`invoke lock --file x.yaml`" in str(caught.value)


def test_a_lock_is_no_matrix_file(tmp_path: Path) -> None:
    (tmp_path / "x.lock.yaml").write_text("format: 1\n")
    with pytest.raises(InputError, match="is the lock of a matrix file") as caught:
        resolve_file("x.lock.yaml", cwd=tmp_path, matrices_dir=tmp_path)
    assert "x.yaml, and add --locked" in caught.value.remedy
    with pytest.raises(InputError) as caught:
        resolve_file("zzz", cwd=tmp_path, matrices_dir=tmp_path)
    assert "lock" not in caught.value.remedy
