from __future__ import annotations

import pytest

from harness.machine.devices import candidates, place_names, select, select_all
from harness.values.backend import BACKENDS
from harness.values.facts import Device
from harness.values.failure import Failure, Phase, Reason

GIB = 1024**3
CPU_BACKEND, CUDA, ROCM, VULKAN = (BACKENDS[name] for name in ("cpu", "cuda", "rocm", "vulkan"))


def gpu(name: str, **facts) -> Device:
    return Device(**{"vendor": "nvidia", "kind": "gpu", "name": name, **facts})


CPU = Device(vendor="cpu", kind="cpu", name="AMD Ryzen 9 7950X")
SOFTWARE = Device(vendor="cpu", kind="software", name="llvmpipe", index=1)
SMALL = gpu("NVIDIA GeForce RTX 4070", pci="0000:01:00.0", memory_bytes=12 * GIB, uuid="GPU-aaaa1111-0000")
TI = gpu("NVIDIA GeForce RTX 4070 Ti", index=1, pci="0000:02:00.0", memory_bytes=12 * GIB, uuid="GPU-aaaa2222-0000")
BIG = gpu("NVIDIA GeForce RTX 4090", index=2, pci="000a:41:00.0", memory_bytes=24 * GIB, uuid="GPU-bbbb3333-0000")
RADEON = gpu("AMD Radeon RX 7900 XTX", vendor="amd", pci="0000:03:00.0", memory_bytes=24 * GIB, uuid="GPU-5e7b0c2d")
APU = gpu("AMD GPU (1002:164e)", vendor="amd", index=1, kind="integrated", pci="0000:0e:00.0")
MACHINE = (SMALL, TI, BIG, APU, RADEON, CPU, SOFTWARE)


@pytest.mark.parametrize(
    ("backend", "names"),
    [
        (CPU_BACKEND, [CPU]),
        (CUDA, [SMALL, TI, BIG]),
        (ROCM, [APU, RADEON]),
        (VULKAN, [SMALL, TI, BIG, APU, RADEON]),
    ],
)
def test_candidates(backend, names) -> None:
    assert list(candidates(MACHINE, backend=backend)) == names


@pytest.mark.parametrize(
    ("backend", "name", "device"),
    [
        (CPU_BACKEND, "default", CPU),
        (CPU_BACKEND, "0", CPU),
        (CUDA, "default", BIG),
        (ROCM, "default", RADEON),
        (VULKAN, "default", BIG),
        (CUDA, "0", SMALL),
        (CUDA, "2", BIG),
        (VULKAN, "4", RADEON),
        (CUDA, "GPU-aaaa1111-0000", SMALL),
        (CUDA, "gpu-AAAA2", TI),
        (VULKAN, "GPU-5e7b0c2d", RADEON),
        (CUDA, "0000:01:00.0", SMALL),
        (CUDA, "00000000:01:00.0", SMALL),
        (CUDA, "02:00.0", TI),
        (CUDA, "000A:41:00.0", BIG),
        (CUDA, "*4090*", BIG),
        (CUDA, "*4090", BIG),
        (CUDA, "4090", BIG),
        (CUDA, "rtx 4070 ti", TI),
        (CUDA, "NVIDIA GeForce RTX 4070", SMALL),
        (VULKAN, "AMD*XTX", RADEON),
        (VULKAN, "software", SOFTWARE),
        (VULKAN, "Software", SOFTWARE),
    ],
)
def test_names(backend, name, device) -> None:
    assert select(MACHINE, backend=backend, name=name) == device


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        (CUDA, "3"),
        (CUDA, "-1"),
        (CUDA, "GPU-ffff"),
        (CUDA, "0000:09:00.0"),
        (CUDA, "41:00.0"),  # of another domain
        (CUDA, "RX 7900 XTX"),
        (CUDA, "4090 D"),
        (CUDA, "software"),
        (CUDA, "llvmpipe"),
        (VULKAN, "llvmpipe"),
        (VULKAN, "llvm*"),
        (CPU_BACKEND, "software"),
        (CPU_BACKEND, "1"),
        (CUDA, ""),
    ],
)
def test_names_of_nothing(backend, name) -> None:
    failure = select(MACHINE, backend=backend, name=name)
    assert isinstance(failure, Failure)
    assert (failure.phase, failure.reason) == (Phase.PREPARE, Reason.NO_DEVICE)
    assert failure.remedy


def test_failure_lists_what_is_there_without_uuids() -> None:
    failure = select((SMALL, BIG, CPU), backend=CUDA, name="5090")
    assert isinstance(failure, Failure)
    assert failure.detail == (
        "no device of CUDA matches '5090'; there is 0: NVIDIA GeForce RTX 4070 at 0000:01:00.0;"
        " 1: NVIDIA GeForce RTX 4090 at 000a:41:00.0"
    )
    hidden = select((SMALL, BIG, CPU), backend=CUDA, name="GPU-12345678")
    assert isinstance(hidden, Failure)
    assert "matches the UUID given" in hidden.detail
    assert "12345678" not in hidden.detail
    assert "aaaa1111" not in hidden.detail


def test_machine_without_a_device_of_the_backend() -> None:
    failure = select((RADEON, CPU, SOFTWARE), backend=CUDA, name="default")
    assert isinstance(failure, Failure)
    assert failure.detail == ("this machine has no device for CUDA; there is AMD Radeon RX 7900 XTX; AMD Ryzen 9 7950X")
    assert "software" not in failure.remedy


def test_vulkan_without_a_gpu_never_takes_the_software_device_by_itself() -> None:
    failure = select((CPU, SOFTWARE), backend=VULKAN, name="default")
    assert isinstance(failure, Failure)
    assert "`device: software`" in failure.remedy


