from __future__ import annotations

import pytest

from harness.machine.vendors import VENDORS, discover_devices, passthrough
from harness.machine.vendors.amd import Amd
from harness.machine.vendors.cpu import Cpu
from harness.machine.vendors.engines import dropped_requests
from harness.machine.vendors.intel import Intel
from harness.machine.vendors.nvidia import Nvidia
from harness.values.backend import BACKENDS
from harness.values.container import Passthrough
from harness.values.facts import Device
from harness.values.failure import Failure


def absent():
    raise ImportError


def fakes(roots) -> dict:
    places = {"sysfs": roots.sys, "dev": roots.dev, "share": roots.share}
    return {
        "nvidia": Nvidia(nvml=absent, **places),
        "amd": Amd(**places),
        "intel": Intel(**places),
        "cpu": Cpu(proc=roots.root / "proc"),
    }


def test_every_vendor_of_a_backend_is_there_by_its_own_name() -> None:
    assert {name: vendor.name for name, vendor in VENDORS.items()} == {name: name for name in VENDORS}
    assert {vendor for backend in BACKENDS.values() for vendor in backend.vendors} == set(VENDORS)


def test_machine_with_cards_of_three_vendors(roots) -> None:
    roots.card("0000:01:00.0", ids="10de:2684", driver="nouveau")
    roots.card("0000:03:00.0", ids="1002:744c", driver="amdgpu", render="renderD128")
    roots.card("0000:00:02.0", ids="8086:a780", driver="i915", render="renderD129")
    devices = discover_devices(fakes(roots))
    assert [(d.vendor, d.kind, d.index) for d in devices] == [
        ("nvidia", "gpu", 0),
        ("amd", "gpu", 0),
        ("intel", "integrated", 0),
        ("cpu", "cpu", 0),
        ("cpu", "software", 1),
    ]
    assert all(device.simulated for device in devices)


def test_machine_without_any_card_has_its_cpu(roots) -> None:
    assert [device.kind for device in discover_devices(fakes(roots))] == ["cpu", "software"]


def test_this_machine_has_a_cpu_that_is_no_fake() -> None:
    (cpu,) = (device for device in discover_devices() if device.kind == "cpu")
    assert cpu.name
    assert not cpu.simulated


def test_the_devices_vendor_answers(roots, engine) -> None:
    vendors = fakes(roots)
    software = discover_devices(vendors)[-1]
    found = passthrough((software,), backend=BACKENDS["vulkan"], engine=engine(), vendors=vendors)
    assert isinstance(found, Passthrough)
    assert found.device == "Vulkan0"


@pytest.mark.parametrize(
    ("name", "version", "dropped"),
    [
        ("Docker Engine", "18.09.9", True),
        ("Docker Engine", "19.03.0", False),
        ("Docker Engine", "5.4.0", True),  # Podman's numbers mean nothing for Docker
        ("Docker Engine", "dev", False),  # Docker refuses aloud what it does not know
        ("Podman", "5.3.9", True),
        ("Podman", "5.4.0", False),
        ("Podman Engine", "28.2.0", False),
        ("Podman", "", True),
    ],
)
def test_engines_that_drop_requests(engine, name, version, dropped) -> None:
    assert (dropped_requests(engine(name, version)) is not None) is dropped


def test_cards_of_two_vendors_together_are_one_request_with_one_numbering(roots, engine) -> None:
    roots.card("0000:03:00.0", ids="1002:744c", driver="amdgpu", render="renderD128")
    node = roots.node("dri/renderD128")
    vendors = fakes(roots)
    (amd,) = vendors["amd"].discover()
    nvidia = Device(vendor="nvidia", kind="gpu", name="NVIDIA GeForce RTX 4090", uuid="GPU-1", pci="0000:01:00.0")
    found = passthrough((amd, nvidia), backend=BACKENDS["vulkan"], engine=engine(), vendors=vendors)
    assert isinstance(found, Passthrough)
    assert found.device == "Vulkan1/Vulkan0"
    assert [expected.pci for expected in found.expected] == ["0000:03:00.0", "0000:01:00.0"]
    assert found.device_nodes == (str(node),)
    assert found.device_requests[0]["DeviceIDs"] == ["GPU-1"]
    assert "NVIDIA_DRIVER_CAPABILITIES" in found.environment


def test_what_one_of_two_vendors_refuses_is_refused(roots, engine) -> None:
    roots.card("0000:03:00.0", ids="1002:744c", driver="amdgpu", render="renderD128")
    roots.node("dri/renderD128")
    vendors = fakes(roots)
    nvidia = Device(vendor="nvidia", kind="gpu", name="NVIDIA GeForce RTX 4090", uuid="GPU-1", pci="0000:01:00.0")
    devices = (*vendors["amd"].discover(), nvidia)
    assert isinstance(passthrough(devices, backend=BACKENDS["cuda"], engine=engine(), vendors=vendors), Failure)
