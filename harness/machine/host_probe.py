"""What the kernel tells of the host and of one container while a run goes on: CPU time, steal, swap, stalls, faults."""

from __future__ import annotations

import mmap
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.machine.cgroups import ContainerGroup
from harness.machine.roots import MachineRoots
from harness.values.telemetry import HOST_FIELDS, HostReading

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
US = 1000

NO_CONTAINER = "the container's control group is not found on this host"


def _read(path: Path) -> str | None:
    # Without buffers and decoders: ten times a second it is a fifth of a percent of a CPU or half of one.
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.read(file, 65536).decode("ascii", errors="replace")
    except OSError:
        return None
    finally:
        os.close(file)


def _number(text: str | None, name: str) -> int | None:
    """The number in the line of this name."""
    found = re.search(rf"^{name}:?\s+(\d+)", text or "", re.MULTILINE)
    return int(found[1]) if found else None


class HostProbe:
    """Looks at the host, and at a container once it is told of one.

    Args:
        roots: where the kernel shows itself.
        clock: monotonic, in ns.
        own_cpu_ns: CPU time of this process.
    """

    def __init__(
        self,
        roots: MachineRoots | None = None,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        own_cpu_ns: Callable[[], int] = time.process_time_ns,
    ) -> None:
        self._roots = roots or MachineRoots()
        self._clock = clock
        self._own_cpu_ns = own_cpu_ns
        self._group: ContainerGroup | None = None
        self._others: tuple[ContainerGroup, ...] = ()
        self._seen: set[str] = set()

    def watch(self, container_id: str) -> None:
        """Look at this container too from now on; where it is not found, `missing` says so."""
        self._group = ContainerGroup.find(container_id, self._roots.sys / "fs/cgroup")

    def beside(self, container_ids: Sequence[str]) -> None:
        """Containers that this program runs beside it: what they use is ours and no other program's."""
        root = self._roots.sys / "fs/cgroup"
        self._others = tuple(group for each in container_ids if (group := ContainerGroup.find(each, root)))

    @property
    def missing(self) -> Mapping[str, str]:
        """Why fields never had a value."""
        absent = [name for name in HOST_FIELDS if name not in self._seen]
        reasons = {
            "stall": "this kernel shows no pressure stall information",
            "container": NO_CONTAINER if self._group is None else "the control group does not tell",
        }
        return {name: reasons.get(name.partition("_")[0], "/proc does not tell") for name in absent}

    def read(self) -> HostReading:
        """One look. Never raises; what cannot be had is None."""
        at_ns = self._clock()
        found = {
            **self._cpu(),
            **self._memory(),
            **self._stalls(),
            "own_cpu_ns": self._own_cpu_ns() + sum(each.read().get("container_cpu_ns", 0) for each in self._others),
            **(self._container(self._group) if self._group else {}),
        }
        self._seen |= found.keys()
        return HostReading(at_ns=at_ns, **found)

    def _container(self, group: ContainerGroup) -> dict[str, int]:
        """Its counters, and what its processes hold. A peak is the sum of theirs: llama.cpp's programs are one."""
        found = group.read()
        states = [_read(self._roots.proc / pid / "status") for pid in group.processes()]
        for name, line in (("container_resident_bytes", "VmRSS"), ("container_peak_resident_bytes", "VmHWM")):
            told = [size for state in states if (size := _number(state, line)) is not None]
            if told:
                found[name] = sum(told) * 1024
        return found

    def _cpu(self) -> dict[str, int]:
        first = (_read(self._roots.proc / "stat") or "").partition("\n")[0].split()
        if len(first) < 9 or first[0] != "cpu" or not all(word.isdigit() for word in first[1:9]):  # noqa: PLR2004 - eight counters
            return {}
        user, nice, system, idle, iowait, irq, softirq, steal = (int(word) * TICK_NS for word in first[1:9])
        busy = user + nice + system + irq + softirq
        return {"cpu_busy_ns": busy, "cpu_steal_ns": steal, "cpu_total_ns": busy + idle + iowait + steal}

    def _memory(self) -> dict[str, int]:
        found = {}
        available = _number(_read(self._roots.proc / "meminfo"), "MemAvailable")
        if available is not None:
            found["memory_available_bytes"] = available * 1024
        events = _read(self._roots.proc / "vmstat")
        for name, event in (("swap_in_bytes", "pswpin"), ("swap_out_bytes", "pswpout")):
            pages = _number(events, event)
            if pages is not None:
                found[name] = pages * mmap.PAGESIZE
        return found

    def _stalls(self) -> dict[str, int]:
        found = {}
        for resource in ("cpu", "memory", "io"):
            text = _read(self._roots.proc / "pressure" / resource) or ""
            some = text.partition("\n")[0].rpartition("total=")[2]
            if text.startswith("some") and some.strip().isdigit():
                found[f"stall_{resource}_ns"] = int(some) * US
        return found
