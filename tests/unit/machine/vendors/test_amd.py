from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from harness.machine.vendors.amd import Amd, gfx_target
from harness.measure.device_match import SeenDevice, compare
from harness.values.backend import BACKENDS
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.failure import Failure, Phase, Reason
from harness.values.record import Proof

GIB = 1024**3
ROCM, VULKAN = BACKENDS["rocm"], BACKENDS["vulkan"]

XTX = {
    "unique_id": "5e7b0c2d41a90f36",
    "mem_info_vram_total": "25753026560",
    "mem_info_gtt_total": "33554432000",
    "power/runtime_status": "active",
    "hwmon/hwmon3/name": "amdgpu",
    "hwmon/hwmon3/power1_cap": "327000000",
    "gpu_metrics": struct.pack("<HBB", 120, 1, 3) + bytes(116),
}
STRIX_HALO = {
    "mem_info_vram_total": "536870912",
    "mem_info_gtt_total": "128849018880",
    "gpu_metrics": struct.pack("<HBB", 264, 3, 0) + bytes(260),
}
AMDGPU_IDS = "# List of AMDGPU IDs\n1.0.0\n744C,\tC8,\tAMD Radeon RX 7900 XTX\n744C,\tCC,\tAMD Radeon RX 7900 XT\n"
PCI_IDS = (
    "# comment\n1002  Advanced Micro Devices, Inc. [AMD/ATI]\n\t744c  Navi 31 [Radeon RX 7900 XT/7900 XTX]\n"
    "\t\t1002 0e3b  Reference\n\t15bf  Phoenix1\n10de  NVIDIA Corporation\n\t1586  Not this\n"
)


def kfd(roots, number: int, *, version: int, render: int) -> None:
    roots.write(
        f"sys/class/kfd/kfd/topology/nodes/{number}/properties",
        f"cpu_cores_count 0\nsimd_count 192\nvendor_id 4098\ndrm_render_minor {render}\ngfx_target_version {version}\n",
    )


def cpu_node(roots) -> None:
    roots.write(
        "sys/class/kfd/kfd/topology/nodes/0/properties",
        "cpu_cores_count 16\nsimd_count 0\ndrm_render_minor 0\ngfx_target_version 0\n",
    )


def xtx(roots, **files) -> None:
    roots.card(
        "0000:03:00.0",
        ids="1002:744c",
        revision="0xc8",
        driver="amdgpu",
        render="renderD128",
        files={**XTX, **files},
    )


def apu(roots, **files) -> None:
    roots.card(
        "0000:c5:00.0",
        ids="1002:1586",
        revision="0xc1",
        device_class="0x038000",
        driver="amdgpu",
        render="renderD129",
        files={**STRIX_HALO, **files},
    )


def vendor(roots, **kwargs) -> Amd:
    return Amd(sysfs=roots.sys, dev=roots.dev, share=roots.share, **kwargs)


@pytest.mark.parametrize(
    ("version", "target"),
    [
        (110000, "gfx1100"),
        (90010, "gfx90a"),
        (90402, "gfx942"),
        (90012, "gfx90c"),
        (110501, "gfx1151"),
        (120001, "gfx1201"),
        (0, None),
    ],
)
def test_targets_are_decoded(version, target) -> None:
    assert gfx_target(version) == target


def test_card_with_all_facts(roots) -> None:
    xtx(roots)
    cpu_node(roots)
    kfd(roots, 1, version=110000, render=128)
    roots.write("share/libdrm/amdgpu.ids", AMDGPU_IDS)
    roots.write("sys/module/amdgpu/version", "6.12.12\n")
    kfd_node, render = roots.node("kfd"), roots.node("dri/renderD128")
    (device,) = vendor(roots).discover()
    assert (device.vendor, device.kind, device.name) == ("amd", "gpu", "AMD Radeon RX 7900 XTX")
    assert (device.pci, device.uuid) == ("0000:03:00.0", "GPU-5e7b0c2d41a90f36")
    assert (device.memory_bytes, device.shared_memory_bytes) == (25753026560, None)
    assert (device.architecture, device.power_limit_w, device.driver) == ("gfx1100", 327.0, "amdgpu 6.12.12")
    assert (device.render_node, device.nodes) == (str(render), (str(kfd_node), str(render)))
    assert (device.problem, device.simulated) == ("", True)


def test_apu_beside_a_card(roots) -> None:
    xtx(roots)
    apu(roots)
    kfd(roots, 1, version=110000, render=128)
    kfd(roots, 2, version=110501, render=129)
    for name in ("kfd", "dri/renderD128", "dri/renderD129"):
        roots.node(name)
    card, integrated = vendor(roots).discover()
    assert (card.index, card.kind) == (0, "gpu")
    assert (integrated.index, integrated.kind, integrated.architecture) == (1, "integrated", "gfx1151")
    assert integrated.memory_bytes is None
    assert integrated.shared_memory_bytes == 536870912 + 128849018880
    assert (integrated.uuid, integrated.power_limit_w) == (None, None)


