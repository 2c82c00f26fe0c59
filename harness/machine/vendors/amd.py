"""AMD's GPUs and APUs, as the amdgpu and KFD kernel drivers show them. No part of ROCm is needed on the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.machine.vendors import pci
from harness.machine.vendors.amd_probe import amdgpu_probe
from harness.machine.vendors.engines import cdi_request, dropped_requests
from harness.machine.vendors.links import possible_link
from harness.machine.vendors.names import amdgpu_name, pci_name
from harness.machine.vendors.nodes import groups_for
from harness.machine.vendors.numbering import device_names
from harness.machine.vendors.power_cap import hwmon_range, set_hwmon
from harness.machine.vendors.probing import FieldProbe
from harness.machine.vendors.refusals import refuse, unusable, wrong_backend
from harness.values.backend import Backend
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.facts import Device, EngineFacts, PowerRange
from harness.values.failure import Failure, Reason

SYSFS, DEV, SHARE, PROC = Path("/sys"), Path("/dev"), Path("/usr/share"), Path("/proc")
VENDOR_ID = 0x1002
DRIVER = "amdgpu"

APU_TARGETS = frozenset(
    {
        *("gfx902", "gfx909", "gfx90c"),  # Vega in Ryzen 2000 to 5000
        *("gfx1013", "gfx1033", "gfx1035", "gfx1036", "gfx1037"),  # RDNA 1 and 2
        *("gfx1103", "gfx1150", "gfx1151", "gfx1152", "gfx1153"),  # RDNA 3 and 3.5
    }
)
"""Code targets of GPUs that exist within a processor only, and share the host's memory."""

RADV_CHIPS: dict[str, tuple[str, ...]] = {
    "gfx900": ("VEGA10",),
    "gfx902": ("RAVEN",),
    "gfx906": ("VEGA20",),
    "gfx909": ("RAVEN2",),
    "gfx90c": ("RENOIR",),
    "gfx1010": ("NAVI10",),
    "gfx1011": ("NAVI12",),
    "gfx1012": ("NAVI14",),
    "gfx1030": ("NAVI21",),
    "gfx1031": ("NAVI22",),
    "gfx1032": ("NAVI23",),
    "gfx1033": ("VANGOGH",),
    "gfx1034": ("NAVI24",),
    "gfx1035": ("REMBRANDT",),
    "gfx1036": ("RAPHAEL_MENDOCINO",),
    "gfx1100": ("NAVI31",),
    "gfx1101": ("NAVI32",),
    "gfx1102": ("NAVI33",),
    "gfx1103": ("PHOENIX", "PHOENIX2", "HAWK_POINT1", "HAWK_POINT2"),
    "gfx1200": ("NAVI44",),
    "gfx1201": ("NAVI48",),
}
"""How Mesa's RADV calls the chip of a code target (`ac_get_family_name`), where not by the target itself."""

_RADV = r"\(RADV (GFX[0-9A-F]{3,4}|" + "|".join(chip for chips in RADV_CHIPS.values() for chip in chips) + r")\b"
"""A chip in the name of a device; one that is not known here is not found, and so says nothing."""

_APU_METRICS = (2, 3)
"""Revisions of the `gpu_metrics` format that amdgpu uses for APUs; cards have revision 1."""


def gfx_target(version: int) -> str | None:
    """The code target of KFD's `gfx_target_version`: `gfx1100` of 110000, `gfx90a` of 90010; None of 0 (a CPU)."""
    major, minor, stepping = version // 10000, version // 100 % 100, version % 100
    return f"gfx{major}{minor:x}{stepping:x}" if version > 0 else None


