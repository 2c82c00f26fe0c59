"""What is known about the machine, read from /proc, /sys and /etc. One small tolerant probe a fact: missing is None."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping

from harness.machine.host_state import read_host_state
from harness.machine.roots import MachineRoots, read_text
from harness.values.backend import BACKENDS
from harness.values.facts import Device, MachineFacts

_OF_LIBRARIES = "|".join(name for backend in BACKENDS.values() for name in backend.result_variables)
RESULT_VARIABLES = re.compile(rf"^(?:GGML_\w+|LLAMA_\w+|OMP_\w+|{_OF_LIBRARIES})$")
"""Environment variables that change results. Only these are ever recorded; the rest may hold secrets."""

SECRET_VARIABLES = re.compile(r"TOKEN|KEY|SECRET|PASS|AUTH|CREDENTIAL|URL|HF_|RPC")
"""What is left out even so: `LLAMA_API_KEY`, `LLAMA_ARG_HF_TOKEN` and their like."""

HYPERVISORS = {
    "qemu": "kvm",
    "kvm": "kvm",
    "vmware": "vmware",
    "innotek": "virtualbox",
    "xen": "xen",
    "microsoft": "hyperv",
}
"""Hypervisor by a word in the DMI vendor or product name."""


def _cpuinfo(roots: MachineRoots) -> list[dict[str, str]]:
    blocks = (read_text(roots.proc / "cpuinfo") or "").split("\n\n")
    return [
        {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}
        for block in blocks
        if block.strip()
    ]


def cpu_model(roots: MachineRoots | None = None) -> str:
    """The processor's name as the kernel gives it; the architecture where it gives none (some Arm kernels)."""
    for block in _cpuinfo(roots or MachineRoots()):
        for key in ("model name", "Model", "cpu model", "Processor"):
            if block.get(key):
                return re.sub(r"\s+", " ", block[key])
    return platform.machine()


def logical_cores() -> int:
    """Logical cores that this process may use."""
    return len(os.sched_getaffinity(0))


def physical_cores(roots: MachineRoots | None = None, *, usable: frozenset[int] | None = None) -> int:
    """Physical cores among the CPUs that this process may use.

    Args:
        usable: logical CPU numbers; None asks the scheduler.
    """
    usable = usable if usable is not None else frozenset(os.sched_getaffinity(0))
    cores = set()
    for block in _cpuinfo(roots or MachineRoots()):
        number = block.get("processor", "")
        if number.isdigit() and int(number) in usable and "core id" in block:
            cores.add((block.get("physical id", "0"), block["core id"]))
    return len(cores) or len(usable)


def _meminfo(roots: MachineRoots, key: str) -> int:
    match = re.search(rf"^{key}:\s+(\d+) kB", read_text(roots.proc / "meminfo") or "", re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def memory_available_bytes(roots: MachineRoots | None = None) -> int:
    """Memory that can be had without swapping, as the kernel estimates it."""
    return _meminfo(roots or MachineRoots(), "MemAvailable")


def memory_used_bytes(roots: MachineRoots | None = None) -> int | None:
    """Memory that cannot be had without swapping: what chips that share the host's memory use is in it."""
    roots = roots or MachineRoots()
    total, available = _meminfo(roots, "MemTotal"), _meminfo(roots, "MemAvailable")
    return total - available if total and available else None


def _os_name(roots: MachineRoots) -> str:
    match = re.search(r'^PRETTY_NAME="?([^"\n]+)', read_text(roots.etc / "os-release") or "", re.MULTILINE)
    return match[1] if match else platform.system()


def _virtualization(roots: MachineRoots) -> str | None:
    if "microsoft" in (read_text(roots.proc / "sys/kernel/osrelease") or "").lower():
        return "wsl2"
    vendor = (read_text(roots.sys / "class/dmi/id/sys_vendor") or "").lower()
    product = (read_text(roots.sys / "class/dmi/id/product_name") or "").lower()
    for mark, name in HYPERVISORS.items():
        if mark in vendor or mark in product:
            return name
    flags = _cpuinfo(roots)[0].get("flags", "") if _cpuinfo(roots) else ""
    if "hypervisor" in flags.split():
        return "unknown hypervisor"
    return "none" if flags else None


def memory_in_all(roots: MachineRoots | None = None) -> int:
    """The machine's memory, in bytes."""
    return _meminfo(roots or MachineRoots(), "MemTotal")


def cpu_flags(roots: MachineRoots | None = None) -> tuple[str, ...]:
    """What the processor can do, in the kernel's words, sorted."""
    blocks = _cpuinfo(roots or MachineRoots())
    return tuple(sorted(blocks[0].get("flags", blocks[0].get("Features", "")).split())) if blocks else ()


def _smt(roots: MachineRoots) -> bool | None:
    active = read_text(roots.sys / "devices/system/cpu/smt/active")
    return None if active is None else active == "1"


def _cgroup_version(roots: MachineRoots) -> int | None:
    base = roots.sys / "fs/cgroup"
    if (base / "cgroup.controllers").exists():
        return 2
    return 1 if (base / "memory").exists() or (base / "cpu").exists() else None


def recorded_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that change results, and no others; in their values no UUID of a card and no path of a home."""
    return {
        name: _anonymous(environment[name])
        for name in sorted(environment)
        if RESULT_VARIABLES.match(name) and not SECRET_VARIABLES.search(name)
    }


def _anonymous(value: str) -> str:
    value = re.sub(r"(?i)\b((?:gpu|mig)-)[0-9a-f][0-9a-f/-]{6,}", r"\1...", value)
    return re.sub(r"/(home|Users)/[^/:,;\s]+|/root(?=/|$)", "~", value)


def read_machine_facts(
    *,
    machine: str,
    devices: tuple[Device, ...],
    environment: Mapping[str, str],
    roots: MachineRoots | None = None,
) -> MachineFacts:
    """Read everything that is recorded about the machine once a session.

    Args:
        machine: the machine's name, from `harness.machine.identity`.
        devices: as discovered by the vendors.
        environment: of this process; only allow-listed variables are kept.
    """
    roots = roots or MachineRoots()
    blocks = _cpuinfo(roots)
    nodes = list((roots.sys / "devices/system/node").glob("node[0-9]*"))
    return MachineFacts(
        machine=machine,
        os=_os_name(roots),
        kernel=read_text(roots.proc / "sys/kernel/osrelease") or platform.release(),
        cpu_model=cpu_model(roots),
        cpu_cores=physical_cores(roots),
        cpu_threads=logical_cores(),
        cpu_flags=cpu_flags(roots),
        memory_bytes=memory_in_all(roots),
        swap_bytes=_meminfo(roots, "SwapTotal"),
        governor=read_text(roots.sys / "devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        smt=_smt(roots),
        numa_nodes=len(nodes) or None,
        microcode=blocks[0].get("microcode") if blocks else None,
        virtualization=_virtualization(roots),
        cgroup_version=_cgroup_version(roots),
        devices=devices,
        environment=recorded_environment(environment),
        host=read_host_state(roots),
    )
