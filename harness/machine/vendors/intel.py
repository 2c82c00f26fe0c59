"""Intel's GPUs, integrated and Arc, as the kernel drivers i915 and xe show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.machine.vendors import pci
from harness.machine.vendors.intel_probe import intel_probe
from harness.machine.vendors.links import possible_link
from harness.machine.vendors.names import pci_name
from harness.machine.vendors.nodes import groups_for
from harness.machine.vendors.numbering import device_names
from harness.machine.vendors.power_cap import hwmon_range, set_hwmon
from harness.machine.vendors.probing import FieldProbe
from harness.machine.vendors.refusals import unusable, wrong_backend
from harness.values.backend import Backend
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.facts import Device, EngineFacts, PowerRange
from harness.values.failure import Failure

SYSFS, DEV, SHARE, PROC = Path("/sys"), Path("/dev"), Path("/usr/share"), Path("/proc")
VENDOR_ID = 0x8086
DRIVERS = ("i915", "xe")

INTEGRATED_SLOT = "0000:00:02."
"""Where every integrated GPU of Intel sits; a card never does."""


_POWER_LIMITS = ("power1_max", "power2_max")
"""Of hwmon, in microwatts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intel:
    """Vendor of Intel's GPUs.

    Args:
        sysfs: root of sysfs.
        dev: root of the device nodes; nodes are named by their path under it.
        share: where name lists lie.
        proc: root of procfs, for the kernel's release; left out where sysfs is not the real one.
        simulated: mark what is found as simulated; always done where a root is not the real one.
    """

    sysfs: Path = SYSFS
    dev: Path = DEV
    share: Path = SHARE
    proc: Path = PROC
    simulated: bool = False

    @property
    def name(self) -> str:
        """The vendor's name."""
        return "intel"

    def discover(self) -> tuple[Device, ...]:
        """Every display controller of Intel, in the order of PCI addresses."""
        found = pci.cards(self.sysfs, vendor_id=VENDOR_ID)
        return tuple(self._device(index, card) for index, card in enumerate(found))

    def _device(self, index: int, card: pci.PciCard) -> Device:
        node = self.dev / "dri" / card.render_node if card.render_node else None
        problem = ""
        if card.driver not in DRIVERS:
            problem = "neither the i915 nor the xe driver is loaded for it"
            problem += f" (it is bound to {card.driver})" if card.driver else ""
        elif node is None or not node.exists():
            problem = f"it has no render node in {self.dev / 'dri'}"
        title = pci_name(self.share, vendor_id=VENDOR_ID, device_id=card.device_id)
        proc = self.proc if self.sysfs == SYSFS or self.proc != PROC else None
        integrated = card.address.startswith(INTEGRATED_SLOT)
        generation, width = (None, None) if integrated else possible_link(card.path, vendor_id=VENDOR_ID)
        return Device(
            vendor=self.name,
            kind="integrated" if integrated else "gpu",
            name=f"Intel {title}" if title else f"Intel GPU ({VENDOR_ID:04x}:{card.device_id:04x})",
            index=index,
            pci=card.address,
            driver=pci.driver_version(card.driver, sysfs=self.sysfs, proc=proc),
            render_node=str(node) if node and not problem else None,
            nodes=(str(node),) if node and not problem else (),
            link_generation=generation,
            link_width=width,
            power_limit_w=pci.power_limit_w(card, "power1_max", "power2_max"),
            problem=problem,
            simulated=self.simulated or self.sysfs != SYSFS or self.dev != DEV,
        )

    def passthrough(self, devices: Sequence[Device], *, backend: Backend, engine: EngineFacts) -> Passthrough | Failure:
        """The cards' render nodes and, where not everybody may open them, their numeric groups."""
        nodes = []
        for device in devices:
            if self.name not in backend.vendors:
                return wrong_backend(device, backend, served_by="the Vulkan backend")
            if device.problem or device.render_node is None:
                return unusable(
                    device,
                    remedy="load the kernel driver (`modprobe xe` or `modprobe i915`) and check `ls -l /dev/dri`",
                )
            nodes.append(device.render_node)
        groups = groups_for(nodes, engine=engine)
        if isinstance(groups, Failure):
            return groups
        names = device_names(devices, backend=backend)
        return Passthrough(
            device_nodes=tuple(nodes),
            groups=groups,
            expected=tuple(_expected(device, name) for device, name in zip(devices, names, strict=True)),
        )

    def telemetry(self, device: Device) -> FieldProbe:
        """A probe by the GPU's folder in sysfs."""
        return intel_probe(device, sysfs=self.sysfs)

    def power_range(self, device: Device) -> PowerRange | str:
        """By the driver's hwmon files."""
        return hwmon_range(device, sysfs=self.sysfs, names=_POWER_LIMITS)

    def set_power_limit(self, device: Device, watts: float) -> str:
        """By the driver's hwmon files."""
        return set_hwmon(device, watts, sysfs=self.sysfs, names=_POWER_LIMITS)


def _expected(device: Device, name: str) -> ExpectedDevice:
    # Mesa's names all hold the vendor: "Intel(R) Arc(tm) B580 Graphics (BMG G21)". The rest need not be as in pci.ids.
    return ExpectedDevice(
        name=name, names=(device.name,), maker="Intel", pci=device.pci, memory_bytes=device.memory_bytes
    )