_POWER_LIMITS = ("power1_cap",)
"""Of hwmon, in microwatts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amd:
    """Vendor of AMD's GPUs.

    Args:
        sysfs: root of sysfs.
        dev: root of the device nodes; nodes are named by their path under it.
        share: where name lists lie.
        proc: root of procfs, for the kernel's release; left out where sysfs is not the real one.
        prefer_cdi: ask by CDI where the engine lists the device. Nodes are the default: every engine takes them, and
            they name the card by itself and not by a number in a file.
        simulated: mark what is found as simulated; always done where a root is not the real one.
    """

    sysfs: Path = SYSFS
    dev: Path = DEV
    share: Path = SHARE
    proc: Path = PROC
    prefer_cdi: bool = False
    simulated: bool = False

    @property
    def name(self) -> str:
        """The vendor's name."""
        return "amd"

    def discover(self) -> tuple[Device, ...]:
        """Every GPU of AMD, in the order of PCI addresses."""
        targets = self._targets()
        found = pci.cards(self.sysfs, vendor_id=VENDOR_ID, base_classes=(pci.DISPLAY, pci.ACCELERATOR))
        return tuple(self._device(index, card, targets) for index, card in enumerate(found))

    def _targets(self) -> dict[str, str]:
        """The code target by render node, from KFD's topology; empty where KFD is not loaded."""
        targets = {}
        for node in pci.entries(self.sysfs / "class/kfd/kfd/topology/nodes"):
            lines = (pci.read_text(node / "properties") or "").splitlines()
            properties = dict(line.split(None, 1) for line in lines if len(line.split()) > 1)
            version = properties.get("gfx_target_version", "0")
            minor = properties.get("drm_render_minor", "0")
            target = gfx_target(int(version)) if version.isdigit() else None
            if target and minor != "0":
                targets[f"renderD{minor}"] = target
        return targets

    def _device(self, index: int, card: pci.PciCard, targets: dict[str, str]) -> Device:
        node = self.dev / "dri" / card.render_node if card.render_node else None
        problem = ""
        if card.driver != DRIVER:
            problem = "the amdgpu driver is not loaded for it"
            problem += f" (it is bound to {card.driver})" if card.driver else ""
        elif node is None or not node.exists():
            problem = f"it has no render node in {self.dev / 'dri'}"
        kfd = self.dev / "kfd"
        nodes = () if problem else tuple(str(path) for path in (kfd, node) if path and path.exists())
        target = targets.get(card.render_node or "")
        integrated = _is_apu(card, target)
        serial = pci.read_text(card.path / "unique_id")
        vram = pci.read_int(card.path / "mem_info_vram_total")
        proc = self.proc if self.sysfs == SYSFS or self.proc != PROC else None
        generation, width = (None, None) if integrated else possible_link(card.path, vendor_id=VENDOR_ID)
        return Device(
            vendor=self.name,
            kind="integrated" if integrated else "gpu",
            name=self._name(card),
            index=index,
            pci=card.address,
            # What an APU calls its VRAM is a part of the host's memory that the firmware set aside.
            memory_bytes=None if integrated else vram,
            shared_memory_bytes=(pci.read_int(card.path / "mem_info_gtt_total") or 0) + (vram or 0) or None
            if integrated
            else None,
            driver=pci.driver_version(card.driver, sysfs=self.sysfs, proc=proc),
            uuid=f"GPU-{serial.lower()}" if serial else None,
            render_node=str(node) if node and not problem else None,
            nodes=nodes,
            architecture=target,
            link_generation=generation,
            link_width=width,
            power_limit_w=pci.power_limit_w(card, "power1_cap"),
            problem=problem,
            simulated=self.simulated or self.sysfs != SYSFS or self.dev != DEV,
        )

    def _name(self, card: pci.PciCard) -> str:
        if product := pci.read_text(card.path / "product_name"):
            return product
        if listed := amdgpu_name(self.share, device_id=card.device_id, revision=card.revision):
            return listed
        title = pci_name(self.share, vendor_id=VENDOR_ID, device_id=card.device_id)
        return f"AMD {title}" if title else f"AMD GPU ({VENDOR_ID:04x}:{card.device_id:04x})"

    def passthrough(self, devices: Sequence[Device], *, backend: Backend, engine: EngineFacts) -> Passthrough | Failure:
        """The cards' render nodes, for ROCm `/dev/kfd` too, and the numeric groups that open them."""
        compute = backend.name == "rocm"
        kfd = self.dev / "kfd"
        nodes = [str(kfd)] if compute else []
        for device in devices:
            if self.name not in backend.vendors:
                return wrong_backend(device, backend, served_by="the ROCm or Vulkan backend")
            if device.problem or device.render_node is None:
                return unusable(device, remedy="load the kernel driver (`modprobe amdgpu`) and check `ls -l /dev/dri`")
            nodes.append(device.render_node)
        if compute and not kfd.exists():
            return refuse(
                Reason.NO_DEVICE,
                f"{kfd} does not exist, and ROCm computes through it",
                "load the amdgpu driver with KFD support (`modprobe amdgpu`; virtual machines and WSL 2 have none),"
                " or use the Vulkan backend",
            )
        groups = groups_for(nodes, engine=engine)
        if isinstance(groups, Failure):
            return groups
        listed = [f"amd.com/gpu={device.index}" for device in devices]
        by_cdi = self.prefer_cdi and set(listed) <= set(engine.cdi_devices) and dropped_requests(engine) is None
        names = device_names(devices, backend=backend)
        # One card is one render node: HIP_VISIBLE_DEVICES and the like would only renumber what is alone already.
        return Passthrough(
            device_requests=(cdi_request(*listed),) if by_cdi else (),
            device_nodes=() if by_cdi else tuple(nodes),
            groups=groups,
            expected=tuple(_expected(d, name, compute=compute) for d, name in zip(devices, names, strict=True)),
        )

    def telemetry(self, device: Device) -> FieldProbe:
        """A probe by the card's folder in sysfs."""
        return amdgpu_probe(device, sysfs=self.sysfs)

    def power_range(self, device: Device) -> PowerRange | str:
        """By the driver's hwmon files."""
        return hwmon_range(device, sysfs=self.sysfs, names=_POWER_LIMITS)

    def set_power_limit(self, device: Device, watts: float) -> str:
        """By the driver's hwmon files."""
        return set_hwmon(device, watts, sysfs=self.sysfs, names=_POWER_LIMITS)


def _is_apu(card: pci.PciCard, target: str | None) -> bool:
    if target is not None:
        return target in APU_TARGETS
    if card.driver != DRIVER or card.suspended:  # only cards go to sleep, and reading would wake them
        return False
    try:
        with (card.path / "gpu_metrics").open("rb") as stream:
            header = stream.read(4)
    except OSError:
        return False
    # u16 size, u8 format revision, u8 content revision
    return len(header) == 4 and header[2] in _APU_METRICS  # noqa: PLR2004 - the header's size


def _expected(device: Device, name: str, *, compute: bool) -> ExpectedDevice:
    """The architecture as ROCm and Mesa print it, since neither agrees with itself upon names.

    ROCm calls one and the same card "Radeon 8060S Graphics", "AMD Radeon 8060S Graphics" or "AMD Radeon Graphics", by
    its version. Mesa's names end with the chip: "(RADV NAVI31)", for chips of later years "(RADV GFX1201)".
    """
    target = device.architecture
    marks = () if target is None else (target,) if compute else (target.upper(), *RADV_CHIPS.get(target, ()))
    return ExpectedDevice(
        name=name,
        names=(device.name,),
        maker="" if compute else "AMD",
        marks=marks,
        mark_pattern=r"\b(gfx[0-9a-f]{3,4})\b" if compute else _RADV,
        pci=device.pci,
        memory_bytes=device.memory_bytes,
    )
