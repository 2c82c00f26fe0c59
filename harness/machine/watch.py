"""The devices of a machine under watch: one probe for each, kept open for a whole start of the harness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from harness.machine.host_probe import HostProbe
from harness.machine.roots import MachineRoots
from harness.machine.sampler import INTERVAL_S, Sampler, Watched
from harness.machine.vendors import VENDORS
from harness.machine.vendors.probing import blind
from harness.values.facts import Device
from harness.values.protocols import Probe, Vendor

HUNG = "its driver did not answer during an earlier run, and is not asked again"


class Watch:
    """Samples the devices that a run computes on, and less often the machine's other GPUs.

    The others show where a model went that did not go where it should.

    Args:
        devices: everything on the machine.
        vendors: who looks at them.
        interval_s: between two looks.
        roots: where the kernel shows the host.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        *,
        vendors: Mapping[str, Vendor] = VENDORS,
        interval_s: float = INTERVAL_S,
        roots: MachineRoots | None = None,
    ) -> None:
        self._gpus = tuple(d for d in devices if d.kind in {"gpu", "integrated"} and not d.problem)
        self._vendors = vendors
        self._interval_s = interval_s
        self._roots = roots or MachineRoots()
        self._probes: dict[Device, Probe] = {}

    @contextmanager
    def during(self, asked: Sequence[Device]) -> Iterator[Sampler]:
        """Look until the block is left. Never raises for what a device does.

        Args:
            asked: the devices that the run computes on.
        """
        others = [device for device in self._gpus if device not in asked]
        watched = [Watched(device=d, probe=self._probe(d), asked=True) for d in asked]
        watched += [Watched(device=d, probe=self._probe(d), asked=False) for d in others]
        sampler = Sampler(watched, HostProbe(self._roots), interval_s=self._interval_s, proc=self._roots.proc)
        try:
            yield sampler.start()
        finally:
            sampler.stop()
            if sampler.hangs:
                # The thread still uses them.
                self._probes = {entry.device: blind(HUNG) for entry in watched}

    def close(self) -> None:
        """Close all probes."""
        for probe in self._probes.values():
            probe.close()
        self._probes.clear()

    def _probe(self, device: Device) -> Probe:
        if device not in self._probes:
            self._probes[device] = self._vendors[device.vendor].telemetry(device)
        return self._probes[device]
