"""Building: what is reused, what a change leads to, and what a failed build tells."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from harness.artifacts import build
from harness.artifacts.build import RECIPE_LABEL, builds_in, ensure_built, present_build
from harness.artifacts.build_log import BuildLog
from harness.artifacts.llama_source import read_pin
from harness.errors import ArtifactError, InputError, MachineError
from harness.values.protocols import ImageStoreError

CHECKOUT_IMAGES = Path(__file__).parents[3] / "images"
BASE = "llama-bench-harness/base:trixie"
CPU = "llama-bench-harness/llama.cpp:full-cpu-b11312"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CHECKOUT_IMAGES, tmp_path / "images"))


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "source.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("x/vendor/llama.cpp/CMakeLists.txt"), io.BytesIO())
    monkeypatch.setattr(build, "fetch_source", lambda *_, **__: path)


def ensure(name: str, images: Path, store, progress=lambda *_: None):
    store.images.get(BASE) or store.add(BASE)
    return ensure_built(
        name, images=images, store=store, cache=images.parent / "cache", say=lambda _: None, progress=progress
    )


def test_the_core_is_built_once_for_all_backends(images: Path, image_store) -> None:
    cpu = ensure("cpu", images, image_store)
    vulkan = ensure("vulkan", images, image_store)
    assert cpu.core_tag == vulkan.core_tag
    assert image_store.built == [cpu.core_tag, CPU, "llama-bench-harness/llama.cpp:full-vulkan-b11312"]
    assert cpu.core_tag.startswith("llama-bench-harness/core:trixie-")
    assert "llama.cpp/CMakeLists.txt" in image_store.contexts[0]
    assert list(image_store.contexts[1]) == ["Dockerfile"]


def test_the_builder_gets_the_pinned_build_and_only_the_last_image_is_labelled(images: Path, image_store) -> None:
    recipe = ensure("cpu", images, image_store)
    core_args, cpu_args = image_store.build_args
    assert core_args == {"BASE": BASE, "LLAMA_BUILD_NUMBER": "11312", "LLAMA_BUILD_COMMIT": "0c1e57098"}
    assert cpu_args == core_args | {"CORE": recipe.core_tag}
    assert image_store.labels[0] == {}
    assert image_store.labels[1][RECIPE_LABEL] == recipe.sha256


def test_what_is_there_is_not_built_again_even_without_its_base(images: Path, image_store) -> None:
    first = ensure("cpu", images, image_store)
    image_store.built.clear()
    del image_store.images[BASE]
    again = ensure_built(
        "cpu",
        images=images,
        store=image_store,
        cache=images.parent,
        say=pytest.fail,
        progress=lambda *_: pytest.fail("nothing to do"),
    )
    assert again == first
    assert image_store.built == []


@pytest.mark.parametrize("changed", ["cpu.Dockerfile", "core.Dockerfile", "llama.cpp.yaml", "base"])
def test_whatever_it_is_made_from_makes_another_recipe(images: Path, image_store, changed: str) -> None:
    before = ensure("cpu", images, image_store)
    if changed == "base":
        image_store.add(BASE, Created="later")
    elif changed == "llama.cpp.yaml":
        text = (images / changed).read_text()
        (images / changed).write_text(text.replace("sha256: 832", "sha256: 932"))
    else:
        (images / changed).write_text((images / changed).read_text() + "# more\n")
    pin = read_pin(images / "llama.cpp.yaml")
    assert present_build("cpu", pin=pin, images=images, store=image_store) is None
    after = ensure("cpu", images, image_store)
    assert after.sha256 != before.sha256
    assert (after.core_tag == before.core_tag) == (changed == "cpu.Dockerfile")


def test_an_image_without_our_label_is_not_taken_for_ours(images: Path, image_store) -> None:
    image_store.add(CPU)
    ensure("cpu", images, image_store)
    assert CPU in image_store.built


@pytest.mark.parametrize(("name", "meant"), [("vulcan", "'vulkan'"), ("cpus", "'cpu'")])
def test_an_unknown_name_is_told_with_what_was_meant(images: Path, image_store, name: str, meant: str) -> None:
    with pytest.raises(InputError, match=f"Did you mean {meant}") as caught:
        ensure(name, images, image_store)
    assert "cpu, vulkan" in str(caught.value) or "cpu" in str(caught.value)
    assert image_store.built == []


def test_the_core_alone_is_no_image_to_measure() -> None:
    assert "core" not in builds_in(CHECKOUT_IMAGES)
    assert {"cpu", "vulkan"} <= set(builds_in(CHECKOUT_IMAGES))


def test_too_little_space_is_said_before_anything_is_fetched(images: Path, image_store) -> None:
    image_store.free = 400_000_000
    with pytest.raises(MachineError, match=r"needs 3\.0 GB .* 0\.4 GB are free"):
        ensure("cpu", images, image_store)
    assert image_store.built == []


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("E: You don't have enough free space\nwrite /x: no space left on device", "free space"),
        ("c++: fatal error: Killed signal terminated program cc1plus", "ran out of memory"),
        ("W: Failed to fetch http://x  Temporary failure resolving 'x'", "package sources"),
        ("foo.cpp:1:1: error: expected ';'", "read the log"),
    ],
)
def test_a_failed_build_shows_its_last_lines_and_what_to_do(images: Path, image_store, words: str, remedy: str) -> None:
    image_store.output = "".join(f"line {n}\n" for n in range(100)) + f"{words}\n"
    image_store.builds = [ImageStoreError("The command '/bin/sh -c cmake' returned a non-zero code: 1")]
    with pytest.raises(ArtifactError) as caught:
        ensure("cpu", images, image_store)
    error = caught.value
    assert error.reason == "image"
    assert error.where == "images/core.Dockerfile"
    assert remedy in error.remedy
    assert words.splitlines()[-1] in error.what
    assert "returned a non-zero code: 1" in error.what
    assert "line 99" in error.what
    assert "line 50" not in error.what
    log = (images.parent / "cache" / "logs" / "build-core.log").read_text()
    assert "line 0\n" in log
    assert "returned a non-zero code" in log


def test_progress_counts_compiler_steps_within_the_dockerfiles(tmp_path: Path) -> None:
    told: list[tuple[str, int | None, int | None]] = []
    with BuildLog(tmp_path / "log", name="core", progress=lambda *event: told.append(event)) as log:
        for piece in (
            "Step 9/12 : RUN cmake --build build",
            " --target ggml\n ---> Running in 8ed16a43b577\n[1/281] Build",
            "ing CXX object a.o\n\x1b[91mCMake Warning\n\x1b[0m[2/281] Linking b.so\n",
            "STEP 3/4: COPY x y\n",
            "left over",
        ):
            log.take(piece)
    assert told == [
        ("core: step 9 of 12: RUN cmake --build build --target ggml", 8, 12),
        ("core: step 9 of 12", 1, 281),
        ("core: step 9 of 12", 2, 281),
        ("core: step 3 of 4: COPY x y", 2, 4),
    ]
    text = (tmp_path / "log").read_text()
    assert "\x1b" not in text
    assert text.endswith("left over\n")
