"""From the matrix's entry to an image that is known; everything that images get wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.artifacts.build import BASE_LABEL, RECIPE_LABEL
from harness.artifacts.images import IMAGES, check_image_source, known_images, prepare_image
from harness.artifacts.llama_source import read_pin
from harness.artifacts.recipe import recipe_for
from harness.errors import ArtifactError, InputError, MachineError
from harness.values.facts import ImageFacts
from harness.values.matrix import ImageSource

HELP = (Path(__file__).parents[2] / "captures" / "llama-bench-help" / "b11312.txt").read_text()
OLD_HELP = "options:\n  -h, --help\n  -m, --model <filename>  (default: x)\n  -mmp, --mmap <0|1>  (default: 1)\n"
VERSION = "load_backend: loaded CPU backend\nversion: 0.5.0-dev (build 11312, commit 0c1e57098)\n"
REF = "ghcr.io/ggml-org/llama.cpp:full-b11312"
OFFICIAL = ImageSource(name="official", ref=REF)


class Probe:
    """Answers like a llama-bench, and counts how often it was asked."""

    def __init__(self, code: int | None = 0, stdout: str = HELP, stderr: str = "load_backend: loaded\n") -> None:
        self.answer = (code, stdout, stderr)
        self.calls: list[tuple[str, tuple[str, ...]]] = []

    def __call__(self, image_id: str, argv: tuple[str, ...]) -> tuple[int | None, str, str]:
        self.calls.append((image_id, argv))
        return (0, "", VERSION) if argv[1] == "--version" else self.answer


def prepare(source: ImageSource, store, probe: Probe, cache: Path) -> ImageFacts:
    return prepare_image(
        source,
        store=store,
        probe=probe,
        cache=cache,
        say=lambda _: None,
        progress=lambda *_: None,
        sleep=lambda _: None,
    )


def test_a_pulled_image_is_known_by_digest_build_and_options(image_store, tmp_path: Path) -> None:
    facts = prepare(OFFICIAL, image_store, Probe(), tmp_path)
    assert facts.id == image_store.images[REF]["Id"]
    assert facts.digest == "sha256:" + "d" * 64
    assert (facts.build_number, facts.build_commit) == (11312, "0c1e57098")
    assert facts.flags["-lm"].startswith("<auto|")
    assert (facts.ref, facts.architecture, facts.size_bytes, facts.recipe_sha256) == (REF, "amd64", 1000, None)
    assert not facts.simulated


def test_a_build_that_could_not_be_asked_for_is_asked_for_again(image_store, tmp_path: Path) -> None:
    class Away(Probe):
        def __call__(self, image_id: str, argv: tuple[str, ...]) -> tuple[int | None, str, str]:
            return (None, "", "the engine went away") if argv[1] == "--version" else super().__call__(image_id, argv)

    assert prepare(OFFICIAL, image_store, Away(), tmp_path).build_number is None
    assert prepare(OFFICIAL, image_store, Probe(), tmp_path).build_number == 11312


def test_a_cache_that_cannot_be_written_is_told_with_what_to_do(image_store, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file is no folder")
    with pytest.raises(MachineError, match=r"image official: .* cannot be written.*\n.*XDG_CACHE_HOME"):
        prepare(OFFICIAL, image_store, Probe(), tmp_path / "cache")


def test_it_is_asked_once_by_content(image_store, tmp_path: Path) -> None:
    probe = Probe()
    first = prepare(OFFICIAL, image_store, probe, tmp_path)
    second = prepare(OFFICIAL, image_store, probe, tmp_path)
    assert first == second
    assert [argv for _, argv in probe.calls] == [("/app/llama-bench", "--help"), ("/app/llama-bench", "--version")]
    image_store.add(REF, Created="later")
    prepare(OFFICIAL, image_store, probe, tmp_path)
    assert len(probe.calls) == 4


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 99}', '{"format": 1, "flags": {}}'])
def test_a_damaged_cache_is_asked_again(image_store, tmp_path: Path, content: str) -> None:
    prepare(OFFICIAL, image_store, Probe(), tmp_path)
    (kept,) = (tmp_path / "images").iterdir()
    kept.write_text(content)
    probe = Probe()
    prepare(OFFICIAL, image_store, probe, tmp_path)
    assert len(probe.calls) == 2


def test_a_built_image_says_what_it_was_compiled_for(image_store, tmp_path: Path) -> None:
    source = ImageSource(name="ada", build="cuda", architectures=("sm_89", "sm_86"))
    for base in ("trixie", "forky"):
        image_store.add(f"llama-bench-harness/base:{base}")
    image_store.add(
        recipe_for(
            "cuda",
            pin=read_pin(IMAGES / "llama.cpp.yaml"),
            images=IMAGES,
            bases={"trixie": str(image_store.images["llama-bench-harness/base:trixie"]["Id"])},
        ).core_tag
    )
    facts = prepare(source, image_store, Probe(), tmp_path)
    assert facts.gpu_architectures == ("sm_86", "sm_89")
    (row,) = known_images([source], store=image_store, cache=tmp_path)
    assert row.present
    assert row.tag.endswith("full-cuda-b11312-sm_86-sm_89")


def test_a_locked_image_is_pulled_by_its_digest_whatever_its_tag_means_now(image_store, tmp_path: Path) -> None:
    image_store.add(REF, RepoDigests=["ghcr.io/ggml-org/llama.cpp@sha256:" + "e" * 64])
    digest = "sha256:" + "a" * 64
    facts = prepare(replace(OFFICIAL, digest=digest), image_store, Probe(), tmp_path)
    assert image_store.pulled == [f"ghcr.io/ggml-org/llama.cpp@{digest}"]
    assert facts.digest == digest
    assert facts.id != image_store.images[REF]["Id"]
    assert facts.ref == REF, "what the matrix asked for"


def test_a_locked_image_that_was_built_here_is_that_image_or_none(image_store, tmp_path: Path) -> None:
    kept = "sha256:" + "c" * 64
    labels = {RECIPE_LABEL: "f" * 64, BASE_LABEL: "sha256:base"}
    image_store.add(kept, Id=kept, Config={"Labels": labels})
    source = ImageSource(name="cpu", build="cpu", image_id=kept)
    facts = prepare(source, image_store, Probe(), tmp_path)
    assert (facts.id, facts.recipe_sha256, facts.base) == (kept, "f" * 64, "sha256:base")
    assert (facts.ref, facts.digest) == ("images/cpu.Dockerfile", None)
    image_store.images.clear()
    with pytest.raises(InputError, match=f"the lock names the image {kept}, which is not here") as caught:
        prepare(source, image_store, Probe(), tmp_path)
    assert "docker save" in caught.value.remedy
    assert image_store.built == image_store.pulled == []


@pytest.mark.parametrize(
    ("ref", "moving"), [(REF, False), ("a.b/x:full", True), ("a.b/x:full@sha256:" + "a" * 64, False)]
)
def test_an_image_by_a_moving_tag_is_marked(image_store, tmp_path: Path, ref: str, moving: bool) -> None:
    assert prepare(ImageSource(name="x", ref=ref), image_store, Probe(), tmp_path).moving is moving


def test_an_old_build_has_no_version_and_is_not_asked_for_it(image_store, tmp_path: Path) -> None:
    probe = Probe(stdout=OLD_HELP)
    facts = prepare(OFFICIAL, image_store, probe, tmp_path)
    assert (facts.build_number, facts.build_commit) == (None, None)
    assert "-mmp" in facts.flags
    assert len(probe.calls) == 1


def test_another_folder_of_binaries_is_another_question(image_store, tmp_path: Path) -> None:
    probe = Probe()
    prepare(OFFICIAL, image_store, probe, tmp_path)
    prepare(ImageSource(name="x", ref=REF, binary_dir="/opt/llama/"), image_store, probe, tmp_path)
    assert probe.calls[2][1] == ("/opt/llama/llama-bench", "--help")


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        (
            Probe(None, "", 'exec: "/app/llama-bench": stat /app/llama-bench: no such file or directory: unknown'),
            "only the `full` images have llama-bench",
        ),
        (Probe(127, "", "/bin/sh: /app/llama-bench: not found"), "only the `full` images have llama-bench"),
        (
            Probe(127, "", "error while loading shared libraries: libcuda.so.1: cannot open shared object file: "
                  "No such file or directory"),
            "needs libcuda.so.1",
        ),
        (Probe(None, "", "exec /app/llama-bench: exec format error"), "another architecture"),
        (Probe(132, "", ""), "instructions that this CPU does not have"),
        (Probe(0, "Unknown command: --help", ""), "said: Unknown command"),
        (Probe(None, "", "OCI runtime create failed: unable to apply cgroup"), "was not started and said: OCI runtime"),
    ],
)  # fmt: skip
def test_an_image_without_a_llama_bench_that_runs_is_refused(
    image_store, tmp_path: Path, probe: Probe, message: str
) -> None:
    with pytest.raises(ArtifactError) as caught:
        prepare(OFFICIAL, image_store, probe, tmp_path)
    assert message in caught.value.what
    assert caught.value.where == REF
    assert caught.value.reason == "image"
    assert caught.value.remedy
    assert not (tmp_path / "images").exists()


def test_test_images_are_marked(image_store, tmp_path: Path) -> None:
    image_store.add(REF, Config={"Labels": {"llama-bench-harness.simulated": "true"}})
    assert prepare(OFFICIAL, image_store, Probe(), tmp_path).simulated


@pytest.mark.parametrize(
    "source",
    [
        ImageSource(name="neither"),
        ImageSource(name="both", build="cpu", ref=REF),
        ImageSource(name="unknown", build="cuda-13-beta"),
        ImageSource(name="path", build="../images/cpu"),
        ImageSource(name="core", build="core"),
        ImageSource(name="syntax", ref="Not An Image"),
    ],
)
def test_what_is_wrong_is_told_without_an_engine(source: ImageSource) -> None:
    with pytest.raises(InputError):
        check_image_source(source)


def test_the_list_says_what_is_there_and_starts_nothing(image_store, tmp_path: Path) -> None:
    prepare(OFFICIAL, image_store, Probe(), tmp_path)
    image_store.add("llama-bench-harness/llama.cpp:full-cpu-b11312")
    rows = known_images(
        [OFFICIAL, ImageSource(name="cpu", build="cpu"), ImageSource(name="vulkan", build="vulkan")],
        store=image_store,
        cache=tmp_path,
    )
    assert [(row.name, row.present, row.build) for row in rows] == [
        ("official", True, "b11312 (0c1e57098)"),
        ("cpu", False, ""),
        ("vulkan", False, ""),
    ]
    assert rows[0].origin == REF
    assert rows[1].origin == "images/cpu.Dockerfile"
    assert "another recipe" in rows[1].note
    assert rows[1].size_bytes == 1000
    assert rows[2].size_bytes is None
    assert image_store.built == []


def test_an_old_build_that_was_made_here_has_the_number_of_its_pin(image_store, tmp_path: Path) -> None:
    kept = "sha256:" + "c" * 64
    labels = {"org.opencontainers.image.version": "b6110", "org.opencontainers.image.revision": "9a9638954"}
    image_store.add(kept, Id=kept, Config={"Labels": labels})
    source = ImageSource(name="old", build="cpu-bench", llama_source="b6110", image_id=kept)
    facts = prepare(source, image_store, Probe(stdout=OLD_HELP), tmp_path)
    assert (facts.build_number, facts.build_commit) == (6110, "9a9638954")
    assert facts.ref == "images/cpu-bench.Dockerfile b6110"
