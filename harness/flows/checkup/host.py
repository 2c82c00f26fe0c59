"""The machine: what is known to make numbers worse on it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event

from harness.errors import MachineError
from harness.flows.tables import size
from harness.machine.facts import cpu_model, memory_available_bytes, physical_cores, read_machine_facts
from harness.machine.gate import LIMIT, one_minute_load, wait_until_quiet
from harness.machine.locks import lock_folder, measuring_lock
from harness.values.facts import Device, MachineFacts
from harness.values.finding import Finding, green, yellow

CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
SLOW_CLOCKS = frozenset({"hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit"})
"""Clock sources that the kernel falls back to; reading one takes a microsecond, or has that resolution."""
STEAL_LIMIT = 0.01


def check_host(devices: tuple[Device, ...], environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """What does not change from one moment to the next."""
    facts = read_machine_facts(machine="", devices=devices, environment=environment)
    available = memory_available_bytes()
    memory = f"{size(facts.memory_bytes)} memory, {size(available)} available"
    yield green("machine", f"{cpu_model()}, {physical_cores()} cores, {memory}, {facts.os}")
    yield _virtualization(facts)
    yield _clock(CLOCK_SOURCE)
    yield _governor(facts)
    yield _swap(facts)
    yield _cgroup(facts)
    yield from _environment(facts)


def check_moment(environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """What others do on the machine now, over two seconds."""
    gate = wait_until_quiet(cancel=Event(), max_wait_s=0)
    if gate.foreign_cpu is None:
        yield yellow("load", "/proc does not show the CPU time of others")
    else:
        average = one_minute_load()
        load = "unknown" if average is None else f"{average:.2f}"
        text = f"other programs use {100 * gate.foreign_cpu:.1f} % of the CPU time (load {load})"
        todo = f"Stop them: runs wait until they use less than {100 * LIMIT:.0f} %."
        yield green("load", text) if gate.passed else yellow("load", text, todo=todo)
    if gate.steal is not None:
        text = f"the hypervisor gave {100 * gate.steal:.1f} % of the CPU time to others"
        todo = "Numbers will scatter; use a machine of its own, or many rounds."
        yield yellow("steal", text, todo=todo) if gate.steal > STEAL_LIMIT else green("steal", text)
    yield _lock(environment)


def is_measuring(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether another harness measures now, so that nothing may be started beside it."""
    return bool(_lock(environment).todo)


def _lock(environment: Mapping[str, str]) -> Finding:
    try:
        with measuring_lock(lock_folder(environment)):
            return green("lock", "no other harness is measuring")
    except MachineError as error:
        return yellow("lock", error.what, todo=error.remedy)


def _virtualization(facts: MachineFacts) -> Finding:
    if facts.virtualization in {None, "none"}:
        known = (
            "the machine is no virtual one"
            if facts.virtualization
            else "it is not known whether this is a virtual machine"
        )
        return green("virtualization", known)
    todo = (
        "The numbers are of this virtual machine: other guests can disturb them, and clocks and power may not be seen."
    )
    return yellow("virtualization", f"a virtual machine ({facts.virtualization})", todo=todo)


def _clock(path: Path) -> Finding:
    try:
        source = path.read_text(encoding="utf-8").strip()
    except OSError:
        return yellow("clock", "the kernel does not tell its clock source")
    if source in SLOW_CLOCKS:
        todo = "It is slow or coarse: find out from the kernel's log why the processor's own counter is not used."
        return yellow("clock", f"the clock source is {source}", todo=todo)
    return green("clock", f"the clock source is {source}")


def _governor(facts: MachineFacts) -> Finding:
    if facts.governor is None:
        return green("governor", "the kernel shows no scaling governor: the frequency is not its to choose")
    text = f"the CPU's scaling governor is {facts.governor}"
    if facts.governor == "performance":
        return green("governor", text)
    return yellow("governor", text, todo="For steadier CPU numbers: sudo cpupower frequency-set -g performance")


def _swap(facts: MachineFacts) -> Finding:
    if not facts.swap_bytes:
        return green("swap", "no swap")
    todo = "Containers may not swap; a model that does not fit is told as out of memory. Others may: sudo swapoff -a"
    return yellow("swap", f"{size(facts.swap_bytes)} of swap", todo=todo)


def _cgroup(facts: MachineFacts) -> Finding:
    if facts.cgroup_version is None:
        todo = "Mount /sys/fs/cgroup: without it nothing limits the memory of a container."
        return yellow("cgroup", "no cgroups are mounted", todo=todo)
    if facts.cgroup_version == 1:
        todo = "It works; version 2 tells more about memory and throttling (systemd.unified_cgroup_hierarchy=1)."
        return yellow("cgroup", "cgroup version 1", todo=todo)
    return green("cgroup", "cgroup version 2")


def _environment(facts: MachineFacts) -> Iterator[Finding]:
    if facts.environment:
        names = ", ".join(facts.environment)
        todo = "They are recorded and reach no container; unset them if they were meant to change results."
        yield yellow("environment", f"variables that change llama.cpp's results are set: {names}", todo=todo)
