"""Setting how much power a card may draw: by NVML for NVIDIA's, by the driver's hwmon files for others.

Both need root on usual systems, and both forget what was set when the driver is loaded anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from harness.machine.vendors import pci
from harness.machine.vendors.nvidia_probe import card_handle
from harness.values.facts import Device, PowerRange

NEEDS_ROOT = "the driver lets root only set it: run the harness as root"
OF_THE_CARD = "the power limit is of the whole card, which other MIG instances share"
NOT_OFFERED = "its driver offers no power limit that can be set"
UNITS_PER = 1000
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


def nvml_range(nvml: Any, handle: Any) -> PowerRange | str:
    """The limits that NVML takes for a card, or why it takes none."""
    try:
        least, most = nvml.nvmlDeviceGetPowerManagementLimitConstraints(handle)
        now = nvml.nvmlDeviceGetPowerManagementLimit(handle)
    except (nvml.NVMLError, AttributeError) as error:
        return f"NVML does not tell the limits that it takes: {error}"
    return PowerRange(now_w=now / UNITS_PER, least_w=least / UNITS_PER, most_w=most / UNITS_PER)


def set_nvml(nvml: Any, handle: Any, watts: float) -> str:
    """Set it; why it could not be set, empty where it was."""
    try:
        nvml.nvmlDeviceSetPowerManagementLimit(handle, round(watts * UNITS_PER))
    except nvml.NVMLError as error:
        return NEEDS_ROOT if error.value == nvml.NVML_ERROR_NO_PERMISSION else f"NVML refuses it: {error}"
    return ""


T = TypeVar("T")


def with_card(load: Callable[[], Any], device: Device, ask: Callable[[Any, Any], T]) -> T | str:
    """Ask NVML something of a whole card, or say why it cannot be asked. Never raises.

    Args:
        load: gives the pynvml module.
        ask: is given the module and the card's handle.
    """
    if (device.uuid or "").startswith("MIG-"):
        return OF_THE_CARD
    try:
        nvml = load()
    except ImportError:
        return "the Python package nvidia-ml-py is not installed"
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return f"NVML does not start: {error}"
    try:
        return ask(nvml, card_handle(nvml, device))
    except nvml.NVMLError as error:
        return f"NVML does not find the card again: {error}"
    finally:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()
