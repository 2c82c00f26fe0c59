"""NVIDIA's GPUs by NVML: cards, MIG instances, and chips whose memory is the host's. The only home of pynvml."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.machine.vendors import pci
from harness.machine.vendors.engines import cdi_request, dropped_requests
from harness.machine.vendors.names import pci_name
from harness.machine.vendors.numbering import device_names
from harness.machine.vendors.nvidia_power import nvml_range, set_nvml, with_card
from harness.machine.vendors.nvidia_probe import nvml_probe
from harness.machine.vendors.probing import FieldProbe, blind
from harness.machine.vendors.refusals import refuse, unusable, wrong_backend
from harness.values.backend import Backend
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.engine_support import is_podman
from harness.values.facts import Device, EngineFacts, PowerRange
from harness.values.failure import Failure, Reason

SYSFS, DEV, SHARE = Path("/sys"), Path("/dev"), Path("/usr/share")
VENDOR_ID = 0x10DE
CDI_KIND = "nvidia.com/gpu"
UNNAMED = "NVIDIA GPU"

NOT_LOADED = "the NVIDIA driver is not loaded"
NO_LIBRARY = "the NVIDIA kernel driver is loaded, but its library libnvidia-ml.so.1 is not found"
MISMATCH = "the NVIDIA driver was updated, but the old kernel module is still loaded"
LOST = "the card has fallen off the bus"
NEEDS_RESET = "the card needs a reset"
UNLISTED = "NVML does not list the card"
NO_UUID = "NVML does not tell the UUID of the instance"
MIG_PARENT = "MIG is on, so only its instances compute"
NO_PACKAGE = "the Python package nvidia-ml-py is missing"

_REMEDIES = {
    NOT_LOADED: "install NVIDIA's driver, then `modprobe nvidia` or restart; `nvidia-smi` must work on the host",
    NO_LIBRARY: "install the driver's user-space part of the same version; `nvidia-smi` must work on the host",
    MISMATCH: "restart the machine, so that kernel module and library are of one version",
    LOST: "restart the machine; look for `Xid 79` in the kernel's log (power, heat, or the card's seat)",
    NEEDS_RESET: "`nvidia-smi --gpu-reset` while nothing uses the card, or restart the machine",
    MIG_PARENT: "name one of its instances, or make one with `nvidia-smi mig -cgi ... -C`",
    NO_PACKAGE: "install the packages of requirements.lock",
}

_UNIFIED = re.compile(r"\b(GB10|Orin|Thor|Xavier)\b")
"""Chips that share the host's memory; NVML refuses to tell their memory, or tells the host's."""


def _pynvml() -> Any:
    return importlib.import_module("pynvml")


def _ask(nvml: Any, getter: str, *arguments: object) -> Any:
    """What one getter says; None where this card, driver or pynvml does not have it."""
    try:
        return getattr(nvml, getter)(*arguments)
    except (nvml.NVMLError, AttributeError):
        return None


def _bus_address(bus_id: str) -> str:
    """`0000:01:00.0` of NVML's `00000000:01:00.0`."""
    domain, _, rest = bus_id.lower().partition(":")
    return f"{int(domain, 16):04x}:{rest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nvidia:
    """Vendor of NVIDIA's GPUs.

    Args:
        nvml: gives the pynvml module, or what stands in for it.
        sysfs: root of sysfs, where cards are seen that NVML cannot tell of.
        dev: root of the device nodes.
        share: where name lists lie.
        simulated: mark what is found as simulated; always done where another NVML or root is given.
    """

    nvml: Callable[[], Any] = _pynvml
    sysfs: Path = SYSFS
    dev: Path = DEV
    share: Path = SHARE
    simulated: bool = False

    @property
    def name(self) -> str:
        """The vendor's name."""
        return "nvidia"

    def discover(self) -> tuple[Device, ...]:
        """NVML's cards in NVML's order, then MIG instances, then cards that only the PCI bus shows."""
        devices, absent = self._ask_nvml()
        seen = {device.pci for device in devices}
        if None not in seen:
            devices += tuple(self._unseen(seen, why=absent))
        simulated = self.simulated or self.nvml is not _pynvml or (self.sysfs, self.dev) != (SYSFS, DEV)
        return tuple(replace(device, index=index, simulated=simulated) for index, device in enumerate(devices))

    def _ask_nvml(self) -> tuple[tuple[Device, ...], str]:
        """The devices that NVML tells of, and what to say of others."""
        try:
            nvml = self.nvml()
        except ImportError:
            return (), NO_PACKAGE
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            return (), _init_problem(nvml, error)
        try:
            return tuple(_devices(nvml)), UNLISTED
        except nvml.NVMLError as error:
            return (), f"NVML fails: {error}"
        finally:
            with suppress(nvml.NVMLError):
                nvml.nvmlShutdown()

    def _unseen(self, seen: set[str | None], *, why: str) -> Iterator[Device]:
        for card in pci.cards(self.sysfs, vendor_id=VENDOR_ID):
            if card.address in seen:
                continue
            problem = why
            if card.driver is None and why in {UNLISTED, NO_LIBRARY}:
                problem = NOT_LOADED
            elif card.driver not in {None, "nvidia"}:
                problem = f"{NOT_LOADED} (the card is bound to {card.driver})"
            title = pci_name(self.share, vendor_id=VENDOR_ID, device_id=card.device_id)
            yield Device(
                vendor=self.name,
                kind="gpu",
                name=f"NVIDIA {title}" if title else f"{UNNAMED} ({VENDOR_ID:04x}:{card.device_id:04x})",
                pci=card.address,
                problem=problem,
            )

    def passthrough(self, devices: Sequence[Device], *, backend: Backend, engine: EngineFacts) -> Passthrough | Failure:
        """One request for the cards by their UUIDs: by CDI where the engine lists them, else to NVIDIA's own driver."""
        within_wsl = (self.dev / "dxg").exists()
        if refused := self._refused(devices, backend=backend, within_wsl=within_wsl) or dropped_requests(engine):
            return refused
        by_cdi = _by_cdi(devices, engine=engine)
        if not by_cdi and self._is_tegra():
            return refuse(
                Reason.DEVICE_REQUEST,
                f"{devices[0].name} is a Jetson board, whose driver comes to containers by CDI only",
                "`sudo nvidia-ctk cdi generate --mode=csv --output=/etc/cdi/nvidia.yaml`, with Docker Engine 28.2 or"
                " newer, which lists it then",
            )
        names = device_names(devices, backend=backend)
        return Passthrough(
            device_requests=(by_cdi or _by_driver(devices, backend=backend, within_wsl=within_wsl),),
            environment=_environment(devices, backend=backend, within_wsl=within_wsl),
            expected=tuple(_expected(device, name) for device, name in zip(devices, names, strict=True)),
        )

    def _refused(self, devices: Sequence[Device], *, backend: Backend, within_wsl: bool) -> Failure | None:
        """What cannot work with any engine."""
        for device in devices:
            if self.name not in backend.vendors:
                return wrong_backend(device, backend, served_by="the CUDA or Vulkan backend")
            if device.problem:
                known = next((remedy for text, remedy in _REMEDIES.items() if device.problem.startswith(text)), "")
                reason = Reason.DEVICE_LOST if device.problem == LOST else Reason.NO_DEVICE
                return unusable(device, reason=reason, remedy=known or "`nvidia-smi` must list the card on the host")
        if len(devices) > 1 and any((device.uuid or "").startswith("MIG-") for device in devices):
            return refuse(
                Reason.NO_DEVICE,
                "CUDA computes on one MIG instance in a process, and several devices were asked for",
                "name one instance, or switch MIG off and name whole cards",
            )
        if backend.name == "vulkan" and within_wsl:
            return refuse(
                Reason.NO_DEVICE, "NVIDIA's driver has no Vulkan within WSL 2", "use the CUDA backend, or Linux itself"
            )
        return None

    def _is_tegra(self) -> bool:
        """Whether this is a Jetson or another board whose GPU is a part of the chip and not on the PCI bus."""
        return "nvidia,tegra" in (pci.read_text(self.sysfs / "firmware/devicetree/base/compatible") or "")

    def telemetry(self, device: Device) -> FieldProbe:
        """A probe by NVML, which keeps it open until it is closed."""
        try:
            return nvml_probe(self.nvml(), device)
        except ImportError:
            return blind(NO_PACKAGE)

    def power_range(self, device: Device) -> PowerRange | str:
        """By NVML; of a MIG instance never."""
        return with_card(self.nvml, device, nvml_range)

    def set_power_limit(self, device: Device, watts: float) -> str:
        """By NVML; of a MIG instance never."""
        return with_card(self.nvml, device, lambda nvml, handle: set_nvml(nvml, handle, watts))


