"""What all Dockerfiles here keep to, so that images can be told apart and are built from the same core."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.artifacts.dockerfile import read_dockerfile
from harness.machine.vendors.nvidia_driver import SHIPPED
from harness.values.backend import BACKENDS

IMAGES = Path(__file__).parents[3] / "images"
ALL = sorted(IMAGES.glob("*.Dockerfile"))
BACKEND_FILES = [path for path in ALL if path.stem not in {"core", "cpu-bench"}]
BENCH = IMAGES / "cpu-bench.Dockerfile"
"""llama-bench alone, from any source: it stands on no core."""
ENDS = [*BACKEND_FILES, BENCH]


def instructions(path: Path) -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*(?:#[^\n]*\n\s*)*", " ", path.read_text())
    lines = (line.strip() for line in text.splitlines())
    return [
        (word.upper(), rest) for word, _, rest in (line.partition(" ") for line in lines if line and line[0] != "#")
    ]


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_every_dockerfile_is_the_core_or_of_a_backend() -> None:
    assert {path.name.removesuffix(".Dockerfile") for path in BACKEND_FILES} <= set(BACKENDS)
    assert (IMAGES / "core.Dockerfile") in ALL
    assert [read_dockerfile(path.name.removesuffix(".Dockerfile"), IMAGES).on_core for path in ENDS] == [
        *(True for _ in BACKEND_FILES),
        False,
    ]


@pytest.mark.parametrize("path", BACKEND_FILES, ids=names(BACKEND_FILES))
def test_a_backend_takes_the_core_and_ends_on_the_bare_base(path: Path) -> None:
    starts = [rest for word, rest in instructions(path) if word == "FROM"]
    assert starts[0].startswith("${CORE} AS ")
    assert starts[-1] == "${BASE}"
    stages = [start.split()[-1] for start in starts[:-1]]
    last = max(place for place, (word, _) in enumerate(instructions(path)) if word == "FROM")
    copies = [(place, rest) for place, (word, rest) in enumerate(instructions(path)) if word == "COPY"]
    # What is in the image is what one folder of the stage before had; stages on the way take from the core alone.
    assert [rest for place, rest in copies if place > last] == [f"--from={stages[-1]} /app /app"]
    assert {rest.split()[0] for place, rest in copies if place < last} <= {f"--from={stages[0]}"}


def test_every_backend_of_the_table_has_its_dockerfile() -> None:
    assert {path.name.removesuffix(".Dockerfile") for path in BACKEND_FILES} == set(BACKENDS)


@pytest.mark.parametrize("path", BACKEND_FILES, ids=names(BACKEND_FILES))
def test_a_build_for_gpus_takes_its_architectures_from_its_argument(path: Path) -> None:
    file = read_dockerfile(path.name.removesuffix(".Dockerfile"), IMAGES)
    compiled = [rest for word, rest in instructions(path) if word == "RUN" and "_ARCHITECTURES=" in rest]
    assert bool(file.architectures) == bool(compiled)
    assert all("${ARCHITECTURES}" in rest for rest in compiled)


FOR_GPUS = [path for path in BACKEND_FILES if read_dockerfile(path.stem, IMAGES).architectures]


@pytest.mark.parametrize("path", FOR_GPUS, ids=names(FOR_GPUS))
def test_what_takes_an_hour_depends_on_the_sources_alone(path: Path) -> None:
    """A core that was compiled again compiles no GPU's backend again, nor is a toolkit fetched for another source."""
    steps = [f"{word} {rest}" for word, rest in instructions(path)]

    def place(text: str) -> int:
        return next(number for number, step in enumerate(steps) if text in step)

    assert (
        place("FROM ${BASE} AS build")
        < place("apt-get install")
        < place("COPY --from=core /src /src")
        < place("RUN cmake --build")
        < place("COPY --from=core /app /app")
    )
    assert "RUN rm -rf /src/build" in steps[: place("FROM ${BASE} AS build")]


def test_the_cuda_image_says_which_cuda_it_has() -> None:
    """So that a driver which is too old is told before anything is started."""
    last_stage = (IMAGES / "cuda.Dockerfile").read_text().rpartition("FROM ${BASE}")[2]
    said = re.search(r"^ENV CUDA_VERSION=(\d+)\.(\d+)\.(\d+)$", last_stage, re.MULTILINE)
    assert said
    assert (int(said[1]), int(said[2])) in SHIPPED
    assert rf"grep '~{said[1]}\.{said[2]}\.{said[3]}-'" in last_stage, "nothing sees whether it is true"


@pytest.mark.parametrize("path", BACKEND_FILES, ids=names(BACKEND_FILES))
def test_no_image_stands_on_an_older_suite_than_the_core(path: Path) -> None:
    """The core's programs run with a newer C library than they were linked with, never with an older one."""
    in_order = ("bookworm", "trixie", "forky")
    core = read_dockerfile("core", IMAGES).suite
    own = read_dockerfile(path.name.removesuffix(".Dockerfile"), IMAGES).suite
    assert in_order.index(own) >= in_order.index(core)


@pytest.mark.parametrize("path", ENDS, ids=names(ENDS))
def test_an_image_says_what_it_is_and_starts_llama_bench(path: Path) -> None:
    last_stage = instructions(path)[max(i for i, (word, _) in enumerate(instructions(path)) if word == "FROM") :]
    labels = " ".join(rest for word, rest in last_stage if word == "LABEL")
    for field in ("title", "source", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{field}=" in labels
    assert 'version="b${LLAMA_BUILD_NUMBER}"' in labels
    assert 'revision="${LLAMA_BUILD_COMMIT}"' in labels
    assert ("ENTRYPOINT", '["/app/llama-bench"]') in last_stage
    assert ("WORKDIR", "/app") in last_stage


@pytest.mark.parametrize("path", ALL, ids=names(ALL))
def test_nothing_floats_and_nothing_is_fetched_past_the_package_manager(path: Path) -> None:
    text = "\n".join(f"{word} {rest}" for word, rest in instructions(path))
    assert ":latest" not in text
    assert not re.search(r"\b(?:curl|wget|git clone|pip install)\b", text)
    assert not [word for word, _ in instructions(path) if word == "ADD"]
    for word, rest in instructions(path):
        if word == "FROM":
            assert rest.startswith(("${CORE}", "${BASE}"))
        if word == "RUN" and "apt-get install" in rest:
            assert "--no-install-recommends" in rest
            assert "rm -rf /var/lib/apt/lists/*" in rest


def test_the_core_has_all_cpu_variants_and_none_of_this_machine() -> None:
    text = (IMAGES / "core.Dockerfile").read_text()
    for option in ("GGML_BACKEND_DL=ON", "GGML_CPU_ALL_VARIANTS=ON", "GGML_NATIVE=OFF", "CMAKE_BUILD_TYPE=Release"):
        assert f"-D{option}" in text
    for program in ("llama-bench", "llama-batched-bench", "llama-server", "llama-perplexity", "llama-quantize"):
        assert f"build/bin/{program}" in text


def test_llama_bench_alone_is_compiled_as_the_core_is_but_for_one_cpu() -> None:
    """Else a figure of one could not even be held beside one of the other."""

    def options(name: str) -> set[str]:
        return set(re.findall(r"-D([A-Z_]+=[^ \\\n]+)", (IMAGES / f"{name}.Dockerfile").read_text()))

    assert options("core") - options("cpu-bench") == {"GGML_CPU_ALL_VARIANTS=ON"}
    assert options("cpu-bench") - options("core") == {"LLAMA_BUILD_SERVER=OFF", "LLAMA_CURL=OFF"}
