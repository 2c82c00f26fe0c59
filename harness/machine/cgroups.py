"""The control group of a container on this host, of version 2 or 1, and what it counts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

MOST_DEPTH = 6
"""Folders below the root that are looked through: `user.slice/user-1000.slice/user@1000.service/...`."""

US = 1000


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _table(path: Path) -> dict[str, int]:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return {}
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}  # noqa: PLR2004 - a pair


def _cpus(path: Path) -> int | None:
    """How many CPUs a list such as `0-3,8` names."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    spans = [span.split("-") for span in text.split(",") if span]
    if not spans or not all(word.isdigit() for span in spans for word in span):
        return None
    return sum(int(span[-1]) - int(span[0]) + 1 for span in spans)


def _folder_of(root: Path, container_id: str) -> Path | None:
    """The folder with the container's id in its name: `docker/ID`, `docker-ID.scope`, `libpod-ID.scope`."""
    for known in (f"docker/{container_id}", f"system.slice/docker-{container_id}.scope"):
        if (root / known).is_dir():
            return root / known
    base = len(root.parts)
    for folder, below, _ in os.walk(root):
        for name in below:
            if container_id in name:
                return Path(folder, name)
        if len(Path(folder).parts) - base >= MOST_DEPTH:
            below.clear()
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerGroup:
    """Where the kernel counts for one container. With version 1 every controller lies apart.

    Attributes:
        memory, cpu, used, cpus: its folders of memory, cpu, cpuacct and cpuset; with version 2 all are one.
        unified: whether it is version 2.
    """

    memory: Path | None
    cpu: Path | None
    unified: bool
    used: Path | None = None
    cpus: Path | None = None

    @classmethod
    def find(cls, container_id: str, root: Path) -> Self | None:
        """The group of a container; None where the engine runs it on another machine, or hides it.

        Args:
            container_id: the engine's id.
            root: where control groups are mounted.
        """
        if not container_id:
            return None
        if (root / "cgroup.controllers").exists():
            folder = _folder_of(root, container_id)
            return cls(memory=folder, cpu=folder, unified=True, used=folder, cpus=folder) if folder else None
        memory, cpu, used, cpus = (
            _folder_of(root / name, container_id) for name in ("memory", "cpu", "cpuacct", "cpuset")
        )
        return cls(memory=memory, cpu=cpu, unified=False, used=used, cpus=cpus) if memory or cpu else None

    def processes(self) -> tuple[str, ...]:
        """The process ids in it, as the host counts them; none where the kernel does not show them."""
        folder = self.memory or self.cpu
        try:
            return tuple((folder / "cgroup.procs").read_text(encoding="ascii").split()) if folder else ()
        except (OSError, ValueError):
            return ()

    def read(self) -> dict[str, int]:
        """The counters by the field names of a `HostReading`; those that the kernel does not show are left out."""
        found: dict[str, int | None] = {}
        if self.memory:
            table = _table(self.memory / "memory.stat")
            found["container_memory_bytes"] = _number(
                self.memory / ("memory.current" if self.unified else "memory.usage_in_bytes")
            )
            found["container_anonymous_bytes"] = table.get("anon" if self.unified else "rss")
            found["container_major_faults"] = table.get("pgmajfault")
            refaults = [table[name] for name in _REFAULTS if name in table]
            found["container_refaults"] = sum(refaults) if refaults else None
        if self.cpu:
            table = _table(self.cpu / "cpu.stat")
            held = table.get("throttled_usec")
            found["container_throttled_ns"] = held * US if held is not None else table.get("throttled_time")
            if self.unified and "usage_usec" in table:
                found["container_cpu_ns"] = table["usage_usec"] * US
        if self.used and not self.unified:
            found["container_cpu_ns"] = _number(self.used / "cpuacct.usage")
        if self.cpus:
            name = "cpuset.cpus.effective" if self.unified else "cpuset.effective_cpus"
            found["container_cpus"] = _cpus(self.cpus / name)
        return {name: value for name, value in found.items() if value is not None}


_REFAULTS = ("workingset_refault", "workingset_refault_file", "workingset_refault_anon")
"""Before Linux 5.9 one counter, since then two."""
