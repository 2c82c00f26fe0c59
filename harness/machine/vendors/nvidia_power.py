"""Setting how much power a card may draw, by NVML. It needs root, and is forgotten when the driver is loaded anew."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from harness.machine.vendors.nvidia_probe import UNITS_PER, card_handle
from harness.machine.vendors.power_cap import NEEDS_ROOT
from harness.values.facts import Device, PowerRange

OF_THE_CARD = "the power limit is of the whole card, which other MIG instances share"

T = TypeVar("T")


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
