"""The state of the host: one small tolerant probe a fact. A probe that finds nothing costs its own fact only."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from harness.machine.roots import MachineRoots, read_text
from harness.machine.smbios import memory_modules
from harness.values.host import HostState

COMMAND_LINE_KEYS = frozenset(
    {
        *("mitigations", "spectre_v2", "spec_store_bypass_disable", "retbleed", "nopti", "pti", "l1tf", "mds", "srbds"),
        *("isolcpus", "nohz", "nohz_full", "rcu_nocbs", "irqaffinity", "maxcpus", "nr_cpus", "nosmt"),
        *("intel_pstate", "amd_pstate", "intel_idle.max_cstate", "processor.max_cstate", "idle"),
        *("cpufreq.default_governor", "cpufreq.off", "cpuidle.off", "preempt", "threadirqs", "skew_tick"),
        *("transparent_hugepage", "hugepages", "hugepagesz", "default_hugepagesz", "numa_balancing", "numa", "mem"),
        *("iommu", "intel_iommu", "amd_iommu", "iommu.passthrough", "iommu.strict", "pcie_aspm", "pci"),
        *("tsc", "clocksource", "hpet", "nowatchdog", "nmi_watchdog", "psi", "cgroup_no_v1", "swapaccount"),
    }
)
"""Words of the kernel's command line that are known to change speed. Others can name disks, hosts and secrets."""

_OF_A_DRIVER = re.compile(r"(?!.*(?:key|pass|token|secret|uuid|id$))[a-z0-9_-]+\.[A-Za-z0-9_]+", re.IGNORECASE)
_NUMBER = re.compile(r"-?[0-9]{1,10}|0x[0-9a-fA-F]{1,8}|[YyNn]")
"""A driver's option with a small number, such as `amdgpu.gttsize=65536`: it can change speed and names nobody."""

_VALUE = re.compile(r"[A-Za-z0-9_.,:+-]{0,64}")
_NOT_SHOWN = "the kernel does not show it"
_CPU0 = "devices/system/cpu/cpu0"


def command_line(text: str) -> tuple[str, ...]:
    """The words of a kernel command line that are on the list, in their order; those of init, after `--`, are not."""
    kept = []
    for word in text.split(" -- ", 1)[0].split():
        key, _, value = word.partition("=")
        known = key in COMMAND_LINE_KEYS and _VALUE.fullmatch(value)
        if known or (_OF_A_DRIVER.fullmatch(key) and _NUMBER.fullmatch(value)):
            kept.append(word)
    return tuple(kept)


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"\d{1,18}", text) else None


def _mhz(text: str | None) -> int | None:
    khz = _whole(text)
    return khz // 1000 if khz else None


def _chosen(text: str | None) -> str | None:
    """The word in brackets: `always [madvise] never`."""
    match = re.search(r"\[(\S+)\]", text or "")
    return match[1] if match else None


def _boost(roots: MachineRoots) -> bool | None:
    boost = read_text(roots.sys / "devices/system/cpu/cpufreq/boost")
    if boost is not None:
        return boost == "1"
    no_turbo = read_text(roots.sys / "devices/system/cpu/intel_pstate/no_turbo")
    return None if no_turbo is None else no_turbo == "0"


def _l3_cache(roots: MachineRoots) -> int | None:
    for index in sorted((roots.sys / _CPU0 / "cache").glob("index*")):
        size = read_text(index / "size") or ""
        if read_text(index / "level") == "3" and (match := re.fullmatch(r"(\d+)K", size)):
            return int(match[1]) * 1024
    return None


def _power_limit_w(roots: MachineRoots) -> float | None:
    limit = _whole(read_text(roots.sys / "class/powercap/intel-rapl:0/constraint_0_power_limit_uw"))
    return limit / 1e6 if limit else None


def _on_mains(roots: MachineRoots) -> bool | None:
    supplies = [
        read_text(path / "online")
        for path in sorted((roots.sys / "class/power_supply").glob("*"))
        if read_text(path / "type") == "Mains"
    ]
    return None if not supplies else "1" in supplies


def _board(roots: MachineRoots) -> str | None:
    dmi = roots.sys / "class/dmi/id"
    words = [read_text(dmi / "board_vendor"), read_text(dmi / "board_name")]
    return " ".join(word for word in words if word) or None