def _init_problem(nvml: Any, error: Any) -> str:
    texts = {
        nvml.NVML_ERROR_LIBRARY_NOT_FOUND: NO_LIBRARY,
        nvml.NVML_ERROR_DRIVER_NOT_LOADED: NOT_LOADED,
        nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: MISMATCH,
    }
    return texts.get(error.value, f"NVML does not start: {error}")


def _devices(nvml: Any) -> Iterator[Device]:
    """Every card in NVML's order, so that indices are those of nvidia-smi; MIG instances after all cards."""
    driver = _ask(nvml, "nvmlSystemGetDriverVersion")
    instances: list[Device] = []
    for index in range(nvml.nvmlDeviceGetCount()):
        handle, problem = _reach(nvml, index)
        if handle is None:
            yield Device(vendor="nvidia", kind="gpu", name=UNNAMED, driver=driver, problem=problem)
            continue
        card = _card(nvml, handle, driver=driver)
        mode = _ask(nvml, "nvmlDeviceGetMigMode", handle)
        if mode and mode[0] == 1:
            instances += _instances(nvml, handle, card)
            card = replace(card, problem=MIG_PARENT)
        yield card
    yield from instances


def _reach(nvml: Any, index: int) -> tuple[Any, str]:
    """The handle of a card; None and why where the card does not answer."""
    problems = {nvml.NVML_ERROR_GPU_IS_LOST: LOST, nvml.NVML_ERROR_RESET_REQUIRED: NEEDS_RESET}
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError as error:
        return None, problems.get(error.value, f"NVML fails: {error}")
    try:
        nvml.nvmlDeviceGetName(handle)  # a lost card still has a handle
    except nvml.NVMLError as error:
        if error.value in problems:
            return None, problems[error.value]
    return handle, ""


