"""The proof before on real images: software device, no device, another device, no driver, and an engine's refusals."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from harness.artifacts.images import known_images
from harness.engine.discovery import find_engine
from harness.engine.docker_engine import DockerEngine
from harness.engine.image_store import DockerImageStore
from harness.flows.listing import Lister
from harness.measure.listing import Listed
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.facts import ImageFacts
from harness.values.failure import Failure, Reason
from harness.values.matrix import ImageSource
from harness.values.record import Proof

pytestmark = [pytest.mark.engine, pytest.mark.real, pytest.mark.timeout(300)]

SOFTWARE = Passthrough(
    environment={"GGML_VK_VISIBLE_DEVICES": "0"},
    expected=(ExpectedDevice(name="Vulkan0", maker="llvmpipe", software=True),),
)
RTX_4090 = Passthrough(expected=(ExpectedDevice(name="CUDA0", names=("NVIDIA GeForce RTX 4090",), exact=True),))
XTX = replace(SOFTWARE, expected=(ExpectedDevice(name="Vulkan0", names=("AMD Radeon RX 7900 XTX",), maker="AMD"),))


@pytest.fixture
def endpoint():
    endpoint = find_engine(os.environ)
    if endpoint is None:
        assert not os.environ.get("BENCH_TEST_ENGINE"), "an engine was promised"
        pytest.skip("no container engine answers")
    return endpoint


@pytest.fixture
def lister(endpoint, tmp_path: Path):
    engine = DockerEngine(endpoint.host)
    yield Lister(engine=engine, memory_bytes=2 << 30, kernel_caches=tmp_path)
    engine.close()


@pytest.fixture
def image(endpoint, tmp_path: Path):
    """The facts of an image that was built here; skipped where it was not."""
    store = DockerImageStore.connect(endpoint.host)

    def make(name: str) -> ImageFacts:
        (row,) = known_images([ImageSource(name=name, build=name)], store=store, cache=tmp_path)
        described = store.inspect(row.tag)
        if described is None:
            pytest.skip(f"the image {row.tag} is not here")
        return ImageFacts(name=name, ref=row.tag, id=str(described["Id"]), flags={"--list-devices": ""})

    yield make
    store.close()


def test_the_software_device(lister, image) -> None:
    found = lister.listed(SOFTWARE, backend="vulkan", image=image("vulkan"))
    assert isinstance(found, Listed)
    assert found.check.proof is Proof.PROVEN
    assert "llvmpipe" in found.check.evidence


@pytest.mark.parametrize(
    ("passthrough", "backend", "name", "reason", "words"),
    [
        (replace(SOFTWARE, environment={}), "vulkan", "vulkan", Reason.NO_DEVICE, "No devices found"),
        (XTX, "vulkan", "vulkan", Reason.WRONG_DEVICE, "llvmpipe"),
        (RTX_4090, "cuda", "cpu", Reason.NO_DEVICE, "was not loaded"),
        (replace(RTX_4090, device_nodes=("/dev/no-such-gpu",)), "cuda", "cpu", Reason.DEVICE_NODE, "/dev/no-such-gpu"),
    ],
)
def test_what_cannot_be_measured(lister, image, passthrough, backend, name, reason, words) -> None:  # noqa: PLR0917 - the columns of a table
    found = lister.listed(passthrough, backend=backend, image=image(name))
    assert isinstance(found, Failure)
    assert found.reason is reason
    assert words in found.detail
    assert found.remedy


def test_a_build_that_is_said_to_have_no_such_option(lister, image) -> None:
    old = replace(image("vulkan"), flags={"-m": ""})
    found = lister.listed(SOFTWARE, backend="vulkan", image=old)
    assert isinstance(found, Listed)
    assert found.check.proof is Proof.UNOBSERVABLE
