"""The proof before on real engines with made-up cards: a llama-bench of a few lines lists the devices that it got."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import pytest

from harness.engine.image_store import DockerImageStore
from harness.flows.listing import Lister
from harness.machine.vendors import passthrough
from harness.machine.vendors.engines import cdi_request
from harness.measure.listing import Listed
from harness.values.backend import BACKENDS
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.facts import Device, ImageFacts
from harness.values.failure import Failure, Reason
from harness.values.record import Proof
from tests.slow.engines.conftest import Bench, benched
from tests.slow.engines.trees import cdi_specification, small_image

pytestmark = pytest.mark.slow

NAME = "NVIDIA GeForce RTX 4090"
UUIDS = ("GPU-aaaa", "GPU-bbbb")
CARDS = tuple(
    Device(
        vendor="nvidia",
        kind="gpu",
        name=NAME,
        index=index,
        pci=f"0000:0{index}:00.0",
        uuid=uuid,
        memory_bytes=24564 * 1024**2,
        simulated=True,
    )
    for index, uuid in enumerate(UUIDS)
)
PROGRAM = f"""#!/bin/sh
echo "Available devices:"
number=0
for node in /dev/fake-gpu-*; do
  [ -e "$node" ] || continue
  echo "  CUDA$number: {NAME} (24080 MiB, 23650 MiB free)"
  number=$((number + 1))
done
[ "$number" != 0 ] || echo "  (none)"
echo "load_backend: loaded CUDA backend from /app/libggml-cuda.so" >&2
"""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """An engine with the image, and what it says of devices."""

    bench: Bench
    lister: Lister
    image: ImageFacts

    def of(self, *cards: Device) -> Listed | Failure:
        given = passthrough(cards, backend=BACKENDS["cuda"], engine=self.bench.engine.facts())
        if isinstance(given, Failure):
            return given
        return self.lister.listed(given, backend="cuda", image=self.image)


def with_program(small: Path) -> Path:
    with tarfile.open(small, "a") as archive:
        entry = tarfile.TarInfo("app/llama-bench")
        content = PROGRAM.encode()
        entry.size, entry.mode = len(content), 0o755
        archive.addfile(entry, BytesIO(content))
    return small


@pytest.fixture(scope="module")
def asking(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    folder = tmp_path_factory.mktemp("listing")
    caches = tmp_path_factory.mktemp("kernels")
    with ExitStack() as stack:
        specification = {"nvidia.json": cdi_specification("nvidia.com/gpu", *UUIDS)}
        bench = benched(stack, request.param, folder, cdi=specification, visible=[caches])
        store = DockerImageStore.connect(bench.beside.host)
        stack.callback(store.close)
        tar = with_program(small_image(bench.beside.kind.suite, folder))
        image = ImageFacts(name="x", ref="x", id=store.import_tar(tar, tag="llama-bench-harness/lists:1"))
        lister = Lister(engine=bench.engine, memory_bytes=64 * 1024**2, kernel_caches=caches)
        yield Asking(bench=bench, lister=lister, image=image)


KNOW_CDI = pytest.mark.parametrize("asking", ["docker-28.5", "podman-5.8"], indirect=True)


@KNOW_CDI
@pytest.mark.parametrize(("asked", "names"), [((0,), "CUDA0"), ((1,), "CUDA0"), ((1, 0), "CUDA1/CUDA0")])
def test_what_was_asked_for_is_listed(asking: Asking, asked: tuple[int, ...], names: str) -> None:
    found = asking.of(*(CARDS[index] for index in asked))
    assert isinstance(found, Listed)
    assert found.check.proof is Proof.PROVEN
    assert found.passthrough.device == names


@KNOW_CDI
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "NVIDIA GeForce RTX 4090 D"}, Reason.WRONG_DEVICE),
        ({"memory_bytes": 49140 * 1024**2}, Reason.WRONG_DEVICE),
    ],
)
def test_another_card_than_the_driver_named(asking: Asking, change: dict[str, object], reason: Reason) -> None:
    found = asking.of(replace(CARDS[0], **change))  # type: ignore[arg-type]
    assert isinstance(found, Failure)
    assert found.reason is reason


@pytest.mark.parametrize(
    ("asking", "reason"),
    [
        ("docker-20.10", Reason.NO_RUNTIME),
        ("docker-26.1", Reason.NO_RUNTIME),
        ("podman-4.3", Reason.REQUEST_DROPPED),
        ("podman-5.8", Reason.CDI_DEVICE),
        ("docker-28.5", Reason.NO_RUNTIME),
    ],
    indirect=["asking"],
)
def test_a_card_that_the_engine_cannot_hand_over(asking: Asking, reason: Reason) -> None:
    found = asking.of(replace(CARDS[0], uuid="GPU-cccc", index=7))
    assert isinstance(found, Failure)
    assert found.reason is reason
    assert found.remedy


@pytest.mark.parametrize(
    ("asking", "reason", "remedy"),
    [
        ("docker-20.10", Reason.CDI_OFF, '{"features": {"cdi": true}}'),
        ("docker-26.1", Reason.CDI_OFF, '{"features": {"cdi": true}}'),
        ("docker-28.5", Reason.CDI_DEVICE, "nvidia-ctk cdi generate"),
        ("podman-5.8", Reason.CDI_DEVICE, "nvidia-ctk cdi generate"),
    ],
    indirect=["asking"],
)
def test_a_cdi_device_where_cdi_is_off_and_where_nobody_knows_it(asking: Asking, reason: Reason, remedy: str) -> None:
    """The harness asks Docker by CDI for what it lists only: this is a specification that went away meanwhile."""
    card = ExpectedDevice(name="CUDA0", names=(NAME,), exact=True)
    asked = Passthrough(device_requests=(cdi_request("nvidia.com/gpu=GPU-cccc"),), expected=(card,))
    found = asking.lister.listed(asked, backend="cuda", image=asking.image)
    assert isinstance(found, Failure)
    assert found.reason is reason, found
    assert remedy in found.remedy


@pytest.mark.parametrize("asking", ["docker-20.10", "podman-4.3"], indirect=True)
def test_a_container_that_was_given_nothing(asking: Asking) -> None:
    """What a dropped request would look like, if no one had refused it before."""
    card = ExpectedDevice(name="CUDA0", names=(NAME,), exact=True)
    found = asking.lister.listed(Passthrough(expected=(card,)), backend="cuda", image=asking.image)
    assert isinstance(found, Failure)
    assert found.reason is Reason.NO_DEVICE
    assert "was loaded in the container and found no device" in found.detail
