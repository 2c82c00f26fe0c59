"""Building: what is reused, what a change leads to, and what a failed build tells."""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from harness.artifacts import build
from harness.artifacts.build import RECIPE_LABEL, builds_in, ensure_built, present_build
from harness.artifacts.build_log import BuildLog
from harness.artifacts.llama_source import read_pin
from harness.artifacts.recipe import image_tag
from harness.errors import ArtifactError, InputError, MachineError
from harness.values.protocols import ImageStoreError

CHECKOUT_IMAGES = Path(__file__).parents[3] / "images"
BASE = "llama-bench-harness/base:trixie"
NEWER = "llama-bench-harness/base:forky"
CPU = "llama-bench-harness/llama.cpp:full-cpu-b11312"
ROCM = "llama-bench-harness/llama.cpp:full-rocm-b11312"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CHECKOUT_IMAGES, tmp_path / "images"))


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "source.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("x/vendor/llama.cpp/CMakeLists.txt"), io.BytesIO())
    monkeypatch.setattr(build, "fetch_source", lambda *_, **__: path)


def ensure(name: str, images: Path, store, progress=lambda *_: None, architectures=()):
    for base in (BASE, NEWER):
        store.images.get(base) or store.add(base)
    return ensure_built(
        name,
        images=images,
        store=store,
        cache=images.parent / "cache",
        say=lambda _: None,
        progress=progress,
        architectures=architectures,
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


def test_an_image_of_a_newer_suite_takes_the_core_as_it_is(images: Path, image_store) -> None:
    cpu, rocm = ensure("cpu", images, image_store), ensure("rocm", images, image_store)
    assert rocm.core_tag == cpu.core_tag
    assert image_store.built == [cpu.core_tag, CPU, ROCM]
    core_args, _, rocm_args = image_store.build_args
    assert core_args["BASE"] == BASE
    assert rocm_args == core_args | {"BASE": NEWER, "CORE": rocm.core_tag}
    assert rocm.base_id == image_store.images[NEWER]["Id"]


@pytest.mark.parametrize("changed", [BASE, NEWER])
def test_either_base_is_part_of_the_recipe(images: Path, image_store, changed: str) -> None:
    before = ensure("rocm", images, image_store)
    image_store.add(changed, Created="later")
    after = ensure("rocm", images, image_store)
    assert after.sha256 != before.sha256
    assert (after.core_tag == before.core_tag) == (changed == NEWER)


def test_what_is_there_of_two_suites_is_known_again_without_either_base(images: Path, image_store) -> None:
    first = ensure("rocm", images, image_store)
    del image_store.images[BASE], image_store.images[NEWER]
    pin = read_pin(images / "llama.cpp.yaml")
    assert present_build("rocm", pin=pin, images=images, store=image_store) == first


def test_architectures_are_given_to_the_builder_and_make_an_image_of_their_own(images: Path, image_store) -> None:
    all_of_them = ensure("cuda", images, image_store)
    chosen = ensure("cuda", images, image_store, architectures=("sm_89", "sm_86"))
    assert "ARCHITECTURES" not in all_of_them.build_args
    assert image_store.build_args[-1]["ARCHITECTURES"] == "sm_86 sm_89"
    assert chosen.tag == f"{all_of_them.tag}-sm_86-sm_89"
    assert chosen.sha256 != all_of_them.sha256
    image_store.built.clear()
    assert ensure("cuda", images, image_store, architectures=("sm_86", "sm_89", "sm_86")) == chosen
    assert ensure("cuda", images, image_store) == all_of_them
    assert image_store.built == []


def test_a_tag_stays_a_tag_with_many_architectures() -> None:
    pin = read_pin(CHECKOUT_IMAGES / "llama.cpp.yaml")
    many = image_tag("rocm", pin, [f"gfx{number}" for number in range(1000, 1032)])
    assert re.fullmatch(r"llama-bench-harness/llama\.cpp:full-rocm-b11312-[0-9a-f]{12}", many)
    assert many != image_tag("rocm", pin, [f"gfx{number}" for number in range(1000, 1031)])


def test_architectures_for_a_build_without_any_are_refused(images: Path, image_store) -> None:
    with pytest.raises(InputError, match="'cpu' is compiled for no GPU"):
        ensure("cpu", images, image_store, architectures=("sm_89",))
    assert image_store.built == []


def test_a_dockerfile_says_how_much_room_it_needs(images: Path, image_store) -> None:
    image_store.free = 5_000_000_000
    with pytest.raises(MachineError, match=r"the core and cuda needs 13\.5 GB"):
        ensure("cuda", images, image_store)
    ensure("vulkan", images, image_store)


def test_a_dockerfile_without_a_suite_is_refused(images: Path, image_store) -> None:
    (images / "cpu.Dockerfile").write_text("FROM scratch\n")
    with pytest.raises(InputError, match="which suite it stands on"):
        ensure("cpu", images, image_store)


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
        ("nvcc fatal   : Unsupported gpu architecture 'compute_120'", "`architectures`"),
        ("clang++: error: invalid target ID 'gfx1199'; format is a processor name", "`architectures`"),
        ("CMake Error: CMAKE_CUDA_ARCHITECTURES:  sm_x  is not one of the following", "`architectures`"),
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


def test_progress_counts_compiler_steps_and_names_the_dockerfiles(tmp_path: Path) -> None:
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
        ("core: step 9 of 12: RUN cmake --build build --target ggml", None, None),
        ("core: step 9 of 12, compiling", 1, 281),
        ("core: step 9 of 12, compiling", 2, 281),
        ("core: step 3 of 4: COPY x y", None, None),
    ]
    text = (tmp_path / "log").read_text()
    assert "\x1b" not in text
    assert text.endswith("left over\n")


