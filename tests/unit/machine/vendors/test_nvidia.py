# ruff: noqa: N802 - the fake has NVML's names
from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest

from harness.machine.vendors.nvidia import Nvidia
from harness.measure.device_match import SeenDevice, compare
from harness.values.backend import BACKENDS
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.facts import Device
from harness.values.failure import Failure, Phase, Reason
from harness.values.record import Proof

GIB = 1024**3
CUDA, VULKAN = BACKENDS["cuda"], BACKENDS["vulkan"]

RTX_4090 = {
    "name": "NVIDIA GeForce RTX 4090",
    "uuid": "GPU-11111111-2222-3333-4444-555555555555",
    "bus": "00000000:01:00.0",
    "memory": 25757220864,
    "capability": (8, 9),
    "limit": 450000,
}
GB10 = {
    "name": "NVIDIA GB10",
    "uuid": "GPU-99999999-2222-3333-4444-555555555555",
    "bus": "0000000F:01:00.0",
    "memory": pynvml.NVML_ERROR_NOT_SUPPORTED,
    "capability": (12, 1),
    "limit": pynvml.NVML_ERROR_NOT_SUPPORTED,
}
A100 = {
    "name": "NVIDIA A100-SXM4-40GB",
    "uuid": "GPU-aaaaaaaa-2222-3333-4444-555555555555",
    "bus": "00000000:41:00.0",
    "memory": 40 * GIB,
    "capability": (8, 0),
    "limit": 400000,
    "mig": [
        {"name": "NVIDIA A100-SXM4-40GB MIG 3g.20gb", "uuid": "MIG-aaaa0000-1", "memory": 20 * GIB},
        None,
        {"name": "NVIDIA A100-SXM4-40GB MIG 1g.5gb", "uuid": "MIG-aaaa0000-2", "memory": 5 * GIB},
    ],
}


class FakeNvml:
    """Answers as the module pynvml does, errors included, which are pynvml's own."""

    NVMLError = pynvml.NVMLError
    NVML_ERROR_LIBRARY_NOT_FOUND = pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
    NVML_ERROR_DRIVER_NOT_LOADED = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    NVML_ERROR_LIB_RM_VERSION_MISMATCH = pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH
    NVML_ERROR_GPU_IS_LOST = pynvml.NVML_ERROR_GPU_IS_LOST
    NVML_ERROR_RESET_REQUIRED = pynvml.NVML_ERROR_RESET_REQUIRED

    def __init__(self, *cards: dict, init: int | None = None, driver: object = "580.126.09") -> None:
        self.cards, self.init, self.driver = cards, init, driver
        self.open = 0

    @staticmethod
    def _say(value):
        if isinstance(value, int) and 0 < value < 1000:
            raise pynvml.NVMLError(value)
        return value

    @staticmethod
    def _has(handle, name):
        if name not in handle:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return handle[name]

    def nvmlInit(self):
        if self.init is not None:
            raise pynvml.NVMLError(self.init)
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlSystemGetDriverVersion(self):
        return self._say(self.driver)

    def nvmlDeviceGetCount(self):
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index):
        self._say(self.cards[index].get("handle"))
        return self.cards[index]

    def nvmlDeviceGetName(self, handle):
        return self._say(handle["name"])

    def nvmlDeviceGetUUID(self, handle):
        return self._say(handle["uuid"])

    def nvmlDeviceGetPciInfo(self, handle):
        return SimpleNamespace(busId=self._say(handle["bus"]))

    def nvmlDeviceGetMemoryInfo(self, handle):
        return SimpleNamespace(total=self._say(handle["memory"]))

    def nvmlDeviceGetCudaComputeCapability(self, handle):
        return self._say(handle["capability"])

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):
        return self._say(handle["limit"])

    def nvmlDeviceGetPowerManagementLimit(self, handle):
        return self._say(handle["limit"])

    def nvmlDeviceGetMaxPcieLinkGeneration(self, handle):
        return self._has(handle, "generation")

    def nvmlDeviceGetCurrPcieLinkWidth(self, handle):
        return self._has(handle, "width")

    def nvmlDeviceGetMigMode(self, handle):
        if "mig" not in handle:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return [1, 1]

    def nvmlDeviceGetMaxMigDeviceCount(self, handle):
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle, slot):
        if slot >= len(handle["mig"]) or handle["mig"][slot] is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return handle["mig"][slot]


