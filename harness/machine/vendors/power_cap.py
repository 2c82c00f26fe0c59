"""Setting how much power a card may draw, by its driver's hwmon files.

It needs root on usual systems, and is forgotten when the driver is loaded anew.
"""

from __future__ import annotations

import os
from pathlib import Path

from harness.machine.vendors import pci
from harness.values.facts import Device, PowerRange

NEEDS_ROOT = "the driver lets root only set it: run the harness as root"
NOT_OFFERED = "its driver offers no power limit that can be set"
_MICRO = 1e6


def hwmon_range(device: Device, *, sysfs: Path, names: tuple[str, ...]) -> PowerRange | str:
    """The limits that the kernel driver of a card takes, or why it takes none.

    Args:
        names: of the file with the limit, such as `power1_cap`; the first that is there counts.
    """
    found = _limit_file(device, sysfs=sysfs, names=names)
    if found is None:
        return NOT_OFFERED
    now = pci.read_int(found)
    least = pci.read_int(found.with_name(f"{found.name}_min"))
    most = pci.read_int(found.with_name(f"{found.name}_max"))
    most = most or pci.read_int(found.with_name(found.name.replace("_max", "_rated_max")))
    if not now:
        return "its driver does not tell the limit in force"
    if not os.access(found, os.W_OK):
        return NEEDS_ROOT
    return PowerRange(now_w=now / _MICRO, least_w=(least or 0) / _MICRO, most_w=(most or now) / _MICRO)


def set_hwmon(device: Device, watts: float, *, sysfs: Path, names: tuple[str, ...]) -> str:
    """Set it; why it could not be set, empty where it was."""
    found = _limit_file(device, sysfs=sysfs, names=names)
    if found is None:
        return NOT_OFFERED
    try:
        found.write_text(f"{round(watts * _MICRO)}\n", encoding="ascii")
    except OSError as error:
        return NEEDS_ROOT if isinstance(error, PermissionError) else f"its driver refuses it: {error.strerror}"
    return ""


def _limit_file(device: Device, *, sysfs: Path, names: tuple[str, ...]) -> Path | None:
    sensors = pci.entries(sysfs / "bus/pci/devices" / (device.pci or "-") / "hwmon", "hwmon*")
    return next((sensor / name for sensor in sensors for name in names if (sensor / name).is_file()), None)