BENCH = "llama-bench-harness/llama.cpp:cpu-bench-b6110"


def test_an_image_that_stands_on_no_core_is_built_from_its_source_alone(images: Path, image_store) -> None:
    image_store.add(BASE)
    asked = {"images": images, "store": image_store, "cache": images.parent / "cache"}
    say = {"say": lambda _: None, "progress": lambda *_: None}
    recipe = ensure_built("cpu-bench", llama_source="b6110", **asked, **say)
    assert recipe.tag == BENCH
    assert image_store.built == [BENCH]
    assert image_store.build_args == [
        {"BASE": BASE, "LLAMA_BUILD_NUMBER": "6110", "LLAMA_BUILD_COMMIT": "9a9638954"},
    ]
    assert set(image_store.contexts[0]) == {"Dockerfile", "llama.cpp/CMakeLists.txt"}
    again = ensure_built("cpu-bench", llama_source="b6110", **asked, **say)
    assert (again, image_store.built) == (recipe, [BENCH])
    other = ensure_built("cpu-bench", **asked, **say)
    assert other.tag == "llama-bench-harness/llama.cpp:cpu-bench-b11312"
    assert other.sha256 != recipe.sha256


def test_a_change_of_the_core_leaves_what_stands_on_none(images: Path, image_store) -> None:
    image_store.add(BASE)
    asked = {"images": images, "store": image_store, "cache": images.parent / "cache"}
    say = {"say": lambda _: None, "progress": lambda *_: None}
    before = ensure_built("cpu-bench", **asked, **say)
    core = images / "core.Dockerfile"
    core.write_text(core.read_text() + "# changed\n")
    assert ensure_built("cpu-bench", **asked, **say) == before
    assert len(image_store.built) == 1


def test_a_backend_can_be_built_from_another_source(images: Path, image_store) -> None:
    image_store.add(BASE)
    recipe = ensure_built(
        "cpu",
        images=images,
        store=image_store,
        cache=images.parent / "cache",
        say=lambda _: None,
        progress=lambda *_: None,
        llama_source="b8643",
    )
    assert recipe.tag == "llama-bench-harness/llama.cpp:full-cpu-b8643"
    assert image_store.built == [recipe.core_tag, recipe.tag]