def test_pattern_that_fits_cards_of_several_kinds() -> None:
    failure = select(MACHINE, backend=CUDA, name="*rtx*")
    assert isinstance(failure, Failure)
    assert failure.detail == (
        "'*rtx*' fits several devices: NVIDIA GeForce RTX 4090 at 000a:41:00.0;"
        " NVIDIA GeForce RTX 4070 at 0000:01:00.0; NVIDIA GeForce RTX 4070 Ti at 0000:02:00.0"
    )


def test_beginning_of_two_uuids() -> None:
    twin = gpu("NVIDIA GeForce RTX 4070", index=1, uuid="GPU-aaaa1112-0000")
    failure = select((SMALL, twin), backend=CUDA, name="GPU-aaaa111")
    assert isinstance(failure, Failure)
    assert failure.detail.startswith("the UUID given fits several devices")


def test_twins_are_told_apart_by_order_only() -> None:
    twin = gpu("NVIDIA GeForce RTX 4090", index=3, pci="0000:81:00.0", memory_bytes=24 * GIB)
    assert select((BIG, twin), backend=CUDA, name="4090") == BIG
    assert select((BIG, twin), backend=CUDA, name="default") == BIG
    assert select((BIG, twin), backend=CUDA, name="1") == twin


def test_a_card_with_a_problem_is_the_last_choice_but_is_found_where_it_is_named() -> None:
    broken = gpu("NVIDIA GeForce RTX 5090", memory_bytes=32 * GIB, pci="0000:05:00.0", problem="it is lost")
    assert select((broken, SMALL), backend=CUDA, name="default") == SMALL
    assert select((broken,), backend=CUDA, name="default") == broken
    assert select((broken, SMALL), backend=CUDA, name="0") == broken
    assert select((broken, SMALL), backend=CUDA, name="5090") == broken
    failure = select((broken, SMALL), backend=CUDA, name="none")
    assert isinstance(failure, Failure)
    assert "0: NVIDIA GeForce RTX 5090 at 0000:05:00.0 (it is lost)" in failure.detail


def test_instances_stand_in_for_the_card_that_was_divided() -> None:
    parent = gpu("NVIDIA A100", pci="0000:41:00.0", uuid="GPU-1a", problem="MIG is on")
    half = gpu("NVIDIA A100 MIG 3g.20gb", index=1, pci="0000:41:00.0", uuid="MIG-2b", memory_bytes=20 * GIB)
    eighth = gpu("NVIDIA A100 MIG 1g.5gb", index=2, pci="0000:41:00.0", uuid="MIG-3c", memory_bytes=5 * GIB)
    assert select((parent, half), backend=CUDA, name="41:00.0") == half
    assert select((parent, half), backend=CUDA, name="a100") == half
    assert select((parent, half, eighth), backend=CUDA, name="default") == half
    assert select((parent, half, eighth), backend=CUDA, name="mig-3c") == eighth
    assert isinstance(select((parent, half, eighth), backend=CUDA, name="41:00.0"), Failure)


def made(name: str, index: int, pci: str, **changes: object) -> Device:
    return Device(**{"vendor": "nvidia", "kind": "gpu", "name": name, "index": index, "pci": pci} | changes)


ONE = made("RTX 4090", 0, "0000:01:00.0", uuid="GPU-aaaa")
TWO = made("RTX 3090", 1, "0000:41:00.0", uuid="GPU-bbbb")
GONE = made("RTX 2080", 2, "0000:81:00.0", problem="lost")
APU = made("Radeon 780M", 0, "0000:c5:00.0", vendor="amd", kind="integrated")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("default", (ONE,)),
        ("0+1", (ONE, TWO)),
        ("1 + 0", (TWO, ONE)),
        ("3090+01:00.0", (TWO, ONE)),
        ("all", (ONE, TWO)),
        ("ALL", (ONE, TWO)),
    ],
)
def test_several_devices_are_selected_in_the_order_named(name: str, found: tuple[Device, ...]) -> None:
    assert select_all((ONE, TWO, GONE, APU), backend=BACKENDS["cuda"], name=name) == found


def test_all_leaves_an_integrated_gpu_out_where_there_are_cards() -> None:
    assert select_all((ONE, APU), backend=BACKENDS["vulkan"], name="all") == (ONE,)
    assert select_all((APU,), backend=BACKENDS["vulkan"], name="all") == (APU,)


@pytest.mark.parametrize("name", ["0+7", "0+4090", "all"])
def test_several_devices_that_cannot_be_had(name: str) -> None:
    devices = (ONE, TWO) if name != "all" else (GONE,)
    found = select_all(devices, backend=BACKENDS["cuda"], name=name)
    assert isinstance(found, Failure)
    assert found.reason is Reason.NO_DEVICE


def test_a_uuid_among_several_is_in_no_message() -> None:
    found = select_all((ONE, TWO), backend=BACKENDS["cuda"], name="GPU-aaaa+0")
    assert isinstance(found, Failure)
    assert "GPU-aaaa" not in found.detail


def test_places_select_their_devices() -> None:
    instances = (made("MIG 1", 3, "0000:81:00.0"), made("MIG 2", 4, "0000:81:00.0"))
    devices = (ONE, TWO, GONE, *instances)
    names = place_names(devices, backend=BACKENDS["cuda"])
    assert names == ("01:00.0", "41:00.0", "3", "4")
    assert [select(devices, backend=BACKENDS["cuda"], name=name) for name in names] == [ONE, TWO, *instances]