def _card(nvml: Any, handle: Any, *, driver: str | None) -> Device:
    name = _ask(nvml, "nvmlDeviceGetName", handle) or UNNAMED
    bus = _ask(nvml, "nvmlDeviceGetPciInfo", handle)
    memory = _memory_bytes(nvml, handle)
    capability = _ask(nvml, "nvmlDeviceGetCudaComputeCapability", handle)
    limit = _ask(nvml, "nvmlDeviceGetEnforcedPowerLimit", handle)
    if limit is None:
        limit = _ask(nvml, "nvmlDeviceGetPowerManagementLimit", handle)
    unified = bool(_UNIFIED.search(name))
    return Device(
        vendor="nvidia",
        kind="integrated" if unified else "gpu",
        name=name,
        pci=_bus_address(bus.busId) if bus else None,
        memory_bytes=None if unified else memory,
        shared_memory_bytes=memory if unified else None,
        driver=driver,
        uuid=_ask(nvml, "nvmlDeviceGetUUID", handle),
        architecture=f"sm_{capability[0]}{capability[1]}" if capability else None,
        power_limit_w=limit / 1000 if limit else None,
        link_generation=None if unified else _ask(nvml, "nvmlDeviceGetMaxPcieLinkGeneration", handle),
        link_width=None if unified else _ask(nvml, "nvmlDeviceGetCurrPcieLinkWidth", handle),
    )


