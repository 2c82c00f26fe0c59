"""One container: what is started, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_SIGNAL_BASE = 128
_LAST_SIGNAL = 64
# Linux has no more; beyond, an exit code is a program's own: 255 is what many say for any failure.
"""Shells and engines add the signal's number to this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedDevice:
    """What llama.cpp has to say of a device, so that it is the one that was asked for.

    Attributes:
        name: llama.cpp's name of it, for `-dev`: `Vulkan0`.
        names: whole names that it may have; they are compared without makers' marks, brackets and case.
        exact: whether it must have one of `names`. Where drivers do not agree upon names, another one says nothing.
        maker: a word that its name holds whatever the driver; empty where there is none.
        marks: what may stand for its architecture where llama.cpp or a driver prints one: `gfx1100`, `NAVI31`.
        mark_pattern: regular expression whose only group is such a mark, of this architecture or another.
        pci: its address; None where it has none or shares it.
        memory_bytes: its own memory; None where it uses the host's.
        software: computes on the CPU.
    """

    name: str
    names: tuple[str, ...] = ()
    exact: bool = False
    maker: str = ""
    marks: tuple[str, ...] = ()
    mark_pattern: str = ""
    pci: str | None = None
    memory_bytes: int | None = None
    software: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Passthrough:
    """What a vendor asks of the engine so that a container sees a device, or several.

    Attributes:
        device_requests: `DeviceRequest` fields by name, for the engine to hand on.
        device_nodes: host paths of device nodes, given read and write.
        groups: numeric group ids that may open the nodes.
        environment: variables that select the device.
        expected: the devices as llama.cpp has to see them, in the order in which the matrix names them; empty for
            the CPU.
    """

    device_requests: tuple[Mapping[str, object], ...] = ()
    device_nodes: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    expected: tuple[ExpectedDevice, ...] = ()

    @property
    def device(self) -> str:
        """The value of `-dev`: names joined by a slash; `none` for the CPU."""
        return "/".join(device.name for device in self.expected) or "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class BindMount:
    """One file or folder of the host in the container. Read-only unless it has to be written."""

    source: Path
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """One container to start. What is not said here is closed: no network, no capabilities, no writable root.

    Attributes:
        name: also the guard against starting the same run twice.
        image: content id of the image.
        argv: entrypoint and arguments; nothing of the image's own entrypoint is used.
        labels: by which what was left behind is found; the engine adds its own.
        memory_bytes: limit without swap.
        tmpfs: writable folders by path with their size in bytes; `/tmp` is always there.
        user: `uid:gid` instead of nobody's, for a container that is talked to by a socket which this user has to open.
        output_limit_bytes: what is kept of stdout and of stderr, each; the middle is left out beyond it.
    """

    name: str
    image: str
    argv: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[BindMount, ...] = ()
    passthrough: Passthrough = field(default_factory=Passthrough)
    memory_bytes: int | None = None
    pids: int = 512
    tmpfs: Mapping[str, int] = field(default_factory=dict)
    user: str = ""
    output_limit_bytes: int = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of output without its line feed; invalid UTF-8 is escaped, `at_ns` is on the host's monotonic clock."""

    at_ns: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerExit:
    """How a container ended.

    Attributes:
        exit_code: of its first process; None where it never ran or the engine could not say.
        oom_killed: the kernel killed a process of it at its memory limit.
        timed_out: its deadline passed. cancelled: the caller stopped it.
        kill_stage: the last step that was needed to end it: None, `term`, `kill` or `remove`.
        error: the engine's words where it could not be created, started or followed; empty otherwise.
        error_phase: `create`, `start` or `wait` where there is an error.
        stdout, stderr: lines apart, in order; cut in the middle beyond the limit.
        stdout_bytes, stderr_bytes: what was written in all, so that a cut is seen.
        stdout_truncated, stderr_truncated: whether lines were left out.
        started_ns, ended_ns: monotonic clock of the host.
    """

    exit_code: int | None
    container_id: str = ""
    oom_killed: bool = False
    timed_out: bool = False
    cancelled: bool = False
    kill_stage: str | None = None
    error: str = ""
    error_phase: str = ""
    stdout: tuple[Line, ...] = ()
    stderr: tuple[Line, ...] = ()
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    started_ns: int
    ended_ns: int

    @property
    def signal(self) -> int | None:
        """The signal that ended it, read from the exit code; None where it ended by itself."""
        number = (self.exit_code or 0) - _SIGNAL_BASE
        return number if 0 < number <= _LAST_SIGNAL else None

    @property
    def killed_by_us(self) -> bool:
        """Whether it had not ended when it was told to, and SIGKILL came from the harness."""
        return self.kill_stage in {"kill", "remove"}