@pytest.mark.parametrize(
    ("metrics", "kind"),
    [
        (struct.pack("<HBB", 120, 1, 3), "gpu"),
        (struct.pack("<HBB", 264, 3, 0), "integrated"),
        (struct.pack("<HBB", 136, 2, 2), "integrated"),
        (b"", "gpu"),
    ],
)
def test_without_kfd_the_metrics_tell_an_apu(roots, metrics, kind) -> None:
    apu(roots, gpu_metrics=metrics)
    (device,) = vendor(roots).discover()
    assert (device.kind, device.architecture) == (kind, None)


def test_instinct_is_an_accelerator_and_not_a_display(roots) -> None:
    roots.card(
        "0000:05:00.0",
        ids="1002:74a1",
        device_class="0x120000",
        driver="amdgpu",
        render="renderD128",
        files={"product_name": "AMD Instinct MI300X OAM"},
    )
    (device,) = vendor(roots).discover()
    assert device.name == "AMD Instinct MI300X OAM"


def test_sleeping_card_is_not_woken(roots) -> None:
    xtx(roots, **{"power/runtime_status": "suspended"})
    roots.node("dri/renderD128")
    (device,) = vendor(roots).discover()
    assert (device.power_limit_w, device.memory_bytes, device.problem) == (None, 25753026560, "")


@pytest.mark.parametrize("broken", ["mem_info_vram_total", "unique_id", "hwmon/hwmon3/power1_cap"])
@pytest.mark.parametrize("text", [None, ""])
def test_missing_or_unreadable_facts_are_none(roots, broken, text) -> None:
    xtx(roots)
    file = roots.sys / "bus/pci/devices/0000:03:00.0" / broken
    file.unlink()
    if text is None:
        file.mkdir()  # opening it fails, as a file of a driver that answers with an error does
    else:
        file.write_text(text)
    (device,) = vendor(roots).discover()
    attribute = {"mem_info_vram_total": "memory_bytes", "unique_id": "uuid"}.get(broken, "power_limit_w")
    assert getattr(device, attribute) is None


def test_a_number_that_is_none_is_missing(roots) -> None:
    xtx(roots, mem_info_vram_total="N/A")
    assert vendor(roots).discover()[0].memory_bytes is None


@pytest.mark.parametrize(
    ("ids", "revision", "files", "lists", "name"),
    [
        ("1002:744c", "0xcc", {}, {"libdrm/amdgpu.ids": AMDGPU_IDS}, "AMD Radeon RX 7900 XT"),
        ("1002:744c", "0xcf", {}, {"hwdata/pci.ids": PCI_IDS}, "AMD Radeon RX 7900 XT/7900 XTX"),
        ("1002:15bf", "0xc4", {}, {"misc/pci.ids": PCI_IDS}, "AMD Phoenix1"),
        ("1002:1586", "0xc1", {}, {"misc/pci.ids": PCI_IDS}, "AMD GPU (1002:1586)"),
        ("1002:1586", "0xc1", {}, {}, "AMD GPU (1002:1586)"),
        ("1002:7448", "0x00", {"product_name": "AMD Radeon Pro W7900"}, {}, "AMD Radeon Pro W7900"),
    ],
)
def test_names_come_from_the_best_source(roots, ids, revision, files, lists, name) -> None:  # noqa: PLR0917 - the columns of a table
    roots.card("0000:03:00.0", ids=ids, revision=revision, driver="amdgpu", render="renderD128", files=files)
    for path, text in lists.items():
        roots.write(f"share/{path}", text)
    assert vendor(roots).discover()[0].name == name


@pytest.mark.parametrize(
    ("driver", "render", "problem"),
    [
        (None, None, "the amdgpu driver is not loaded for it"),
        ("vfio-pci", None, "the amdgpu driver is not loaded for it (it is bound to vfio-pci)"),
        ("amdgpu", None, "it has no render node in "),
        ("amdgpu", "renderD128", "it has no render node in "),  # in sysfs, but not in /dev
    ],
)
@pytest.mark.parametrize("backend", [ROCM, VULKAN])
def test_unusable_cards_are_listed_and_refused(roots, engine, driver, render, problem, backend) -> None:  # noqa: PLR0917 - the columns of a table
    roots.card("0000:03:00.0", ids="1002:744c", driver=driver, render=render)
    (device,) = vendor(roots).discover()
    assert device.problem.startswith(problem)
    assert device.nodes == ()
    refusal = vendor(roots).passthrough((device,), backend=backend, engine=engine())
    assert isinstance(refusal, Failure)
    assert (refusal.phase, refusal.reason) == (Phase.PREPARE, Reason.NO_DEVICE)
    assert "modprobe amdgpu" in refusal.remedy


