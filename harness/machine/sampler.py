"""A thread that looks at devices and host while a run goes on. Whatever goes wrong in it costs the run nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from harness.machine.host_probe import HostProbe
from harness.values.facts import Device
from harness.values.protocols import Probe
from harness.values.sampled import Sampled, SampledDevice
from harness.values.telemetry import DeviceReading, HostReading

INTERVAL_S = 0.1
"""Between two looks. Drivers renew utilisation every 0.1 to 1 s and power every 0.02 to 0.1 s."""

WATCH_EVERY = 10
"""Devices that the cells do not compute on are looked at once in so many looks."""

KEPT_NS = 20_000_000_000
"""How much is kept before it is told of the container: a busy engine says late that it started one."""

MOST_LOOKS = 200_000
"""More than five hours at ten a second; looks beyond are left out, and the telemetry says so."""

_STOP_WAIT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A device with its probe; `asked` where the cells of the run compute on it."""

    device: Device
    probe: Probe
    asked: bool = True


class Sampler:
    """Looks every `interval_s` from `start` to `stop`, and once at both ends.

    Args:
        watched: the devices; their probes are used by this thread only, and closed by whoever made them.
        host: looks at the host.
        interval_s: between two looks.
        proc: root of procfs, where processes tell whose they are.
    """

    def __init__(
        self,
        watched: Sequence[Watched],
        host: HostProbe,
        *,
        interval_s: float = INTERVAL_S,
        proc: Path = Path("/proc"),
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._watched = tuple(watched)
        self._host = host
        self._interval_s = interval_s
        self._clock = clock
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._owners = _Owners(proc)
        self._container = ""
        self._container_ns: int | None = None
        self._beside: tuple[str, ...] = ()
        self._devices: tuple[list[DeviceReading], ...] = tuple([] for _ in self._watched)
        self._host_readings: list[HostReading] = []
        self._problem = ""
        self._cpu_ns: int | None = None
        self._elapsed_ns = 0
        self._ended: Sampled | None = None
        self.hangs = False
        """After `stop`: a driver did not answer, so the probes are still in use by the thread."""

    def start(self) -> Self:
        """Begin to look: before the gate, so that the device was seen idle when the container starts. Never raises."""
        try:
            self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
            self._thread.start()
        except RuntimeError as error:  # no thread to be had
            self._thread = None
            self._problem = f"telemetry could not start: {error}"
        return self

    def latest(self) -> tuple[tuple[Device, DeviceReading], ...]:
        """The last look at each device that the run is to compute on; for the gate, from any thread."""
        pairs = zip(self._watched, self._devices, strict=True)
        return tuple((watched.device, seen[-1]) for watched, seen in pairs if watched.asked and seen)

    def started(self, container_id: str) -> None:
        """The container is there: from now on its control group is looked at, and its processes are not foreign."""
        self._container_ns = self._clock()
        self._container = container_id

    def beside(self, container_ids: Sequence[str]) -> None:
        """Containers that this program runs beside the run: their processes are not foreign, nor is what they use."""
        self._host.beside(container_ids)
        self._beside = tuple(container_ids)

    def held_by(self, container_id: str) -> int | None:
        """The most that a container's processes held on the devices of the run so far; None where drivers tell none."""
        pairs = zip(self._watched, self._devices, strict=True)
        found = [self._owners.most(tuple(seen), container_id) for watched, seen in pairs if watched.asked]
        told = [most for most in found if most is not None]
        return sum(told) if told else None

    def stop(self) -> Sampled:
        """End, with a last look; a second call changes nothing. Never raises, nor waits for a driver that hangs."""
        if self._ended is None:
            self._ended = self._end()
        return self._ended

    def _end(self) -> Sampled:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_STOP_WAIT_S)
            if self._thread.is_alive():
                self.hangs = True
                self._problem = "a driver did not answer while the run ended; what was seen before is kept"
        # Copies: a thread that hangs may come back and go on writing.
        since = None if self._container_ns is None else self._container_ns - KEPT_NS
        looks = tuple(tuple(r for r in seen if since is None or r.at_ns >= since) for seen in self._devices)
        return Sampled(
            interval_ms=round(self._interval_s * 1000),
            devices=tuple(self._of(watched, seen) for watched, seen in zip(self._watched, looks, strict=True)),
            host=tuple(r for r in self._host_readings if since is None or r.at_ns >= since),
            host_missing=dict(self._host.missing),
            sampling_cpu_ns=self._cpu_ns,
            elapsed_ns=self._elapsed_ns,
            problem=self._problem,
        )

    def _of(self, watched: Watched, readings: tuple[DeviceReading, ...]) -> SampledDevice:
        foreign, own = self._owners.sort(readings, self._container, beside=self._beside)
        return SampledDevice(
            device=watched.device,
            asked=watched.asked,
            readings=readings,
            foreign=foreign,
            own_memory_bytes=own,
            missing=dict(watched.probe.missing),
            substitutes=dict(watched.probe.substitutes),
        )

    def _run(self) -> None:
        begin, cpu = self._clock(), time.thread_time_ns()
        try:
            self._loop()
        except Exception as error:  # noqa: BLE001 - telemetry must not cost a run
            self._problem = f"telemetry ended early: {type(error).__name__}: {error}"[:300]
        self._cpu_ns = time.thread_time_ns() - cpu
        self._elapsed_ns = self._clock() - begin

    def _loop(self) -> None:
        looks, found = 0, ""
        due = time.monotonic()
        while True:
            ending = self._stop.is_set()
            if self._container != found:
                found = self._container
                self._host.watch(found)
            self._look(everything=ending or looks % WATCH_EVERY == 0)
            looks += 1
            if ending:
                return
            if looks >= MOST_LOOKS:
                self._problem = f"telemetry ended after {looks} looks"
                return
            # Late looks are left out and not made up for: the machine has other things to do.
            due = max(due + self._interval_s, time.monotonic())
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _look(self, *, everything: bool) -> None:
        for watched, readings in zip(self._watched, self._devices, strict=True):
            if watched.asked or everything:
                reading = watched.probe.read()
                readings.append(reading)
                self._owners.meet(reading)
        self._host_readings.append(self._host.read())