def vendor(roots, *cards, **kwargs) -> Nvidia:
    fake = FakeNvml(*cards, **kwargs)
    return Nvidia(nvml=lambda: fake, sysfs=roots.sys, dev=roots.dev, share=roots.share)


def test_card_with_all_facts(roots) -> None:
    assert vendor(roots, RTX_4090).discover() == (
        Device(
            vendor="nvidia",
            kind="gpu",
            name="NVIDIA GeForce RTX 4090",
            index=0,
            pci="0000:01:00.0",
            memory_bytes=25757220864,
            driver="580.126.09",
            uuid="GPU-11111111-2222-3333-4444-555555555555",
            architecture="sm_89",
            power_limit_w=450.0,
            simulated=True,
        ),
    )


@pytest.mark.parametrize(
    ("fact", "attribute"),
    [
        ("uuid", "uuid"),
        ("memory", "memory_bytes"),
        ("capability", "architecture"),
        ("limit", "power_limit_w"),
    ],
)
@pytest.mark.parametrize(
    "error",
    [
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_NO_PERMISSION,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_NO_DATA,
        pynvml.NVML_ERROR_UNKNOWN,
    ],
)
def test_an_error_costs_one_field_only(roots, fact, attribute, error) -> None:
    (device,) = vendor(roots, {**RTX_4090, fact: error}).discover()
    assert getattr(device, attribute) is None
    assert (device.name, device.pci, device.problem) == ("NVIDIA GeForce RTX 4090", "0000:01:00.0", "")


def test_driver_version_can_be_missing(roots) -> None:
    (device,) = vendor(roots, RTX_4090, driver=pynvml.NVML_ERROR_NOT_SUPPORTED).discover()
    assert device.driver is None


@pytest.mark.parametrize("memory", [pynvml.NVML_ERROR_NOT_SUPPORTED, 0])
def test_gb10_shares_the_memory_of_the_host(roots, memory) -> None:
    (device,) = vendor(roots, {**GB10, "memory": memory}).discover()
    assert (device.kind, device.memory_bytes, device.shared_memory_bytes) == ("integrated", None, None)
    assert (device.pci, device.architecture, device.power_limit_w) == ("000f:01:00.0", "sm_121", None)


def test_gb10_with_a_driver_that_tells_the_memory(roots) -> None:
    (device,) = vendor(roots, {**GB10, "memory": 119 * GIB}).discover()
    assert (device.kind, device.memory_bytes, device.shared_memory_bytes) == ("integrated", None, 119 * GIB)


def test_discrete_card_without_memory_fact_stays_discrete(roots) -> None:
    (device,) = vendor(roots, {**RTX_4090, "memory": pynvml.NVML_ERROR_NOT_SUPPORTED}).discover()
    assert device.kind == "gpu"


def test_mig_instances_follow_the_cards_and_the_divided_card_is_unusable(roots) -> None:
    found = vendor(roots, A100, RTX_4090).discover()
    assert [(d.index, d.name, d.uuid, d.memory_bytes, d.power_limit_w) for d in found] == [
        (0, "NVIDIA A100-SXM4-40GB", A100["uuid"], 40 * GIB, 400.0),
        (1, "NVIDIA GeForce RTX 4090", RTX_4090["uuid"], 25757220864, 450.0),
        (2, "NVIDIA A100-SXM4-40GB MIG 3g.20gb", "MIG-aaaa0000-1", 20 * GIB, None),
        (3, "NVIDIA A100-SXM4-40GB MIG 1g.5gb", "MIG-aaaa0000-2", 5 * GIB, None),
    ]
    assert [d.problem for d in found] == ["MIG is on, so only its instances compute", "", "", ""]
    assert {found[2].pci, found[2].architecture} == {"0000:41:00.0", "sm_80"}


@pytest.mark.parametrize("where", ["handle", "name"])
def test_lost_card_keeps_its_place(roots, where, engine) -> None:
    lost = {**RTX_4090, where: pynvml.NVML_ERROR_GPU_IS_LOST}
    first, second = vendor(roots, lost, A100 | {"mig": []}).discover()[:2]
    assert (first.index, first.problem) == (0, "the card has fallen off the bus")
    assert (second.index, second.name) == (1, "NVIDIA A100-SXM4-40GB")
    refusal = vendor(roots).passthrough((first,), backend=CUDA, engine=engine())
    assert isinstance(refusal, Failure)
    assert refusal.reason is Reason.DEVICE_LOST
    assert "Xid" in refusal.remedy


