"""The state of the host that can make the same machine faster or slower from one day to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """Read once a session. What cannot be read is None or empty, with the reason in `unknown`.

    Attributes:
        kernel_build: the kernel's own build line, with its preemption model.
        kernel_command_line: the words of it that are known to change speed; no others, since they can name disks,
            hosts and secrets.
        board, firmware, firmware_date: mainboard and its BIOS. No serial numbers.
        scaling_driver, energy_preference: of the first CPU.
        boost: whether the CPU may go above its base clock.
        cpu_min_mhz, cpu_max_mhz: limits of the first CPU's clock, as the governor may choose.
        l3_cache_bytes: of the first CPU; a name such as `AMD EPYC` says little in a virtual machine.
        cpu_power_limit_w: long-term limit of the first package.
        platform_profile: such as `balanced` or `performance`.
        on_mains: False where it runs from a battery.
        transparent_hugepages: `always`, `madvise` or `never`.
        hugepages, hugepage_bytes: reserved ones, and the default size.
        numa_balancing: whether the kernel moves pages between nodes.
        memory_type, memory_mts, memory_modules: such as `DDR5`, transfers in millions a second, modules fitted.
        clock_source: what the kernel takes the time from.
        aslr: 0 to 2, as `randomize_va_space` has it. swappiness: likewise of that name.
        isolated_cpus: CPUs that the scheduler leaves alone; empty where there are none.
        mitigations: state of each CPU vulnerability that the kernel knows.
        up_s: seconds since the machine was started.
        unknown: why fields have no value, by their name.
    """

    kernel_build: str | None = None
    kernel_command_line: tuple[str, ...] = ()
    board: str | None = None
    firmware: str | None = None
    firmware_date: str | None = None
    scaling_driver: str | None = None
    energy_preference: str | None = None
    boost: bool | None = None
    cpu_min_mhz: int | None = None
    cpu_max_mhz: int | None = None
    l3_cache_bytes: int | None = None
    cpu_power_limit_w: float | None = None
    platform_profile: str | None = None
    on_mains: bool | None = None
    transparent_hugepages: str | None = None
    hugepages: int | None = None
    hugepage_bytes: int | None = None
    numa_balancing: bool | None = None
    memory_type: str | None = None
    memory_mts: int | None = None
    memory_modules: int | None = None
    clock_source: str | None = None
    aslr: int | None = None
    swappiness: int | None = None
    isolated_cpus: str | None = None
    mitigations: Mapping[str, str] = field(default_factory=dict)
    up_s: int | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)
