from __future__ import annotations

from pathlib import Path

import pytest

from harness.machine.vendors.intel import Intel
from harness.measure.device_match import SeenDevice, compare
from harness.values.backend import BACKENDS
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.failure import Failure, Reason
from harness.values.record import Proof

VULKAN = BACKENDS["vulkan"]
PCI_IDS = "8086  Intel Corporation\n\te20b  Battlemage G21 [Arc B580]\n\ta780  Raptor Lake-S GT1 [UHD Graphics 770]\n"


def vendor(roots) -> Intel:
    return Intel(sysfs=roots.sys, dev=roots.dev, share=roots.share)


def arc(roots, **files) -> None:
    roots.card("0000:03:00.0", ids="8086:e20b", driver="xe", render="renderD129", files=files)


def test_integrated_and_discrete(roots) -> None:
    arc(roots, **{"hwmon/hwmon4/name": "xe", "hwmon/hwmon4/power1_max": "0", "hwmon/hwmon4/power2_max": "190000000"})
    roots.card("0000:00:02.0", ids="8086:a780", driver="i915", render="renderD128")
    roots.card("0000:00:0b.0", ids="8086:643e", device_class="0x120000", driver="intel_vpu")  # an NPU is no GPU
    roots.write("share/misc/pci.ids", PCI_IDS)
    first, second = str(roots.node("dri/renderD128")), str(roots.node("dri/renderD129"))
    integrated, card = vendor(roots).discover()
    assert (integrated.index, integrated.kind, integrated.name) == (0, "integrated", "Intel UHD Graphics 770")
    assert (integrated.driver, integrated.render_node, integrated.power_limit_w) == ("i915", first, None)
    assert (card.index, card.kind, card.name) == (1, "gpu", "Intel Arc B580")
    assert (card.driver, card.render_node, card.power_limit_w) == ("xe", second, 190.0)
    assert card.memory_bytes is None
    assert card.simulated


def test_passthrough(roots, engine) -> None:
    arc(roots)
    roots.write("share/misc/pci.ids", PCI_IDS)
    node = str(roots.node("dri/renderD129"))
    found = vendor(roots).passthrough(vendor(roots).discover(), backend=VULKAN, engine=engine())
    assert found == Passthrough(
        device_nodes=(node,),
        groups=(Path(node).stat().st_gid,),
        expected=(ExpectedDevice(name="Vulkan0", names=("Intel Arc B580",), maker="Intel", pci="0000:03:00.0"),),
    )


@pytest.mark.parametrize(("driver", "render"), [(None, None), ("vfio-pci", None), ("xe", "renderD128")])
def test_unusable(roots, engine, driver, render) -> None:
    roots.card("0000:03:00.0", ids="8086:e20b", driver=driver, render=render)
    (device,) = vendor(roots).discover()
    assert device.name == "Intel GPU (8086:e20b)"
    assert device.problem
    refusal = vendor(roots).passthrough((device,), backend=VULKAN, engine=engine())
    assert isinstance(refusal, Failure)
    assert refusal.reason is Reason.NO_DEVICE
    assert device.problem in refusal.detail


def test_other_backends_are_refused(roots, engine) -> None:
    arc(roots)
    refusal = vendor(roots).passthrough(vendor(roots).discover(), backend=BACKENDS["cuda"], engine=engine())
    assert isinstance(refusal, Failure)
    assert "Vulkan" in refusal.remedy


@pytest.mark.parametrize(
    ("printed", "proof"),
    [
        ("Intel(R) Arc(tm) B580 Graphics (BMG G21)", Proof.PROVEN),
        ("Intel(R) Graphics (BMG G21)", Proof.UNOBSERVABLE),
        ("AMD Radeon RX 7900 XTX (RADV NAVI31)", Proof.CONTRADICTED),
    ],
)
def test_what_vulkan_prints_of_it(roots, engine, printed, proof) -> None:
    arc(roots)
    roots.write("share/misc/pci.ids", PCI_IDS)
    roots.node("dri/renderD129")
    found = vendor(roots).passthrough(vendor(roots).discover(), backend=VULKAN, engine=engine())
    assert isinstance(found, Passthrough)
    assert compare(found.expected[0], SeenDevice(text=printed))[0] is proof


def test_driver_and_link(roots) -> None:
    arc(roots, max_link_speed="16.0 GT/s PCIe", current_link_width="8")
    roots.card("0000:00:02.0", ids="8086:a780", driver="i915", render="renderD128")
    roots.write("proc/sys/kernel/osrelease", "6.12.9\n")
    made = Intel(sysfs=roots.sys, dev=roots.dev, share=roots.share, proc=roots.root / "proc")
    integrated, card = made.discover()
    assert (card.driver, card.link_generation, card.link_width) == ("xe of Linux 6.12.9", 4, 8)
    assert (integrated.driver, integrated.link_generation, integrated.link_width) == (
        "i915 of Linux 6.12.9",
        None,
        None,
    )