def test_library_is_closed_again_even_after_an_error(roots) -> None:
    fake = FakeNvml(RTX_4090)
    fake.nvmlDeviceGetCount = lambda: fake._say(pynvml.NVML_ERROR_UNKNOWN)
    assert Nvidia(nvml=lambda: fake, sysfs=roots.sys).discover() == ()
    assert fake.open == 0


def test_nothing_at_all(roots) -> None:
    assert vendor(roots, init=pynvml.NVML_ERROR_LIBRARY_NOT_FOUND).discover() == ()


@pytest.mark.parametrize(
    ("init", "bound", "problem", "remedy"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, None, "the NVIDIA driver is not loaded", "nvidia-smi"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, None, "the NVIDIA driver is not loaded", "modprobe nvidia"),
        (
            pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
            "nouveau",
            "the NVIDIA driver is not loaded (the card is bound to nouveau)",
            "modprobe nvidia",
        ),
        (
            pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
            "nvidia",
            "the NVIDIA kernel driver is loaded, but its library libnvidia-ml.so.1 is not found",
            "same version",
        ),
        (
            pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
            "nvidia",
            "the NVIDIA driver was updated, but the old kernel module is still loaded",
            "restart the machine",
        ),
        (pynvml.NVML_ERROR_UNKNOWN, "nvidia", "NVML does not start: Unknown Error", "nvidia-smi"),
    ],
)
def test_card_without_working_driver_is_not_absent(roots, engine, init, bound, problem, remedy) -> None:  # noqa: PLR0917 - the columns of a table
    roots.card("0000:01:00.0", ids="10de:2684", driver=bound)
    roots.card("0000:01:00.1", ids="10de:22ba", device_class="0x040300")  # its audio function
    roots.card("0000:04:00.0", ids="1a03:2000")  # somebody else's
    roots.write(
        "share/misc/pci.ids", "1002  AMD\n\t2684  Wrong\n10de  NVIDIA Corporation\n\t2684  AD102 [GeForce RTX 4090]\n"
    )
    nvidia = vendor(roots, init=init)
    (device,) = nvidia.discover()
    assert (device.name, device.pci, device.problem) == ("NVIDIA GeForce RTX 4090", "0000:01:00.0", problem)
    refusal = nvidia.passthrough((device,), backend=CUDA, engine=engine())
    assert isinstance(refusal, Failure)
    assert (refusal.phase, refusal.reason) == (Phase.PREPARE, Reason.NO_DEVICE)
    assert problem in refusal.detail
    assert remedy in refusal.remedy


def test_card_that_a_virtual_machine_has_is_named_beside_the_others(roots) -> None:
    roots.card("0000:01:00.0", ids="10de:2684", driver="nvidia")
    roots.card("0000:02:00.0", ids="10de:2204", driver="vfio-pci")
    first, second = vendor(roots, RTX_4090).discover()
    assert (first.index, first.problem) == (0, "")
    assert (second.index, second.pci) == (1, "0000:02:00.0")
    assert second.problem == "the NVIDIA driver is not loaded (the card is bound to vfio-pci)"


def test_missing_package_is_said_where_there_is_a_card(roots) -> None:
    def absent():
        raise ImportError

    roots.card("0000:01:00.0", ids="10de:2684", driver="nvidia")
    (device,) = Nvidia(nvml=absent, sysfs=roots.sys, share=roots.share).discover()
    assert device.problem == "the Python package nvidia-ml-py is missing"
    assert device.name == "NVIDIA GPU (10de:2684)"


CARD = Device(vendor="nvidia", kind="gpu", name="NVIDIA GeForce RTX 4090", index=1, uuid="GPU-1111", simulated=True)
INSTANCE = Device(vendor="nvidia", kind="gpu", name="NVIDIA A100-SXM4-40GB MIG 1g.5gb", index=2, uuid="MIG-2222")


