"""What amdgpu and KFD tell of a card or an APU while it works, from sysfs: no ioctl, no ROCm, readable by everybody."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.machine.vendors import pci
from harness.machine.vendors.links import link_generation, link_width, slot_path
from harness.machine.vendors.probing import FieldProbe, MissingError
from harness.machine.vendors.sensors import Hwmon, integer, required
from harness.values.facts import Device
from harness.values.telemetry import DeviceProcess, Throttle, ThrottleKind

HWMON = "amdgpu"
_SLOW = frozenset({"pcie_generation", "pcie_width", "processes"})

METRICS_1_3 = struct.Struct("<HBB 10H Q Q 14H I 3H H 2I 4H Q 3H H Q")
"""`gpu_metrics` format 1, content 3 (kernel: kgd_pp_interface.h), which Navi, MI100 and MI200 have. Others are not
read: in them the fields lie elsewhere."""
_REVISION_1_3 = (1, 3)
_ENERGY, _THROTTLE = 13, -1
ABSENT_U64 = 0xFFFF_FFFF_FFFF_FFFF
"""How firmware says that it does not have a value."""

ENERGY_UNIT_J = 15.259e-6
ENERGY_TARGETS = frozenset({"gfx90a"})
"""Code targets whose energy accumulator has this unit; that of others is not documented."""

POWER_NAMES = ("ppt0", "ppt1", "ppt2", "ppt3", "spl", "fppt", "sppt", "sppt_apu")
CURRENT_NAMES = ("tdc_gfx", "tdc_soc", "tdc_mem", "tdc_vdd", "tdc_cvip", "edc_cpu", "edc_gfx", "apcc")
THERMAL_NAMES = (
    *("temp_gpu", "temp_core", "temp_mem", "temp_edge", "temp_hotspot", "temp_soc", "temp_vr_gfx", "temp_vr_soc"),
    *("temp_vr_mem0", "temp_vr_mem1", "temp_liquid0", "temp_liquid1", "vrhot0", "vrhot1", "prochot_cpu", "prochot_gfx"),
)
THROTTLE_BITS = {
    **{bit: Throttle(kind=ThrottleKind.POWER, name=name) for bit, name in enumerate(POWER_NAMES)},
    **{16 + bit: Throttle(kind=ThrottleKind.POWER, name=name) for bit, name in enumerate(CURRENT_NAMES)},
    **{32 + bit: Throttle(kind=ThrottleKind.THERMAL, name=name) for bit, name in enumerate(THERMAL_NAMES)},
    56: Throttle(kind=ThrottleKind.HARDWARE, name="ppm"),
    57: Throttle(kind=ThrottleKind.HARDWARE, name="fit"),
}
"""Bits of `indep_throttle_status` (kernel: amdgpu_smu.h). Limits of power and of current are one class."""

ASLEEP = "the card sleeps, and reading its sensors would wake it"


def amdgpu_probe(device: Device, *, sysfs: Path) -> FieldProbe:
    """A probe of one card or APU, found again by its PCI address."""
    path = sysfs / "bus/pci/devices" / (device.pci or "")
    sensors = Hwmon(path / "hwmon", HWMON)
    metrics = _Metrics(path / "gpu_metrics")
    gpu_id = _gpu_id(sysfs, device)
    slot = slot_path(path, vendor_id=pci.read_int(path / "vendor"))
    getters: dict[str, Callable[[], Any]] = {
        "utilization_percent": lambda: integer(path / "gpu_busy_percent"),
        "memory_used_bytes": lambda: integer(path / "mem_info_vram_used"),
        "gtt_used_bytes": lambda: integer(path / "mem_info_gtt_used"),
        "power_w": lambda: sensors.first("power1_average", "power1_input") / 1e6,
        "temperature_c": lambda: sensors.labelled("temp", "edge") / 1000,
        "hotspot_c": lambda: sensors.labelled("temp", "junction") / 1000,
        "memory_temperature_c": lambda: sensors.labelled("temp", "mem") / 1000,
        "core_clock_mhz": lambda: _clock(sensors, path, "sclk"),
        "memory_clock_mhz": lambda: _clock(sensors, path, "mclk"),
        "throttle": metrics.throttle,
        "pcie_generation": lambda: link_generation(slot),
        "pcie_width": lambda: link_width(slot),
    }
    missing = {"energy_j": "amdgpu has no energy counter for it: integrated from power"}
    if device.architecture in ENERGY_TARGETS:
        getters["energy_j"] = metrics.energy
        missing = {}
    if gpu_id is None:
        missing["processes"] = "KFD does not show the card"
    else:
        getters["processes"] = lambda: _processes(sysfs / "class/kfd/kfd/proc", gpu_id)

    def asleep() -> str | None:
        return ASLEEP if pci.read_text(path / "power/runtime_status") == "suspended" else None

    probe = FieldProbe(getters, missing=missing, slow=_SLOW, asleep=asleep)
    if gpu_id is not None:
        probe.substitute("processes", "those that compute through KFD (ROCm); those that use Vulkan are not listed")
    return probe


class _Metrics:
    """The binary table `gpu_metrics`, of which only one layout is read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _fields(self) -> tuple[Any, ...]:
        try:
            with self._path.open("rb") as stream:
                data = stream.read(METRICS_1_3.size)
        except OSError as error:
            raise MissingError(f"gpu_metrics: {error.strerror}") from None
        if len(data) < METRICS_1_3.size or tuple(data[2:4]) != _REVISION_1_3:
            found = f"{data[2]}.{data[3]}" if len(data) > 3 else "empty"  # noqa: PLR2004 - the header's size
            raise MissingError(f"gpu_metrics is {found}, only 1.3 is read", for_good=True)
        return METRICS_1_3.unpack(data)

    def throttle(self) -> tuple[Throttle, ...]:
        bits = self._fields()[_THROTTLE]
        if bits == ABSENT_U64:
            raise MissingError("gpu_metrics: the firmware does not tell")
        return tuple(reason for bit, reason in THROTTLE_BITS.items() if bits >> bit & 1)

    def energy(self) -> float:
        units = self._fields()[_ENERGY]
        if units == ABSENT_U64:
            raise MissingError("gpu_metrics: the firmware does not tell")
        return float(units * ENERGY_UNIT_J)


def _clock(sensors: Hwmon, path: Path, label: str) -> float:
    try:
        return sensors.labelled("freq", label) / 1e6
    except MissingError:
        table = required(path / f"pp_dpm_{label}")
    active = re.search(r":\s*(\d+)\s*Mhz \*", table, re.IGNORECASE)
    if active is None:
        raise MissingError(f"pp_dpm_{label} marks no clock as active")
    return float(active[1])


def _gpu_id(sysfs: Path, device: Device) -> str | None:
    """KFD's own number of the card, by its render node."""
    minor = (device.render_node or "").rpartition("renderD")[2]
    for node in pci.entries(sysfs / "class/kfd/kfd/topology/nodes"):
        properties = pci.read_text(node / "properties") or ""
        if minor and re.search(rf"^drm_render_minor {minor}$", properties, re.MULTILINE):
            return pci.read_text(node / "gpu_id")
    return None


def _processes(folder: Path, gpu_id: str) -> tuple[DeviceProcess, ...]:
    """Processes that hold memory of this card by KFD."""
    if not folder.is_dir():
        raise MissingError("KFD lists no processes")
    found = []
    for process in pci.entries(folder):
        held = pci.read_int(process / f"vram_{gpu_id}")
        if held and process.name.isdigit():
            found.append(DeviceProcess(pid=int(process.name), memory_bytes=held))
    return tuple(found)