def test_no_card(roots) -> None:
    roots.card("0000:01:00.0", ids="10de:2684")
    roots.card("0000:03:00.1", ids="1002:ab30", device_class="0x040300")
    assert vendor(roots).discover() == ()


def test_rocm_gets_two_nodes_and_their_group_by_number(roots, engine) -> None:
    xtx(roots)
    kfd(roots, 1, version=110000, render=128)
    nodes = (str(roots.node("kfd")), str(roots.node("dri/renderD128")))
    (device,) = vendor(roots).discover()
    assert vendor(roots).passthrough((device,), backend=ROCM, engine=engine()) == Passthrough(
        device_nodes=nodes,
        groups=(Path(nodes[0]).stat().st_gid,),
        expected=(
            ExpectedDevice(
                name="ROCm0",
                names=(device.name,),
                marks=("gfx1100",),
                mark_pattern=r"\b(gfx[0-9a-f]{3,4})\b",
                pci="0000:03:00.0",
                memory_bytes=device.memory_bytes,
            ),
        ),
    )


def test_vulkan_gets_the_render_node_only(roots, engine) -> None:
    xtx(roots)
    kfd(roots, 1, version=110000, render=128)
    roots.node("kfd")
    node = str(roots.node("dri/renderD128"))
    (device,) = vendor(roots).discover()
    found = vendor(roots).passthrough((device,), backend=VULKAN, engine=engine("Podman", "4.3.1"))
    assert isinstance(found, Passthrough)
    assert (found.device_nodes, found.groups, found.device_requests) == ((node,), (Path(node).stat().st_gid,), ())
    assert found.device == "Vulkan0"
    assert (found.expected[0].maker, found.expected[0].marks) == ("AMD", ("GFX1100", "NAVI31"))


@pytest.mark.parametrize(
    ("printed", "proof"),
    [
        ("AMD Radeon RX 7900 XTX (RADV NAVI31)", Proof.PROVEN),
        ("AMD Radeon RX 7900 XTX", Proof.PROVEN),  # AMDVLK
        ("AMD Unknown (RADV NAVI31)", Proof.PROVEN),
        ("AMD Radeon Graphics (RADV SOME_LATER_NAME)", Proof.UNOBSERVABLE),
        ("AMD Radeon 8060S Graphics (RADV GFX1151)", Proof.CONTRADICTED),
        ("AMD Radeon RX 7800 XT (RADV NAVI32)", Proof.CONTRADICTED),
        ("NVIDIA GeForce RTX 4090", Proof.CONTRADICTED),
        ("llvmpipe (LLVM 19.1.7, 256 bits)", Proof.CONTRADICTED),
    ],
)
def test_what_vulkan_prints_of_it(roots, engine, printed, proof) -> None:
    xtx(roots)
    roots.node("dri/renderD128")
    (device,) = vendor(roots).discover()
    named = replace(device, name="AMD Radeon RX 7900 XTX", architecture="gfx1100")
    found = vendor(roots).passthrough((named,), backend=VULKAN, engine=engine())
    assert isinstance(found, Passthrough)
    assert compare(found.expected[0], SeenDevice(text=printed))[0] is proof


@pytest.mark.parametrize(
    ("printed", "detail", "proof"),
    [
        ("AMD Radeon Graphics", "AMD Radeon Graphics, gfx1100 (0x1100), VMM: no, Wave Size: 32", Proof.PROVEN),
        ("AMD Radeon RX 7900 XTX", "", Proof.PROVEN),
        ("AMD Radeon Graphics", "", Proof.UNOBSERVABLE),
        ("AMD Radeon RX 7900 XTX", "AMD Radeon RX 7900 XTX, gfx1101 (0x1101), VMM: no", Proof.CONTRADICTED),
    ],
)
def test_what_rocm_prints_of_it(roots, engine, printed, detail, proof) -> None:
    xtx(roots)
    roots.node("kfd")
    roots.node("dri/renderD128")
    (device,) = vendor(roots).discover()
    named = replace(device, name="AMD Radeon RX 7900 XTX", architecture="gfx1100")
    found = vendor(roots).passthrough((named,), backend=ROCM, engine=engine())
    assert isinstance(found, Passthrough)
    assert compare(found.expected[0], SeenDevice(text=printed, detail=detail))[0] is proof