@pytest.mark.parametrize(
    ("backend", "capabilities", "environment"),
    [
        (CUDA, ["gpu", "compute", "utility"], {}),
        (
            VULKAN,
            ["gpu", "graphics", "compute", "utility"],
            {"NVIDIA_DRIVER_CAPABILITIES": "compute,graphics,utility"},
        ),
    ],
)
@pytest.mark.parametrize("version", ["19.03.15", "20.10.24+dfsg1", "26.1.5", "29.3.0", "dev"])
def test_docker_without_cdi_gets_a_device_request(roots, engine, backend, capabilities, environment, version) -> None:  # noqa: PLR0917 - the columns of a table
    assert vendor(roots).passthrough((CARD,), backend=backend, engine=engine(version=version)) == Passthrough(
        device_requests=({"Driver": "nvidia", "DeviceIDs": ["GPU-1111"], "Capabilities": [capabilities]},),
        environment=environment,
        expected=(
            ExpectedDevice(
                name=f"{backend.device_prefix}0",
                names=("NVIDIA GeForce RTX 4090",),
                exact=True,
                mark_pattern=r"compute capability (\d+\.\d+)",
            ),
        ),
    )


@pytest.mark.parametrize(
    ("device", "listed", "asked"),
    [
        (CARD, ("nvidia.com/gpu=0", "nvidia.com/gpu=1", "nvidia.com/gpu=GPU-1111"), "nvidia.com/gpu=GPU-1111"),
        (CARD, ("nvidia.com/gpu=0", "nvidia.com/gpu=1", "nvidia.com/gpu=all"), "nvidia.com/gpu=1"),
        (INSTANCE, ("nvidia.com/gpu=2", "nvidia.com/gpu=MIG-2222"), "nvidia.com/gpu=MIG-2222"),
    ],
)
def test_docker_that_lists_the_device_gets_its_cdi_name(roots, engine, device, listed, asked) -> None:
    found = vendor(roots).passthrough((device,), backend=CUDA, engine=engine(version="28.5.2", cdi=listed))
    assert isinstance(found, Passthrough)
    assert found.device_requests == ({"Driver": "cdi", "DeviceIDs": [asked]},)


@pytest.mark.parametrize("listed", [("nvidia.com/gpu=0",), ("nvidia.com/gpu=2",), ("amd.com/gpu=1",)])
def test_cdi_devices_of_others_are_not_taken(roots, engine, listed) -> None:
    found = vendor(roots).passthrough((INSTANCE,), backend=CUDA, engine=engine(version="28.5.2", cdi=listed))
    assert isinstance(found, Passthrough)
    assert found.device_requests[0]["Driver"] == "nvidia"
    assert found.device_requests[0]["DeviceIDs"] == ["MIG-2222"]


@pytest.mark.parametrize("version", ["4.3.1", "4.9.3", "5.3.2", "unknown"])
def test_podman_that_drops_requests_is_refused(roots, engine, version) -> None:
    refusal = vendor(roots).passthrough((CARD,), backend=CUDA, engine=engine("Podman", version))
    assert isinstance(refusal, Failure)
    assert (refusal.phase, refusal.reason) == (Phase.PREPARE, Reason.REQUEST_DROPPED)
    assert refusal.detail.startswith(f"Podman {version} drops device requests without an error")
    assert "Podman 5.4 or newer" in refusal.remedy


@pytest.mark.parametrize("version", ["5.4.0", "5.8.6", "10.0.0"])
def test_newer_podman_gets_cdi(roots, engine, version) -> None:
    found = vendor(roots).passthrough((CARD,), backend=CUDA, engine=engine("Podman", version))
    assert isinstance(found, Passthrough)
    assert found.device_requests == ({"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=GPU-1111"]},)


def test_docker_before_device_requests_is_refused(roots, engine) -> None:
    refusal = vendor(roots).passthrough((CARD,), backend=CUDA, engine=engine(version="18.09.9"))
    assert isinstance(refusal, Failure)
    assert refusal.reason is Reason.REQUEST_DROPPED


def test_other_backends_are_refused(roots, engine) -> None:
    refusal = vendor(roots).passthrough((CARD,), backend=BACKENDS["rocm"], engine=engine())
    assert isinstance(refusal, Failure)
    assert refusal.detail == "the ROCm backend does not compute on NVIDIA GeForce RTX 4090"


def test_vulkan_within_wsl_is_refused_and_cuda_is_not(roots, engine) -> None:
    roots.node("dxg")
    assert isinstance(vendor(roots).passthrough((CARD,), backend=VULKAN, engine=engine()), Failure)
    assert isinstance(vendor(roots).passthrough((CARD,), backend=CUDA, engine=engine()), Passthrough)


