"""What the kernel tells of the processor while it works: energy (RAPL), temperature, clocks, thermal throttling.

How busy it is, and its memory, are the host's: they are in the host's columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.machine.vendors import pci
from harness.machine.vendors.probing import FieldProbe, MissingError
from harness.machine.vendors.sensors import Hwmon, integer, required
from harness.values.telemetry import OF_THE_HOST, Throttle, ThrottleKind

CLOSED = (
    "energy_uj may be read by root only: `sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj` opens it until "
    "the next start (other users can then learn of your work from its power)"
)
NO_RAPL = "the kernel shows no energy counter of the processor (none in most virtual machines)"
SENSORS = (("coretemp", ("Package id 0",)), ("k10temp", ("Tdie", "Tctl")), ("zenpower", ("Tdie", "Tctl")))
"""Drivers of processors' temperatures, with the label of the whole chip."""

MOST_POLICIES = 8
"""So many cores' clocks are read at most, spread evenly: asking wakes a core on some kernels."""

_SLOW = frozenset({"core_clock_mhz"})


def cpu_probe(sysfs: Path) -> FieldProbe:
    """A probe of the processors of this machine, all sockets together."""
    rapl = _Rapl(pci.entries(sysfs / "class/powercap", "intel-rapl:*"))
    throttled = _Throttled(sysfs / "devices/system/cpu")
    getters: dict[str, Callable[[], Any]] = {
        "energy_j": rapl.energy,
        "temperature_c": lambda: _temperature(sysfs / "class/hwmon"),
        "core_clock_mhz": lambda: _clock(sysfs / "devices/system/cpu/cpufreq"),
        "throttle": throttled.reasons,
    }
    host = OF_THE_HOST
    missing = {"utilization_percent": host, "memory_used_bytes": host, "processes": host}
    missing["power_w"] = "the energy counter's difference over a window is the mean power"
    return FieldProbe(getters, missing=missing, slow=_SLOW)


class _Rapl:
    """The energy of all packages since the first look, over the counters' wraparounds."""

    def __init__(self, zones: list[Path]) -> None:
        # `package-0` and so on: their parts (core, dram) are in them, and `psys` holds more than the processor.
        self._zones = [zone for zone in zones if (pci.read_text(zone / "name") or "").startswith("package")]
        self._last: dict[Path, int] = {}
        self._sum_uj = 0

    def energy(self) -> float:
        if not self._zones:
            raise MissingError(NO_RAPL, for_good=True)
        try:
            now = {zone: integer(zone / "energy_uj") for zone in self._zones}
        except MissingError as error:
            closed = "may not be read" in error.reason
            raise MissingError(CLOSED if closed else error.reason, for_good=error.for_good) from None
        for zone, value in now.items():
            before = self._last.get(zone, value)
            if value < before:
                before -= (pci.read_int(zone / "max_energy_range_uj") or before) + 1
            self._sum_uj += value - before
        self._last = now
        return self._sum_uj / 1e6


class _Throttled:
    """Thermal throttling, from the counters of the packages: active where one grew since the last look."""

    def __init__(self, cpus: Path) -> None:
        self._files = _one_a_package(pci.entries(cpus, "cpu[0-9]*/thermal_throttle/package_throttle_count"))
        self._last: dict[Path, int] = {}

    def reasons(self) -> tuple[Throttle, ...]:
        if not self._files:
            raise MissingError("the kernel counts no thermal throttling here", for_good=True)
        now = {file: integer(file) for file in self._files}
        # Each with itself: the packages' counters began at the start of the machine, and one may be far ahead.
        grew = any(count > self._last.get(file, count) for file, count in now.items())
        self._last = now
        return (Throttle(kind=ThrottleKind.THERMAL, name="package_throttle"),) if grew else ()


def _one_a_package(files: list[Path]) -> list[Path]:
    """The counter of one CPU of each package: every CPU of a package shows the package's.

    Some, spread evenly, where the kernel does not tell which CPUs are of one package.
    """
    chosen: list[Path] = []
    known: set[int] = set()
    for file in files:
        cpu = file.parents[1]
        if int(cpu.name.removeprefix("cpu")) in known:
            continue
        # The second is the name before Linux 5.3.
        names = ("package_cpus_list", "core_siblings_list")
        text = next(filter(None, (pci.read_text(cpu / "topology" / name) for name in names)), None)
        if text is None:
            return _spread(files)
        chosen.append(file)
        for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
            known.update(range(int(first), int(last or first) + 1))
    return chosen


def _spread(files: list[Path]) -> list[Path]:
    """At most `MOST_POLICIES` of them."""
    return files[:: max(1, -(-len(files) // MOST_POLICIES))]


def _temperature(folder: Path) -> float:
    for name, labels in SENSORS:
        try:
            return Hwmon(folder, name).labelled("temp", *labels) / 1000
        except MissingError:
            continue
    raise MissingError("no driver shows the processor's temperature", for_good=True)


def _clock(folder: Path) -> float:
    policies = pci.entries(folder, "policy*")
    if not policies:
        raise MissingError("the kernel shows no clocks (none in most virtual machines)", for_good=True)
    some = _spread(policies)
    return sum(int(required(policy / "scaling_cur_freq")) for policy in some) / len(some) / 1000