def _meminfo(roots: MachineRoots, key: str) -> int | None:
    match = re.search(rf"^{key}:\s+(\d+)", read_text(roots.proc / "meminfo") or "", re.MULTILINE)
    return int(match[1]) if match else None


def _mitigations(roots: MachineRoots) -> dict[str, str]:
    folder = roots.sys / "devices/system/cpu/vulnerabilities"
    return {path.name: text for path in sorted(folder.glob("*")) if (text := read_text(path))}


def _up_s(roots: MachineRoots) -> int | None:
    match = re.match(r"(\d+)", read_text(roots.proc / "uptime") or "")
    return int(match[1]) if match else None


def _numa_balancing(roots: MachineRoots) -> bool | None:
    value = read_text(roots.proc / "sys/kernel/numa_balancing")
    return None if value is None else value != "0"


def _probes(roots: MachineRoots) -> Mapping[str, Callable[[], object]]:
    sys, proc, dmi = roots.sys, roots.proc, roots.sys / "class/dmi/id"
    frequency = sys / _CPU0 / "cpufreq"

    def hugepage_bytes() -> int | None:
        size = _meminfo(roots, "Hugepagesize")
        return size * 1024 if size else None

    return {
        "kernel_build": lambda: read_text(proc / "sys/kernel/version"),
        "kernel_command_line": lambda: command_line(read_text(proc / "cmdline") or ""),
        "board": lambda: _board(roots),
        "firmware": lambda: read_text(dmi / "bios_version"),
        "firmware_date": lambda: read_text(dmi / "bios_date"),
        "scaling_driver": lambda: read_text(frequency / "scaling_driver"),
        "energy_preference": lambda: read_text(frequency / "energy_performance_preference"),
        "boost": lambda: _boost(roots),
        "cpu_min_mhz": lambda: _mhz(read_text(frequency / "scaling_min_freq")),
        "cpu_max_mhz": lambda: _mhz(read_text(frequency / "scaling_max_freq")),
        "l3_cache_bytes": lambda: _l3_cache(roots),
        "cpu_power_limit_w": lambda: _power_limit_w(roots),
        "platform_profile": lambda: read_text(sys / "firmware/acpi/platform_profile"),
        "on_mains": lambda: _on_mains(roots),
        "transparent_hugepages": lambda: _chosen(read_text(sys / "kernel/mm/transparent_hugepage/enabled")),
        "hugepages": lambda: _meminfo(roots, "HugePages_Total"),
        "hugepage_bytes": hugepage_bytes,
        "numa_balancing": lambda: _numa_balancing(roots),
        "clock_source": lambda: read_text(sys / "devices/system/clocksource/clocksource0/current_clocksource"),
        "aslr": lambda: _whole(read_text(proc / "sys/kernel/randomize_va_space")),
        "swappiness": lambda: _whole(read_text(proc / "sys/vm/swappiness")),
        "isolated_cpus": lambda: _isolated(roots),
        "mitigations": lambda: _mitigations(roots),
        "up_s": lambda: _up_s(roots),
    }


def _isolated(roots: MachineRoots) -> str | None:
    try:
        return (roots.sys / "devices/system/cpu/isolated").read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def read_host_state(roots: MachineRoots | None = None) -> HostState:
    """Read everything that can be read. Never raises."""
    roots = roots or MachineRoots()
    found: dict[str, object] = {}
    unknown: dict[str, str] = {}
    for name, probe in _probes(roots).items():
        try:
            value = probe()
        except (OSError, ValueError) as error:
            value, unknown[name] = None, f"reading it failed: {error}"
        if value is None:
            unknown.setdefault(name, _NOT_SHOWN)
        else:
            found[name] = value
    memory = memory_modules(roots)
    if isinstance(memory, str):
        unknown |= dict.fromkeys(("memory_type", "memory_mts", "memory_modules"), memory)
    else:
        found |= {"memory_type": memory.type, "memory_mts": memory.mts, "memory_modules": memory.count}
        if memory.type is None:
            unknown["memory_type"] = "the modules are of several types, or of one that is not known here"
        if memory.mts is None:
            unknown["memory_mts"] = "the firmware does not say"
    return HostState(**found, unknown=unknown)  # type: ignore[arg-type]  # each probe returns its field's type