def _memory_bytes(nvml: Any, handle: Any) -> int | None:
    info = _ask(nvml, "nvmlDeviceGetMemoryInfo", handle)
    return int(info.total) if info and info.total else None


def _instances(nvml: Any, handle: Any, card: Device) -> Iterator[Device]:
    """The MIG instances of a card. Power belongs to the card as a whole, so theirs is None."""
    for slot in range(_ask(nvml, "nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
        instance = _ask(nvml, "nvmlDeviceGetMigDeviceHandleByIndex", handle, slot)
        if instance is None:  # slots need not be filled in order
            continue
        uuid = _ask(nvml, "nvmlDeviceGetUUID", instance)
        yield replace(
            card,
            name=_ask(nvml, "nvmlDeviceGetName", instance) or f"{card.name} MIG",
            memory_bytes=_memory_bytes(nvml, instance),
            uuid=uuid,
            problem="" if uuid else NO_UUID,
            power_limit_w=None,
        )


def _by_cdi(devices: Sequence[Device], *, engine: EngineFacts) -> dict[str, object] | None:
    """A request by CDI, where the engine knows all of the devices; None where it does not."""
    asked = []
    for device in devices:
        names = [f"{CDI_KIND}={device.uuid}"] if device.uuid else []
        if not (device.uuid or "").startswith("MIG-"):
            names.append(f"{CDI_KIND}={device.index}")
        listed = [name for name in names if name in engine.cdi_devices]
        # Podman does not list its devices, but refuses unknown ones aloud.
        if not listed and not is_podman(engine):
            return None
        asked.append((listed or names)[0])
    return dict(cdi_request(*asked))


def _by_driver(devices: Sequence[Device], *, backend: Backend, within_wsl: bool) -> dict[str, object]:
    """A request to the driver that the container toolkit adds to the engine."""
    capabilities = ["gpu", "compute", "utility"]
    if backend.name == "vulkan":  # else the driver's Vulkan libraries stay outside
        capabilities.insert(1, "graphics")
    # Docker before 29 picks no driver without the capability, whatever driver is named.
    request: dict[str, object] = {"Driver": "nvidia", "Capabilities": [capabilities]}
    if within_wsl:  # all GPUs are behind the one node /dev/dxg
        return request | {"Count": -1}
    return request | {"DeviceIDs": [device.uuid or str(device.index) for device in devices]}


def _environment(devices: Sequence[Device], *, backend: Backend, within_wsl: bool) -> dict[str, str]:
    environment = {}
    if backend.name == "vulkan":
        # Of the base images' own value the toolkit would leave the graphics libraries out.
        environment["NVIDIA_DRIVER_CAPABILITIES"] = "compute,graphics,utility"
    elif len(devices) > 1 or within_wsl:
        environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # its own order is the fastest first
    if within_wsl:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(str(index) for index in sorted(d.index for d in devices))
    return environment


def _expected(device: Device, name: str) -> ExpectedDevice:
    """NVML, CUDA and Vulkan agree upon names, but for the vendor in front; of an instance they tell the card too."""
    names = () if device.name == UNNAMED else (device.name, device.name.split(" MIG", 1)[0])
    capability = device.architecture.removeprefix("sm_") if device.architecture else ""
    return ExpectedDevice(
        name=name,
        names=tuple(dict.fromkeys(names)),
        exact=bool(names),
        marks=(f"{capability[:-1]}.{capability[-1]}",) if capability else (),
        mark_pattern=r"compute capability (\d+\.\d+)",
        pci=device.pci,
        memory_bytes=device.memory_bytes,
    )
