"""A machine with made-up cards: vendors that find them, stubs that see them, and telemetry that follows the stubs.

with FakeMachine([CARDS["rtx4090"]], folder) as machine:
    vendors = machine.vendors()
    script = machine.script("cuda")
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from harness.machine.vendors.amd import Amd
from harness.machine.vendors.cpu import Cpu
from harness.machine.vendors.intel import Intel
from harness.machine.vendors.nvidia import Nvidia
from harness.values.protocols import Vendor
from tests.rig.cards import EFFICIENCY, Card
from tests.rig.following import THERMAL, Doing, Follower
from tests.rig.nvml import FakeNvml
from tests.rig.script import Fault, Script, StubDevice
from tests.rig.sysfs import FakeSysfs
from tests.slow.engines.trees import cdi_specification

HOST_FAULTS = {
    "memory-stays": "the memory of the cards does not grow, whatever runs",
    "never-busy": "the cards are never busy",
    "throttles": "a thermal limit holds the clocks down while they work",
    "foreign-process": "another program computes on the cards",
    "other-card": "what is done on a card is seen on the next one",
}
"""Kinds of faults of the cards, with what they look like from the host."""

LOAD_S = 0.5
"""Of a stub: long enough for the cards to follow before the first test, on a machine that has other things to do."""

_FOREIGN_PID, _FOREIGN_BYTES = 1, 1024**3


class FakeMachine:
    """The cards, until the block is left.

    Args:
        cards: all of the machine, in the order of their places.
        folder: where sysfs, device nodes and libraries are made.
        speed: how many times as fast as their data sheets the cards are, so that tests need not wait.
        driver: version of NVIDIA's driver.
        kfd: whether AMD's compute driver is there.
        faults: of `HOST_FAULTS`.
    """

    def __init__(
        self,
        cards: Sequence[Card],
        folder: Path,
        *,
        speed: float = 1.0,
        driver: str = "580.95.05",
        kfd: bool = True,
        faults: Sequence[str] = (),
    ) -> None:
        if unknown := set(faults) - set(HOST_FAULTS):
            raise ValueError(f"{', '.join(sorted(unknown))}: not among {', '.join(HOST_FAULTS)}")
        self.cards, self.speed, self._faults = tuple(cards), speed, frozenset(faults)
        folder.mkdir(parents=True, exist_ok=True)
        self._of_nvml = [n for n, card in enumerate(self.cards) if card.vendor == "nvidia"]
        self._of_sysfs = [n for n, card in enumerate(self.cards) if card.vendor != "nvidia"]
        self._nvml = FakeNvml([self.cards[n] for n in self._of_nvml], folder, driver=driver) if self._of_nvml else None
        self.sysfs = FakeSysfs([self.cards[n] for n in self._of_sysfs], folder / "host", kfd=kfd)
        # Of two rigs at once each follows its own stubs only.
        self._name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:3]
        self._follower = Follower(self._show, len(self.cards), rig=self._name, change=self._change)

    def __enter__(self) -> Self:
        self._follower.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._follower.__exit__(*error)

    def vendors(self) -> dict[str, Vendor]:
        """Who finds the cards; each marks them simulated by itself."""
        roots = {"sysfs": self.sysfs.sys, "dev": self.sysfs.dev}
        found: dict[str, Vendor] = {}
        if self._nvml:
            found["nvidia"] = Nvidia(nvml=self._nvml.module, **roots)
        return found | {"amd": Amd(**roots), "intel": Intel(**roots), "cpu": Cpu()}

    def cdi(self) -> dict[str, str]:
        """CDI specifications of the cards by file name, with /dev/null behind each."""
        uuids = [self.cards[n].uuid for n in self._of_nvml]
        return {"nvidia.json": cdi_specification("nvidia.com/gpu", *uuids)} if uuids else {}

    def script(self, backend: str, *, faults: Sequence[Fault] = (), build_number: int = 11312) -> Script:
        """A stub that sees those of the cards that its container was given."""
        shown = [(n, card) for n, card in enumerate(self.cards) if backend in card.shown]
        first = shown[0][1] if shown else None
        efficiency = EFFICIENCY.get(backend, 0.0)
        return Script(
            backend=backend,
            build_number=build_number,
            devices=tuple(self._device(n, card, backend) for n, card in shown),
            bytes_per_s=first.bytes_per_s * efficiency * self.speed if first else 50e9,
            flops=first.flops * efficiency / 2 * self.speed if first else 1e12,
            faults=tuple(faults),
            load_s=LOAD_S,
            rig=self._name,
        )

    def _device(self, number: int, card: Card, backend: str) -> StubDevice:
        if card.vendor == "nvidia":
            nodes: tuple[str, ...] = (f"/dev/fake-gpu-{card.uuid}",)
        else:
            nodes = self.sysfs.nodes(self._of_sysfs.index(number), backend)
        shown = card.shown[backend]
        return StubDevice(nodes=nodes, name=shown.name, banner=shown.banner, pci=card.pci, mib=shown.mib, card=number)

    def _show(self, doing: Sequence[Doing], seconds: float) -> None:
        if self._nvml:
            self._nvml.show([doing[n] for n in self._of_nvml], seconds)
        self.sysfs.show([doing[n] for n in self._of_sysfs], seconds)

    def _change(self, doing: list[Doing]) -> None:
        if "other-card" in self._faults:
            doing.insert(0, doing.pop())
        for does in doing:
            if "memory-stays" in self._faults:
                does.held = {}
            if "never-busy" in self._faults:
                does.percent = 0
            if "throttles" in self._faults and does.percent:
                does.reasons |= THERMAL
            if "foreign-process" in self._faults:
                does.held[_FOREIGN_PID] = _FOREIGN_BYTES
