"""What keeps a card from a container, each on a real engine and each with its own failure and its own way out.

The images are stubs that say what llama.cpp says (tests/rig). What only other engines do, dropped requests, CDI devices
that nobody knows, hooks, is in tests/slow/engines.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from docker import APIClient

from harness.engine.docker_engine import DockerEngine
from harness.flows.listing import Lister
from harness.machine.vendors import driver_problem, passthrough
from harness.machine.vendors.engines import cdi_request
from harness.measure.listing import Listed
from harness.values.backend import BACKENDS
from harness.values.container import Passthrough
from harness.values.facts import Device, ImageFacts
from harness.values.failure import Failure, Reason
from tests.rig.cards import CARDS, STRIX_HALO
from tests.rig.machine import FakeMachine
from tests.rig.script import Fault
from tests.rig.stub_image import NoCompilerError, stub_image

pytestmark = pytest.mark.engine

FLAGS = {"--list-devices": "", "-m": ""}
RTX_4090 = CARDS["rtx4090"]


@pytest.fixture
def machine() -> Iterator[FakeMachine]:
    if os.geteuid() != 0:
        pytest.skip("device nodes are made by root only")
    # Not in /tmp, over which containers have a file system of their own.
    with tempfile.TemporaryDirectory(prefix="lbh-rig-", dir="/var/tmp") as folder:
        try:
            with FakeMachine([RTX_4090, STRIX_HALO], Path(folder)) as made:
                yield made
        except NoCompilerError as problem:
            pytest.skip(str(problem))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the stub's program is made, once."""
    return tmp_path_factory.mktemp("stub")


@pytest.fixture
def stub(host: str, machine: FakeMachine, compiled: Path) -> Iterator[Callable[..., ImageFacts]]:
    client = APIClient(host, version="auto")
    tags: list[str] = []

    def make(backend: str, *faults: Fault) -> ImageFacts:
        tags.append(f"llama-bench-harness/stub-test:{backend}-{len(tags)}")
        script = machine.script(backend, faults=faults)
        return ImageFacts(
            name=backend, ref=tags[-1], id=stub_image(client, script, tag=tags[-1], folder=compiled), flags=FLAGS
        )

    try:
        yield make
        for tag in tags:
            client.remove_image(tag)
    except NoCompilerError as problem:
        pytest.skip(str(problem))
    finally:
        client.close()


@pytest.fixture
def lister(shared_engine: DockerEngine, tmp_path: Path) -> Lister:
    return Lister(engine=shared_engine, memory_bytes=256 << 20, kernel_caches=tmp_path / "kernels")


def device(machine: FakeMachine, vendor: str) -> Device:
    (found,) = machine.vendors()[vendor].discover()
    assert found.simulated
    return found


def asked(machine: FakeMachine, lister: Lister, vendor: str, backend: str) -> Passthrough:
    given = passthrough(
        [device(machine, vendor)],
        backend=BACKENDS[backend],
        engine=lister.engine.facts(),
        vendors=machine.vendors(),
    )
    assert isinstance(given, Passthrough)
    return given


def failed(found: Listed | Failure, reason: Reason, remedy: str) -> None:
    assert isinstance(found, Failure), found
    assert found.reason is reason, found
    assert remedy in found.remedy, found


def test_the_cards_are_seen_where_nothing_is_wrong(machine, stub, lister) -> None:
    """Without it the rest of this file would prove nothing."""
    for backend in ("rocm", "vulkan"):
        found = lister.listed(asked(machine, lister, "amd", backend), backend=backend, image=stub(backend))
        assert isinstance(found, Listed), found
        assert "8060S" in found.check.evidence


def test_no_runtime(machine, stub, lister) -> None:
    if "nvidia" in lister.engine.facts().runtimes:
        pytest.skip("this engine has the runtime")
    given = asked(machine, lister, "nvidia", "cuda")
    failed(lister.listed(given, backend="cuda", image=stub("cuda")), Reason.NO_RUNTIME, "nvidia-ctk runtime configure")


def test_cdi_off(machine, stub, lister) -> None:
    if lister.engine.facts().cdi_folders:
        pytest.skip("this engine has CDI on")
    given = replace(
        asked(machine, lister, "nvidia", "cuda"), device_requests=(cdi_request(f"nvidia.com/gpu={RTX_4090.uuid}"),)
    )
    failed(lister.listed(given, backend="cuda", image=stub("cuda")), Reason.CDI_OFF, '{"features": {"cdi": true}}')


def test_missing_kfd(machine, stub, lister) -> None:
    """Told before any container; and by the engine, where the node goes away in between."""
    given = asked(machine, lister, "amd", "rocm")
    machine.sysfs.kfd.unlink()
    failed(lister.listed(given, backend="rocm", image=stub("rocm")), Reason.DEVICE_NODE, "engine runs")
    refused = passthrough(
        [device(machine, "amd")],
        backend=BACKENDS["rocm"],
        engine=lister.engine.facts(),
        vendors=machine.vendors(),
    )
    assert isinstance(refused, Failure)
    assert refused.reason is Reason.NO_DEVICE
    assert "kfd does not exist" in refused.detail
    assert "modprobe amdgpu" in refused.remedy


def test_group_missing(machine, stub, lister) -> None:
    """Without its number the card stays closed; by its name it is looked up in the image."""
    given = asked(machine, lister, "amd", "rocm")
    assert given.groups == (44, 105)
    for groups in ((), (44,), (105,)):
        found = lister.listed(replace(given, groups=groups), backend="rocm", image=stub("rocm"))
        failed(found, Reason.PERMISSION, "ls -ln /dev/kfd /dev/dri")
        assert "may not open" in found.detail
        assert f"groups are {', '.join(map(str, groups)) or 'none'}" in found.detail
    named = replace(given, groups=("render",))
    failed(lister.listed(named, backend="rocm", image=stub("rocm")), Reason.GROUP, "groups go by number")


@pytest.mark.parametrize(("vendor", "backend"), [("nvidia", "cuda"), ("nvidia", "vulkan"), ("amd", "vulkan")])
def test_an_image_without_a_device(machine, stub, lister, vendor, backend) -> None:
    given = replace(asked(machine, lister, vendor, backend), device_requests=(), device_nodes=())
    failed(lister.listed(given, backend=backend, image=stub(backend)), Reason.NO_DEVICE, "")
    failed(
        lister.listed(given, backend=backend, image=stub(backend, Fault(kind="no-library"))), Reason.NO_DEVICE, "driver"
    )


def test_wrong_card(machine, stub, lister) -> None:
    given = asked(machine, lister, "amd", "vulkan")
    (expected,) = given.expected
    other = replace(
        given, expected=(replace(expected, marks=("GFX1100", "NAVI31"), names=("AMD Radeon RX 7900 XTX",)),)
    )
    failed(lister.listed(other, backend="vulkan", image=stub("vulkan")), Reason.WRONG_DEVICE, "Name the device")


OLD = "CUDA driver version is insufficient for CUDA runtime version"


def test_driver_too_old(machine, stub, lister) -> None:
    """As llama.cpp says it; and before, from what the image says of its CUDA."""
    given = replace(asked(machine, lister, "nvidia", "cuda"), device_requests=())
    found = lister.listed(given, backend="cuda", image=stub("cuda", Fault(kind="driver", value=OLD)))
    failed(found, Reason.DRIVER_TOO_OLD, "update the driver")
    known = driver_problem(replace(device(machine, "nvidia"), driver="470.82.01"), {"CUDA_VERSION": "12.8.1"})
    assert isinstance(known, Failure)
    assert known.reason is Reason.DRIVER_TOO_OLD
