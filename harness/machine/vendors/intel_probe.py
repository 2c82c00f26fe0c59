"""What the kernel drivers xe and i915 tell of an Intel GPU while it works, from sysfs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.machine.vendors import pci
from harness.machine.vendors.links import link_generation, link_width, slot_path
from harness.machine.vendors.probing import FieldProbe, MissingError
from harness.machine.vendors.sensors import Hwmon, integer
from harness.values.facts import Device
from harness.values.telemetry import Throttle, ThrottleKind

_KINDS = {
    "thermal": ThrottleKind.THERMAL,
    "prochot": ThrottleKind.THERMAL,
    "ratl": ThrottleKind.THERMAL,  # running average of the temperature
    "vr_thermalert": ThrottleKind.THERMAL,
    "soc_thermal": ThrottleKind.THERMAL,
    "mem_thermal": ThrottleKind.THERMAL,
    "soc_avg_thermal": ThrottleKind.THERMAL,
    "vr_thermal": ThrottleKind.THERMAL,
}
"""Reasons that are of heat; all others (`pl1`, `pl2`, `pl4`, `vr_tdc`, ...) are limits of power or current."""

NO_UTILIZATION = "the driver has no file for it, and its counters per process are not read"
FROM_ENERGY = "the driver has an energy counter only: its difference over a window is the mean power"
ASLEEP = "the card sleeps, and reading its sensors would wake it"
_SLOW = frozenset({"pcie_generation", "pcie_width"})


def intel_probe(device: Device, *, sysfs: Path) -> FieldProbe:
    """A probe of one GPU, found again by its PCI address.

    Of energy counters that of the card goes before that of the chip (`pkg`), which is all that some boards have.
    """
    path = sysfs / "bus/pci/devices" / (device.pci or "")
    xe = device.driver == "xe"
    sensors = Hwmon(path / "hwmon", "xe" if xe else "i915")
    gt = path / "tile0/gt0/freq0" if xe else _gt(path)
    clock = gt / ("act_freq" if xe else "rps_act_freq_mhz")
    slot = slot_path(path, vendor_id=pci.read_int(path / "vendor"))
    getters: dict[str, Callable[[], Any]] = {
        "energy_j": lambda: _energy(sensors) / 1e6,
        "temperature_c": lambda: sensors.labelled("temp", "pkg", "package") / 1000,
        "memory_temperature_c": lambda: sensors.labelled("temp", "vram") / 1000,
        "core_clock_mhz": lambda: integer(clock),
        "throttle": lambda: _throttle(gt / "throttle" if xe else gt, "reason_" if xe else "throttle_reason_"),
    }
    missing = {
        "utilization_percent": NO_UTILIZATION,
        "memory_used_bytes": NO_UTILIZATION,
        "power_w": FROM_ENERGY,
        "processes": "the driver lists them to their owners only",
    }
    if device.kind == "gpu":
        getters["pcie_generation"] = lambda: link_generation(slot)
        getters["pcie_width"] = lambda: link_width(slot)

    def asleep() -> str | None:
        return ASLEEP if pci.read_text(path / "power/runtime_status") == "suspended" else None

    return FieldProbe(getters, missing=missing, slow=_SLOW, asleep=asleep)


def _gt(path: Path) -> Path:
    cards = pci.entries(path / "drm", "card*")
    return (cards[0] if cards else path) / "gt/gt0"


def _energy(sensors: Hwmon) -> int:
    try:
        return sensors.labelled("energy", "card", "pkg")
    except MissingError:
        return sensors.first("energy1_input", "energy2_input")  # i915 gives it no label


def _throttle(folder: Path, prefix: str) -> tuple[Throttle, ...]:
    files = [file for file in pci.entries(folder, f"{prefix}*") if file.name != f"{prefix}status"]
    if not files:
        raise MissingError("the driver gives no reasons")
    found = []
    for file in files:
        name = file.name.removeprefix(prefix)
        if integer(file):
            found.append(Throttle(kind=_KINDS.get(name, ThrottleKind.POWER), name=name))
    return tuple(found)