def test_several_cards_get_their_nodes_and_numbers_by_place(roots, engine) -> None:
    xtx(roots)
    roots.card("0000:09:00.0", ids="1002:744c", driver="amdgpu", render="renderD129")
    nodes = [str(roots.node(name)) for name in ("kfd", "dri/renderD128", "dri/renderD129")]
    first, second = vendor(roots).discover()
    found = vendor(roots).passthrough((second, first), backend=ROCM, engine=engine())
    assert isinstance(found, Passthrough)
    assert set(found.device_nodes) == set(nodes)
    assert found.device == "ROCm1/ROCm0"
    assert [expected.pci for expected in found.expected] == ["0000:09:00.0", "0000:03:00.0"]


def test_missing_kfd_stops_rocm_and_not_vulkan(roots, engine) -> None:
    xtx(roots)
    roots.node("dri/renderD128")
    (device,) = vendor(roots).discover()
    assert device.problem == ""
    refusal = vendor(roots).passthrough((device,), backend=ROCM, engine=engine())
    assert isinstance(refusal, Failure)
    assert refusal.reason is Reason.NO_DEVICE
    assert "kfd does not exist" in refusal.detail
    assert "Vulkan backend" in refusal.remedy
    assert isinstance(vendor(roots).passthrough((device,), backend=VULKAN, engine=engine()), Passthrough)


@pytest.mark.parametrize(
    ("version", "cdi", "by_cdi"),
    [("29.3.0", ("amd.com/gpu=0",), True), ("29.3.0", ("amd.com/gpu=1",), False), ("20.10.24", (), False)],
)
def test_cdi_where_it_is_preferred_and_listed(roots, engine, version, cdi, by_cdi) -> None:
    xtx(roots)
    roots.node("kfd")
    roots.node("dri/renderD128")
    amd = vendor(roots, prefer_cdi=True)
    found = amd.passthrough((amd.discover()[0],), backend=ROCM, engine=engine(version=version, cdi=cdi))
    assert isinstance(found, Passthrough)
    assert bool(found.device_nodes) is not by_cdi
    assert found.device_requests == (({"Driver": "cdi", "DeviceIDs": ["amd.com/gpu=0"]},) if by_cdi else ())
    assert found.groups


def test_cuda_is_refused(roots, engine) -> None:
    xtx(roots)
    refusal = vendor(roots).passthrough(vendor(roots).discover(), backend=BACKENDS["cuda"], engine=engine())
    assert isinstance(refusal, Failure)
    assert "use the ROCm or Vulkan backend" in refusal.remedy


def behind_switch(roots, *, slot: str, width: str) -> None:
    """A card behind its own switch, as RDNA and Vega are: what sits in the slot is the switch's upper port."""
    root = roots.root / "sys/devices/pci0000:00/0000:00:01.1"
    port = {"class": "0x060400", "vendor": "0x1022", "max_link_speed": slot}
    upper = {"class": "0x060400", "vendor": "0x1002", "max_link_speed": "16.0 GT/s PCIe", "current_link_width": width}
    lower = {"class": "0x060400", "vendor": "0x1002"}
    path = root
    for name, files in (("", port), ("0000:01:00.0", upper), ("0000:02:00.0", lower), ("0000:03:00.0", {})):
        path = path / name if name else path
        path.mkdir(parents=True)
        for file, text in files.items():
            (path / file).write_text(f"{text}\n")
    xtx(roots, current_link_width="16", max_link_speed="16.0 GT/s PCIe")
    card = roots.root / "sys/bus/pci/devices/0000:03:00.0"
    path.rmdir()
    card.rename(path)
    card.symlink_to(path)


@pytest.mark.parametrize(("slot", "width", "link"), [("16.0 GT/s PCIe", "16", (4, 16)), ("8.0 GT/s PCIe", "4", (3, 4))])
def test_the_link_is_that_of_the_slot_and_not_of_the_switch_on_the_card(roots, slot, width, link) -> None:
    behind_switch(roots, slot=slot, width=width)
    (card,) = vendor(roots).discover()
    assert (card.link_generation, card.link_width) == link


def test_an_apu_is_on_no_link(roots) -> None:
    apu(roots, current_link_width="16", max_link_speed="16.0 GT/s PCIe")
    (device,) = vendor(roots).discover()
    assert (device.kind, device.link_generation, device.link_width) == ("integrated", None, None)


@pytest.mark.parametrize(("version", "driver"), [("6.10.5", "amdgpu 6.10.5"), ("", "amdgpu of Linux 6.12.9")])
def test_a_driver_without_a_version_is_that_of_the_kernel(roots, version, driver) -> None:
    xtx(roots)
    roots.write("proc/sys/kernel/osrelease", "6.12.9\n")
    if version:
        roots.write("sys/module/amdgpu/version", f"{version}\n")
    made = Amd(sysfs=roots.sys, dev=roots.dev, share=roots.share, proc=roots.root / "proc")
    assert [device.driver for device in made.discover()] == [driver]
