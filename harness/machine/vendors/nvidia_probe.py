"""What NVML tells of a card while it works. Every getter is tolerant: cards, drivers and virtual machines differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.machine.facts import memory_used_bytes
from harness.machine.roots import MachineRoots
from harness.machine.vendors.probing import FieldProbe, MissingError, blind
from harness.values.facts import Device
from harness.values.telemetry import DeviceProcess, Throttle, ThrottleKind

THROTTLE_BITS = {
    0x04: Throttle(kind=ThrottleKind.POWER, name="sw_power_cap"),
    0x08: Throttle(kind=ThrottleKind.HARDWARE, name="hw_slowdown"),
    0x20: Throttle(kind=ThrottleKind.THERMAL, name="sw_thermal_slowdown"),
    0x40: Throttle(kind=ThrottleKind.THERMAL, name="hw_thermal_slowdown"),
    0x80: Throttle(kind=ThrottleKind.POWER, name="hw_power_brake_slowdown"),
}
"""NVML's clocks event reasons that hold clocks down. Idle, application clocks, sync boost and display clocks do not."""

OF_THE_CARD = "NVML tells it of the whole card only, which other MIG instances share"
FROM_HOST = "NVML does not tell it of a chip that shares the host's memory: the host's memory in use"
UNITS_PER = 1000
"""NVML's milliwatts and millijoules."""

_MIG_BLIND = ("utilization_percent", "power_w", "energy_j", "pcie_generation", "pcie_width")
_SLOW = frozenset({"pcie_generation", "pcie_width", "processes"})


def nvml_probe(nvml: Any, device: Device, roots: MachineRoots | None = None) -> FieldProbe:
    """A probe of a card or a MIG instance.

    Args:
        nvml: the pynvml module, or what stands in for it.
        device: as it was discovered.
        roots: of the host whose memory a chip with unified memory uses.
    """
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return blind(f"NVML does not start: {error}")
    try:
        handle = card_handle(nvml, device)
        chip, instance = _chip(nvml, handle, device)
    except (nvml.NVMLError, AttributeError) as error:
        nvml.nvmlShutdown()
        return blind(f"NVML does not find the card again: {error}")
    asked = _Asked(nvml, handle, chip)
    getters: dict[str, Callable[[], Any]] = {
        "utilization_percent": asked.utilization,
        "memory_used_bytes": asked.memory,
        "power_w": asked.power,
        "energy_j": lambda: asked.number("nvmlDeviceGetTotalEnergyConsumption") / UNITS_PER,
        "temperature_c": lambda: asked.number("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU),
        "core_clock_mhz": lambda: asked.number("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM),
        "memory_clock_mhz": lambda: asked.number("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM),
        "throttle": asked.throttle,
        "pcie_generation": lambda: asked.number("nvmlDeviceGetCurrPcieLinkGeneration"),
        "pcie_width": lambda: asked.number("nvmlDeviceGetCurrPcieLinkWidth"),
        "processes": asked.processes,
    }
    missing = {}
    if instance:
        missing = dict.fromkeys(_MIG_BLIND, OF_THE_CARD)
        getters = {name: getter for name, getter in getters.items() if name not in missing}
    missing["gtt_used_bytes"] = "only amdgpu has it"
    missing |= dict.fromkeys(("hotspot_c", "memory_temperature_c"), "NVML has no such sensor in its public interface")
    probe = FieldProbe(getters, missing=missing, slow=_SLOW, close=nvml.nvmlShutdown)
    asked.probe, asked.unified, asked.roots = probe, device.kind == "integrated", roots or MachineRoots()
    return probe


def card_handle(nvml: Any, device: Device) -> Any:
    """NVML's handle of a device, by the surest name that it has."""
    if device.uuid:
        return nvml.nvmlDeviceGetHandleByUUID(device.uuid)
    if device.pci:
        return nvml.nvmlDeviceGetHandleByPciBusId(device.pci)
    return nvml.nvmlDeviceGetHandleByIndex(device.index)


def _chip(nvml: Any, handle: Any, device: Device) -> tuple[Any, bool]:
    """The handle of the card itself, and whether the device is only an instance of it."""
    if (device.uuid or "").startswith("MIG-"):
        return nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle), True
    return handle, False


class _Asked:
    """The getters that are more than one call."""

    def __init__(self, nvml: Any, handle: Any, chip: Any) -> None:
        self.nvml = nvml
        self.handle = handle
        self.chip = chip
        self.probe: FieldProbe | None = None
        self.unified = False
        self.roots = MachineRoots()
        self._instant = True

    def call(self, getter: str, handle: Any, *arguments: object) -> Any:
        """What NVML says, or why it says nothing."""
        nvml = self.nvml
        try:
            return getattr(nvml, getter)(handle, *arguments)
        except AttributeError:
            raise MissingError(f"this nvidia-ml-py has no {getter}", for_good=True) from None
        except nvml.NVMLError as error:
            lasting = {nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_FUNCTION_NOT_FOUND, nvml.NVML_ERROR_NO_PERMISSION}
            raise MissingError(f"NVML: {error}", for_good=error.value in lasting) from None

    def number(self, getter: str, *arguments: object) -> int:
        return int(self.call(getter, self.chip, *arguments))

    def utilization(self) -> int:
        return int(self.call("nvmlDeviceGetUtilizationRates", self.handle).gpu)

    def memory(self) -> int:
        try:
            info = self.call("nvmlDeviceGetMemoryInfo", self.handle)
        except MissingError:
            if not self.unified:
                raise
        else:
            if info.total or not self.unified:
                return int(info.used)
        used = memory_used_bytes(self.roots)
        if used is None:
            raise MissingError("NVML does not tell it, and neither does /proc/meminfo")
        if self.probe is not None:
            self.probe.substitute("memory_used_bytes", FROM_HOST)
        return used

    def power(self) -> float:
        """As it is now; the plain getter gives the mean of a second on many cards."""
        if self._instant:
            try:
                return self._instant_power()
            except MissingError:
                self._instant = False
                if self.probe is not None:
                    self.probe.substitute("power_w", "nvmlDeviceGetPowerUsage, on many cards the mean of a second")
        return self.number("nvmlDeviceGetPowerUsage") / UNITS_PER

    def _instant_power(self) -> float:
        field = getattr(self.nvml, "NVML_FI_DEV_POWER_INSTANT", None)
        if field is None:
            raise MissingError("this nvidia-ml-py does not know the field", for_good=True)
        found = self.call("nvmlDeviceGetFieldValues", self.chip, [field])[0]
        if found.nvmlReturn != 0 or not found.value.uiVal:
            raise MissingError(f"NVML: error {found.nvmlReturn}", for_good=True)
        return float(found.value.uiVal) / UNITS_PER

    def throttle(self) -> tuple[Throttle, ...]:
        try:
            bits = self.number("nvmlDeviceGetCurrentClocksEventReasons")
        except MissingError as error:
            if not error.for_good:
                raise
            bits = self.number("nvmlDeviceGetCurrentClocksThrottleReasons")  # drivers before 535
        return tuple(reason for bit, reason in THROTTLE_BITS.items() if bits & bit)

    def processes(self) -> tuple[DeviceProcess, ...]:
        found = self.call("nvmlDeviceGetComputeRunningProcesses", self.handle)
        return tuple(DeviceProcess(pid=p.pid, memory_bytes=p.usedGpuMemory) for p in found)