@pytest.mark.parametrize(
    ("name", "printed", "proof"),
    [
        ("NVIDIA GeForce RTX 4080", "NVIDIA GeForce RTX 4080", Proof.PROVEN),
        ("NVIDIA GB10", "NVIDIA GB10", Proof.PROVEN),
        ("Tesla P40", "Tesla P40", Proof.PROVEN),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "NVIDIA A100-SXM4-40GB MIG 1g.5gb", Proof.PROVEN),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "NVIDIA A100-SXM4-40GB", Proof.PROVEN),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "NVIDIA A100-SXM4-40GB MIG 3g.20gb", Proof.CONTRADICTED),
        ("Orin (nvgpu)", "Orin", Proof.PROVEN),
        ("GeForce RTX 3090", "NVIDIA GeForce RTX 3090", Proof.PROVEN),
        ("NVIDIA GeForce RTX 4070", "NVIDIA GeForce RTX 4070 Ti", Proof.CONTRADICTED),
        ("NVIDIA GeForce RTX 4070 Ti", "NVIDIA GeForce RTX 4070", Proof.CONTRADICTED),
        ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090 Laptop GPU", Proof.CONTRADICTED),
        ("NVIDIA GeForce RTX 4090", "AMD Radeon RX 7900 XTX (RADV NAVI31)", Proof.CONTRADICTED),
    ],
)
def test_what_llama_bench_prints_of_it(roots, engine, name, printed, proof) -> None:
    device = Device(vendor="nvidia", kind="gpu", name=name, uuid="GPU-1")
    found = vendor(roots).passthrough((device,), backend=CUDA, engine=engine())
    assert isinstance(found, Passthrough)
    assert compare(found.expected[0], SeenDevice(text=printed))[0] is proof


def test_a_card_without_a_name_is_known_by_its_compute_capability(roots, engine) -> None:
    (device,) = vendor(roots, {**RTX_4090, "name": pynvml.NVML_ERROR_UNKNOWN}).discover()
    found = vendor(roots).passthrough((device,), backend=CUDA, engine=engine())
    assert isinstance(found, Passthrough)
    seen = SeenDevice(text="NVIDIA GeForce RTX 4090")
    assert compare(found.expected[0], seen)[0] is Proof.UNOBSERVABLE
    detail = "NVIDIA GeForce RTX 4090, compute capability 8.9, VMM: yes"
    assert compare(found.expected[0], replace(seen, detail=detail))[0] is Proof.PROVEN
    assert compare(found.expected[0], replace(seen, detail=detail.replace("8.9", "8.6")))[0] is Proof.CONTRADICTED


FIRST = replace(CARD, index=0, uuid="GPU-0000", pci="0000:01:00.0")
SECOND = replace(CARD, index=1, uuid="GPU-1111", pci="0000:41:00.0")


def test_several_cards_are_one_request_and_numbered_by_place(roots, engine) -> None:
    found = vendor(roots).passthrough((SECOND, FIRST), backend=CUDA, engine=engine())
    assert isinstance(found, Passthrough)
    (request,) = found.device_requests
    assert request["DeviceIDs"] == ["GPU-1111", "GPU-0000"]
    assert found.environment == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert found.device == "CUDA1/CUDA0"


def test_several_cards_by_cdi_only_if_all_are_listed(roots, engine) -> None:
    both = ("nvidia.com/gpu=GPU-0000", "nvidia.com/gpu=1")
    found = vendor(roots).passthrough((FIRST, SECOND), backend=CUDA, engine=engine(version="28.5.2", cdi=both))
    assert found.device_requests == ({"Driver": "cdi", "DeviceIDs": list(both)},)
    found = vendor(roots).passthrough((FIRST, SECOND), backend=CUDA, engine=engine(version="28.5.2", cdi=both[:1]))
    assert found.device_requests[0]["Driver"] == "nvidia"


def test_a_process_has_one_instance(roots, engine) -> None:
    refusal = vendor(roots).passthrough((INSTANCE, FIRST), backend=CUDA, engine=engine())
    assert isinstance(refusal, Failure)
    assert "one MIG instance" in refusal.detail


def test_within_wsl_all_are_passed_and_cuda_selects(roots, engine) -> None:
    roots.node("dxg")
    found = vendor(roots).passthrough((SECOND,), backend=CUDA, engine=engine())
    assert found.device_requests[0]["Count"] == -1
    assert "DeviceIDs" not in found.device_requests[0]
    assert found.environment == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "1"}


