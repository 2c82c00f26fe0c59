"""The built images in a real engine: what is in them, what they say, and that nothing is built twice."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import docker.errors
import pytest

from harness.artifacts.images import prepare_image
from harness.artifacts.llama_source import write_context
from harness.engine.image_store import DockerImageStore
from harness.errors import ArtifactError
from harness.values.facts import ImageFacts
from harness.values.matrix import ImageSource
from harness.values.protocols import ImageStoreError

# Where the images are not there yet, building them is part of the test.
pytestmark = [pytest.mark.engine, pytest.mark.real, pytest.mark.timeout(3600)]

TOOLS = {"llama-bench", "llama-batched-bench", "llama-server", "llama-perplexity", "llama-quantize"}

Probe = Callable[[str, tuple[str, ...]], tuple[int | None, str, str]]


@pytest.fixture(scope="module")
def client(host: str) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(base_url=host, timeout=120)
    yield client
    client.close()


@pytest.fixture(scope="module")
def images(host: str) -> Iterator[DockerImageStore]:
    store = DockerImageStore.connect(host)
    yield store
    store.close()


@pytest.fixture(scope="module")
def probe(client: docker.DockerClient) -> Probe:
    def run(image: str, argv: tuple[str, ...]) -> tuple[int | None, str, str]:
        container = client.containers.create(image, entrypoint=list(argv), network_mode="none", cap_drop=["ALL"])
        try:
            container.start()
            code = container.wait(timeout=120)["StatusCode"]
            return code, container.logs(stderr=False).decode(), container.logs(stdout=False).decode()
        except docker.errors.APIError as error:
            return None, "", str(error.explanation)
        finally:
            container.remove(force=True)

    return run


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", params=["cpu", "vulkan"])
def built(request: pytest.FixtureRequest, images: DockerImageStore, probe: Probe, cache: Path) -> ImageFacts:
    return prepare_image(
        ImageSource(name=request.param, build=request.param),
        store=images,
        probe=probe,
        cache=cache,
        say=print,
        progress=lambda *_: None,
    )


def test_an_image_knows_its_build_and_options(built: ImageFacts) -> None:
    assert (built.build_number, built.build_commit) == (11312, "0c1e57098")
    assert built.flags["-dev"] == "<dev0/dev1/...>"
    assert built.recipe_sha256
    assert built.base
    assert built.digest is None
    assert not built.simulated


def test_all_tools_are_where_the_official_images_have_them(built: ImageFacts, probe: Probe) -> None:
    code, listed, _ = probe(built.id, ("ls", "/app"))
    assert code == 0
    assert set(listed.split()) >= TOOLS
    assert "libggml-cpu-x64.so" in listed
    for tool in sorted(TOOLS):
        code, out, err = probe(built.id, (f"/app/{tool}", "--help"))
        assert "error while loading shared libraries" not in err
        assert "usage" in (out + err).lower(), tool


def test_the_backend_is_loaded_and_lists_its_devices(built: ImageFacts, probe: Probe) -> None:
    code, out, err = probe(built.id, ("/app/llama-bench", "--list-devices"))
    assert code == 0
    assert out.startswith("Available devices:")
    assert "loaded CPU backend" in err
    assert ("loaded Vulkan backend" in err) == (built.name == "vulkan")


def test_a_second_start_builds_and_asks_nothing(built: ImageFacts, images: DockerImageStore, cache: Path) -> None:
    again = prepare_image(
        ImageSource(name=built.name, build=built.name),
        store=images,
        probe=lambda *_: pytest.fail("asked again"),
        cache=cache,
        say=pytest.fail,
        progress=lambda *_: pytest.fail("built again"),
    )
    assert again == built


def test_an_image_without_llama_bench_is_told(built: ImageFacts, images: DockerImageStore, probe: Probe) -> None:
    with pytest.raises(ArtifactError, match="only the `full` images"):
        prepare_image(
            ImageSource(name="base", ref="llama-bench-harness/base:trixie"),
            store=images,
            probe=probe,
            cache=Path("/nonexistent"),
            say=print,
            progress=lambda *_: None,
        )


def test_a_step_that_fails_is_told_and_leaves_no_container(
    built: ImageFacts, images: DockerImageStore, client: docker.DockerClient
) -> None:
    before = {container.id for container in client.containers.list(all=True)}
    context = io.BytesIO()
    write_context(context, dockerfile=f"FROM {built.id}\nRUN echo out; exit 3\n".encode(), source=None)
    context.seek(0)
    texts: list[str] = []
    with pytest.raises(ImageStoreError, match="non-zero code: 3"):
        images.build(context, tag="llama-bench-harness/test:fails", build_args={}, labels={}, on_text=texts.append)
    assert "out\n" in "".join(texts)
    assert {container.id for container in client.containers.list(all=True)} <= before
    assert images.inspect("llama-bench-harness/test:fails") is None


def test_a_registry_that_refuses_is_told_quickly(images: DockerImageStore) -> None:
    with pytest.raises(ImageStoreError):
        images.pull("localhost:9/none:x", idle_timeout_s=20, on_bytes=lambda *_: None)
    assert images.inspect("localhost:9/none:x") is None
    assert images.free_bytes() is None or images.free_bytes() > 0