class _Owners:
    """Whose the processes on a device are, by the control group that each was in when it was first seen."""

    def __init__(self, proc: Path) -> None:
        self._proc = proc
        self._groups: dict[int, str] = {}

    def meet(self, reading: DeviceReading) -> None:
        for process in reading.processes or ():
            if process.pid not in self._groups:
                try:
                    text = (self._proc / str(process.pid) / "cgroup").read_text(errors="replace")
                except OSError:
                    text = ""  # it ended meanwhile, or lives where we do not see it
                self._groups[process.pid] = text

    def sort(
        self, readings: Sequence[DeviceReading], container_id: str, *, beside: Sequence[str] = ()
    ) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
        """For each reading the number of foreign processes, and the memory of the container's own."""
        ours = (container_id, *beside)
        foreign = tuple(self._foreign(reading, ours) for reading in readings)
        return foreign, tuple(self._own(reading, container_id) for reading in readings)

    def _is_own(self, pid: int, container_id: str) -> bool:
        return bool(container_id) and container_id in self._groups.get(pid, "")

    def most(self, readings: Sequence[DeviceReading], container_id: str) -> int | None:
        """The most memory that a container's processes held in any reading."""
        told = [held for reading in readings if (held := self._own(reading, container_id)) is not None]
        return max(told, default=None)

    def _foreign(self, reading: DeviceReading, ours: Sequence[str]) -> int | None:
        if reading.processes is None:
            return None
        known = [p for p in reading.processes if self._groups.get(p.pid)]
        return sum(not any(self._is_own(p.pid, each) for each in ours) for p in known)

    def _own(self, reading: DeviceReading, container_id: str) -> int | None:
        if reading.processes is None:
            return None
        held = [p.memory_bytes for p in reading.processes if self._is_own(p.pid, container_id)]
        told = [memory for memory in held if memory is not None]
        return sum(told) if told else None
