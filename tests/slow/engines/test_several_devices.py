"""Of three CDI devices exactly those that a cell names get into its container, on real engines that know CDI."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.machine.vendors import passthrough
from harness.values.backend import BACKENDS
from harness.values.container import Passthrough
from harness.values.facts import Device
from tests.slow.engines.conftest import benched
from tests.slow.engines.trees import cdi_specification

pytestmark = pytest.mark.slow

UUIDS = ("GPU-aaaa", "GPU-bbbb", "GPU-cccc")
CARDS = tuple(
    Device(vendor="nvidia", kind="gpu", name="NVIDIA GeForce RTX 4090", index=i, pci=f"0000:0{i}:00.0", uuid=uuid)
    for i, uuid in enumerate(UUIDS)
)


@pytest.mark.parametrize("name", ["docker-28.5", "podman-5.4", "podman-5.8"])
@pytest.mark.parametrize("asked", [(0,), (2, 0), (0, 1, 2)])
def test_the_devices_that_were_asked_for_and_no_others(name: str, asked: tuple[int, ...], tar_folder: Path) -> None:
    with ExitStack() as stack:
        bench = benched(stack, name, tar_folder, cdi={"nvidia.json": cdi_specification("nvidia.com/gpu", *UUIDS)})
        devices = [CARDS[index] for index in asked]
        given = passthrough(devices, backend=BACKENDS["cuda"], engine=bench.engine.facts())
        assert isinstance(given, Passthrough)
        assert len(given.device_requests) == 1
        assert given.device == "/".join(f"CUDA{sorted(asked).index(index)}" for index in asked)
        ended = bench.run("ls /dev | grep fake", passthrough=given)
        assert [line.text for line in ended.stdout] == [f"fake-gpu-{UUIDS[index]}" for index in sorted(asked)]
