"""`invoke lock` writes what a matrix stands for, and `--locked` measures that or refuses."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.errors import ArtifactError, InputError
from harness.flows import lock as lock_flow
from harness.flows.console import Display
from harness.flows.lock import changes, lock_matrix
from harness.matrix.lock_file import read_lock
from harness.store.sessions import read_sessions
from harness.values.lock import Lock, LockedImage, LockedModel
from harness.values.matrix import ImageSource

REF = "ghcr.io/ggml-org/llama.cpp:full"
DIGEST = "sha256:" + "e" * 64
MATRIX = f"""
preset: quick
images:
  official: {{ref: "{REF}"}}
models:
  made:
    synthetic: {{architecture: llama, n_layers: 2, n_embd: 256, n_ff: 512, n_heads: 4, n_kv_heads: 4, n_vocab: 1024,
                n_ctx: 512, quantization: Q4_0, seed: 3}}
cells:
  - {{backend: cpu, model: made, tests: [pp32]}}
  - {{backend: cpu, model: made, tests: [pp32], image: official}}
"""


@pytest.fixture
def locking(harness, monkeypatch: pytest.MonkeyPatch):
    """Locks a matrix with the fakes of the main job; what the user saw is returned."""
    asked: list[ImageSource] = []

    def prepare_image(source: ImageSource, **how):
        asked.append(source)
        return replace(harness.prepare_image(source, **how), recipe_sha256="f" * 64 if source.build else None)

    def resolve(source: ImageSource, **_how) -> ImageSource:
        return replace(source, digest=DIGEST) if source.ref else source

    monkeypatch.setattr(lock_flow, "open_engine", harness.open_engine)
    monkeypatch.setattr(lock_flow, "resolve_image", resolve)
    monkeypatch.setattr(lock_flow, "prepare_image", prepare_image)
    monkeypatch.setattr(lock_flow, "prepare_model", harness.prepare_model)

    def lock(file: str) -> str:
        stream = io.StringIO()
        display = Display(terminal=False, stream=Console(file=stream, soft_wrap=True, highlight=False))
        lock_matrix(file, workspace=harness.workspace, display=display)
        return stream.getvalue()

    lock.asked = asked  # type: ignore[attr-defined]
    return lock


def read(file: str) -> Lock:
    path = Path(file).with_suffix(".lock.yaml")
    return read_lock(path, shown=path.name, matrix=file)


def test_every_name_becomes_what_it_stands_for(harness, locking) -> None:
    file = harness.matrix(MATRIX)
    said = locking(file)
    lock = read(file)
    assert lock.images == {
        "cpu": LockedImage(
            build="cpu", id=harness.image.id, recipe="f" * 64, build_number=11312, build_commit="0c1e57098"
        ),
        "official": LockedImage(ref=REF, digest=DIGEST, build_number=11312, build_commit="0c1e57098", moving=True),
    }
    assert list(lock.models) == ["made"]
    assert lock.models["made"].sha256 == "c" * 64
    assert lock.models["made"].source.startswith("synthetic ")
    assert [source.digest for source in locking.asked] == ["", DIGEST], "what is asked for its build is what is locked"
    assert "moving tag" in said
    assert "b11312" in said
    assert "`invoke matrix --file" in said


def test_a_model_whose_hash_is_pinned_is_not_fetched(harness, locking) -> None:
    file = harness.matrix("cells: [{backend: cpu, model: gemma3-270m-q4_k_m}]\n")
    locking(file)
    assert harness.had == ["image cpu"]
    assert read(file).models["gemma3-270m-q4_k_m"].source.startswith("package ")


def test_where_something_cannot_be_had_the_old_lock_stays(harness, locking) -> None:
    file = harness.matrix(MATRIX)
    locking(file)
    before = Path(file).with_suffix(".lock.yaml").read_bytes()
    harness.missing["image official"] = ArtifactError("gone", reason="image")
    with pytest.raises(ArtifactError):
        locking(file)
    assert Path(file).with_suffix(".lock.yaml").read_bytes() == before


def test_what_changed_since_the_last_lock_is_said(harness, locking) -> None:
    file = harness.matrix(MATRIX)
    locking(file)
    harness.image = replace(harness.image, id="sha256:" + "9" * 64, build_number=11400)
    assert "changed: image cpu: b11312 became b11400, which is newer" in locking(file)


def lock_of(number: int | None, digest: str = DIGEST, model: str = "a" * 64) -> Lock:
    return Lock(
        matrix="x.yaml",
        matrix_sha256="0" * 64,
        locked_utc="",
        images={"x": LockedImage(ref=REF, digest=digest, build_number=number)},
        models={"m": LockedModel(sha256=model, source="")},
    )


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (lock_of(999), lock_of(999), ()),
        (lock_of(999), lock_of(1000, "sha256:1"), ("image x: b999 became b1000, which is newer",)),
        (lock_of(1000), lock_of(999, "sha256:1"), ("image x: b1000 became b999, which is older",)),
        (lock_of(999), lock_of(999, "sha256:1"), ("image x: another image of b999",)),
        (
            lock_of(None),
            lock_of(999, "sha256:1"),
            ("image x: an unknown build became b999",),
        ),
        (lock_of(1), lock_of(1, model="b" * 64), ("model m: aaaaaaaaaaaa became bbbbbbbbbbbb",)),
    ],
)
def test_builds_are_compared_as_numbers(before: Lock, after: Lock, said: tuple[str, ...]) -> None:
    assert changes(before, after) == said


def test_locked_measures_the_locked_images_and_the_session_says_so(
    harness, locking, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = harness.matrix(MATRIX)
    locking(file)
    given: list[ImageSource] = []
    usual = harness.prepare_image

    def prepare_image(source: ImageSource, **how):
        given.append(source)
        return usual(source, **how)

    monkeypatch.setattr("harness.flows.prepare.prepare_image", prepare_image)
    harness.measure(file, locked=True)
    assert {(source.name, source.digest, source.image_id) for source in given} == {
        ("cpu", "", harness.image.id),
        ("official", DIGEST, ""),
    }
    (session,) = read_sessions(harness.workspace.reports / "tiny").values()
    assert session.lock_sha256 == read(file).sha256


def test_without_locked_no_lock_is_read_and_the_session_has_none(harness, locking) -> None:
    file = harness.matrix(MATRIX)
    Path(file).with_suffix(".lock.yaml").write_text("nonsense")
    harness.measure(file)
    (session,) = read_sessions(harness.workspace.reports / "tiny").values()
    assert session.lock_sha256 is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: Path(file).write_text(MATRIX + "# more\n"), "changed since it was locked"),
        (lambda file: Path(file).with_suffix(".lock.yaml").unlink(), "has no lock yet"),
    ],
)
def test_locked_refuses_before_anything_is_started(harness, locking, change, message: str) -> None:
    file = harness.matrix(MATRIX)
    locking(file)
    harness.had.clear()
    change(file)
    with pytest.raises(InputError, match=message) as caught:
        harness.measure(file, locked=True)
    assert caught.value.exit_code == 2
    assert "invoke lock" in caught.value.remedy
    assert harness.had == harness.started == []


def test_a_locked_image_that_is_not_here_ends_the_start(harness, locking) -> None:
    file = harness.matrix(MATRIX)
    locking(file)
    harness.missing["image cpu"] = InputError("the lock names the image sha256:b, which is not here")
    with pytest.raises(InputError):
        harness.measure(file, locked=True)
    assert harness.started == []
    assert not (harness.workspace.reports / "tiny" / "sessions").exists()
