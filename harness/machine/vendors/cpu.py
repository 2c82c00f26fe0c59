"""The CPU, and Mesa's software device, which is the CPU behind Vulkan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.machine.facts import cpu_model
from harness.machine.roots import MachineRoots
from harness.machine.vendors.cpu_probe import cpu_probe
from harness.machine.vendors.probing import FieldProbe
from harness.machine.vendors.refusals import wrong_backend
from harness.values.backend import Backend
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.facts import Device, EngineFacts, PowerRange
from harness.values.failure import Failure

PROC, SYSFS = Path("/proc"), Path("/sys")

SOFTWARE_NAME = "llvmpipe"
"""How Mesa's software device calls itself, followed by versions that differ between images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """Vendor of what every machine has.

    Args:
        proc: root of procfs.
        sysfs: root of sysfs.
        simulated: mark what is found as simulated; always done where a root is not the real one.
    """

    proc: Path = PROC
    sysfs: Path = SYSFS
    simulated: bool = False

    @property
    def name(self) -> str:
        """The vendor's name."""
        return "cpu"

    def discover(self) -> tuple[Device, ...]:
        """The CPU as one device, then the software device that images with Mesa have."""
        simulated = self.simulated or (self.proc, self.sysfs) != (PROC, SYSFS)
        return (
            Device(
                vendor=self.name, kind="cpu", name=cpu_model(MachineRoots(proc=self.proc)), index=0, simulated=simulated
            ),
            Device(vendor=self.name, kind="software", name=SOFTWARE_NAME, index=1, simulated=simulated),
        )

    def passthrough(
        self,
        devices: Sequence[Device],
        *,
        backend: Backend,
        engine: EngineFacts,  # noqa: ARG002 - the protocol's signature; a CPU asks nothing of the engine
    ) -> Passthrough | Failure:
        """Nothing but names: a container always has the CPU, and the software device lies in the image."""
        device = devices[0]
        if device.kind == "cpu":
            if backend.is_gpu:
                return wrong_backend(device, backend, served_by="the CPU backend")
            return Passthrough()
        if backend.name != "vulkan":
            return wrong_backend(device, backend, served_by="the Vulkan backend")
        # llama.cpp leaves devices of type CPU out unless it is told the index, which is 0 as no other is passed.
        return Passthrough(
            environment={"GGML_VK_VISIBLE_DEVICES": "0"},
            expected=(ExpectedDevice(name=f"{backend.device_prefix}0", maker=SOFTWARE_NAME, software=True),),
        )

    def telemetry(self, device: Device) -> FieldProbe:  # noqa: ARG002 - the protocol's signature; there is one CPU
        """A probe of the processor, which is what computes behind the software device too."""
        return cpu_probe(self.sysfs)

    def power_range(self, device: Device) -> PowerRange | str:  # noqa: ARG002 - the protocol's signature
        """Never: limits of packages are the firmware's business, and few machines let them be set."""
        return "the power limit of a processor is not set from here"

    def set_power_limit(self, device: Device, watts: float) -> str:  # noqa: ARG002 - the protocol's signature
        """Never."""
        return "the power limit of a processor is not set from here"