def test_a_jetson_board_needs_cdi(roots, engine) -> None:
    roots.write("sys/firmware/devicetree/base/compatible", "nvidia,p3737-0000\0nvidia,tegra234\0")
    board = Device(vendor="nvidia", kind="integrated", name="Orin (nvgpu)")
    refusal = vendor(roots).passthrough((board,), backend=CUDA, engine=engine())
    assert isinstance(refusal, Failure)
    assert refusal.reason is Reason.DEVICE_REQUEST
    assert "--mode=csv" in refusal.remedy
    listed = engine(version="28.5.2", cdi=("nvidia.com/gpu=0",))
    assert isinstance(vendor(roots).passthrough((board,), backend=CUDA, engine=listed), Passthrough)


def test_the_link_of_a_card_and_none_of_a_chip(roots) -> None:
    link = {"generation": 4, "width": 16}
    card, chip = vendor(roots, RTX_4090 | link, GB10 | link).discover()
    assert (card.link_generation, card.link_width) == (4, 16)
    assert (chip.link_generation, chip.link_width) == (None, None)
    (card,) = vendor(roots, RTX_4090).discover()
    assert (card.link_generation, card.link_width) == (None, None)


def test_a_fake_library_alone_makes_devices_simulated() -> None:
    fake = FakeNvml(RTX_4090)
    assert Nvidia(nvml=lambda: fake).discover()[0].simulated


class FakeLibrary:
    """Stands in for libnvidia-ml.so.1 beneath the real pynvml: writes through its pointers, returns NVML's codes."""

    def __init__(self, **functions) -> None:
        self.__dict__.update(functions)


def _string(text: str):
    def write(*arguments) -> int:
        next(a for a in arguments if hasattr(a, "value") and isinstance(a.value, bytes)).value = text.encode()
        return 0

    return write


def _number(*values: int):
    def write(_handle, *pointers) -> int:
        for pointer, value in zip(pointers, values, strict=True):
            pointer._obj.value = value
        return 0

    return write


def _memory(_handle, pointer) -> int:
    pointer._obj.total = 24 * GIB
    return 0


def _count(pointer) -> int:
    pointer._obj.value = 1
    return 0


def _pci(_handle, pointer) -> int:
    pointer._obj.busId = b"00000000:0A:00.0"
    return 0


def test_the_real_pynvml_understands_how_it_is_asked(roots, monkeypatch) -> None:
    library = FakeLibrary(
        nvmlInitWithFlags=lambda flags: 0,
        nvmlShutdown=lambda: 0,
        nvmlSystemGetDriverVersion=_string("580.126.09"),
        nvmlDeviceGetCount_v2=_count,
        nvmlDeviceGetHandleByIndex_v2=lambda index, pointer: 0,
        nvmlDeviceGetName=_string("NVIDIA GeForce RTX 3090"),
        nvmlDeviceGetUUID=_string("GPU-abc"),
        nvmlDeviceGetPciInfo_v3=_pci,
        nvmlDeviceGetMemoryInfo=_memory,
        nvmlDeviceGetCudaComputeCapability=_number(8, 6),
        nvmlDeviceGetPowerManagementLimit=_number(350000),
        # nvmlDeviceGetEnforcedPowerLimit and the MIG functions are left out: an older driver.
    )
    monkeypatch.setattr(pynvml, "nvmlLib", library)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    assert Nvidia(sysfs=roots.sys).discover() == (
        Device(
            vendor="nvidia",
            kind="gpu",
            name="NVIDIA GeForce RTX 3090",
            pci="0000:0a:00.0",
            memory_bytes=24 * GIB,
            driver="580.126.09",
            uuid="GPU-abc",
            architecture="sm_86",
            power_limit_w=350.0,
            simulated=True,
        ),
    )


def test_the_real_pynvml_reports_an_unloaded_driver(roots, monkeypatch) -> None:
    monkeypatch.setattr(
        pynvml, "nvmlLib", FakeLibrary(nvmlInitWithFlags=lambda flags: pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
    )
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    roots.card("0000:01:00.0", ids="10de:2684")
    (device,) = Nvidia(sysfs=roots.sys, share=roots.share).discover()
    assert device.problem == "the NVIDIA driver is not loaded"


def test_pynvml_is_imported_only_when_asked() -> None:
    code = "import sys, harness.machine.vendors; sys.exit('pynvml' in sys.modules)"
    repository = Path(__file__).parents[4]
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=repository).returncode == 0
