"""The engine that the harness starts itself: a `dockerd` apart from any other, with folders and a socket of its own.

It has no bridge and touches neither firewall nor IP forwarding: benchmark containers have no network, and builds use
the host's. It needs no systemd. It outlives the harness, so that the next start finds it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.engine.discovery import OWN_SOCKET, Endpoint, Probe, ping
from harness.errors import EngineError

START_S = 60.0
"""How long a new daemon may take until it answers; a busy two-core machine needs about ten seconds."""
LOG_LINES_SHOWN = 12

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePaths:
    """Where our engine keeps its things.

    Attributes:
        data: images and containers, and the daemon's log; large, and outlives a restart of the machine.
        run: socket, pid file, lock and the running containers' state; gone after a restart.
    """

    data: Path = Path("/var/lib/llama-bench-harness")
    run: Path = OWN_SOCKET.parent

    @property
    def socket(self) -> Path:
        """Where the engine listens; only root can reach it."""
        return self.run / OWN_SOCKET.name

    @property
    def pid_file(self) -> Path:
        """Written by the daemon itself."""
        return self.run / "dockerd.pid"

    @property
    def log(self) -> Path:
        """What the daemon of the latest start said."""
        return self.data / "dockerd.log"

    def command(self, dockerd: str) -> tuple[str, ...]:
        """The command line of the daemon."""
        return (
            dockerd,
            f"--data-root={self.data / 'docker'}",
            f"--exec-root={self.run / 'docker'}",
            f"--host=unix://{self.socket}",
            f"--pidfile={self.pid_file}",
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
        )


class Process(Protocol):
    """A started program."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""

    def terminate(self) -> None:
        """Ask it to end."""


def spawn_detached(command: Sequence[str], log: Path, env: Mapping[str, str]) -> Process:
    """Start a program that outlives us and that no Ctrl-C of our terminal reaches; its output goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=dict(env),
            start_new_session=True,
        )
    _SPAWNED.append(process)
    return process


_SPAWNED: list[subprocess.Popen[bytes]] = []
"""Kept to the end of the program: a `Popen` that is dropped while its process runs warns about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """Starts `dockerd`. Everything with an effect outside is a field, so that tests can replace it.

    Attributes:
        paths: its folders.
        env: environment of the daemon; proxies in it serve pulls.
        say: tells the user what is done.
        cgroups: where control groups are mounted.
        processes: the process file system.
        mount: mounts control groups v2 on a folder; raises OSError or CalledProcessError.
    """

    paths: EnginePaths
    env: Mapping[str, str]
    say: Say
    probe: Probe = ping
    spawn: Callable[[Sequence[str], Path, Mapping[str, str]], Process] = spawn_detached
    cgroups: Path = Path("/sys/fs/cgroup")
    processes: Path = Path("/proc")
    mount: Callable[[Path], None] = field(default_factory=lambda: _mount_cgroups)
    start_s: float = START_S
    poll_s: float = 0.1

    def start(self, dockerd: str) -> Endpoint:
        """Start `dockerd` and wait until it answers. If ours runs already, only wait.

        Raises:
            EngineError: it died or does not answer in time; with the end of its log and what to do about it.
        """
        make_folder(self.paths.run, mode=0o700)
        make_folder(self.paths.data, mode=0o711)
        if self._is_alive(self.paths.pid_file, self.paths.socket):
            return self._wait(None)
        containerd = self.paths.run / "docker/containerd"
        self._is_alive(containerd / "containerd.pid", containerd)
        self._prepare_cgroups()
        if self.paths.log.exists():
            self.paths.log.replace(self.paths.log.with_suffix(".log.1"))
        command = self.paths.command(dockerd)
        self.say(f"starting a container engine of our own, data in {self.paths.data}: {shlex.join(command)}")
        return self._wait(self.spawn(command, self.paths.log, self.env))

    def _is_alive(self, pid_file: Path, argument: Path) -> bool:
        """Whether the process of a pid file runs and is of ours, by what stands in its arguments; else the file goes.

        Engine and containerd believe any process with that number to be theirs, and do not start then: another
        program that got the number meanwhile, or their own zombie where the init process does not reap.
        """
        if _process_of(pid_file, argument, self.processes) is not None:
            return True
        pid_file.unlink(missing_ok=True)
        return False

    def _wait(self, process: Process | None) -> Endpoint:
        host = f"unix://{self.paths.socket}"
        deadline = time.monotonic() + self.start_s
        reason = ""
        while time.monotonic() < deadline:
            try:
                self.probe(host, 2.0)
            except OSError as error:
                reason = str(error)
            else:
                return Endpoint(host=host, source="the engine that this harness started")
            code = process.poll() if process else None
            if code is not None:
                raise self._error(f"dockerd ended with exit code {code} while starting")
            time.sleep(self.poll_s)
        if process:
            process.terminate()
        raise self._error(f"dockerd does not answer within {self.start_s:.0f} s: {reason}")

    def _error(self, what: str) -> EngineError:
        try:
            lines = self.paths.log.read_text("utf-8", "replace").splitlines()
        except OSError:
            lines = []
        shown = "".join(f"\n    {line[:500]}" for line in lines[-LOG_LINES_SHOWN:])
        return EngineError(what + shown, where=str(self.paths.log), remedy=remedy_for("\n".join(lines), self.paths))

    def _prepare_cgroups(self) -> None:
        """Make control groups usable where no init system did: on a bare machine, and in a container on cgroup v2."""
        if not self.cgroups.is_dir():
            return
        try:
            if not any(self.cgroups.iterdir()):
                self.say(f"mounting control groups (cgroup v2) on {self.cgroups}")
                self.mount(self.cgroups)
            # Only the machine's root group has no type. In any other, groups with processes cannot hand on
            # controllers to the containers' groups below, so the processes have to move into a group beside those.
            if (self.cgroups / "cgroup.type").exists():
                self._delegate_controllers()
        except (OSError, subprocess.CalledProcessError) as error:
            self.say(f"control groups could not be prepared ({error}); trying without")

    def _delegate_controllers(self) -> None:
        pids = (self.cgroups / "cgroup.procs").read_text().split()
        if not pids:
            return
        leaf = self.cgroups / "llama-bench-harness-init"
        self.say(f"moving the {len(pids)} processes of this container into {leaf}, so that containers can have limits")
        leaf.mkdir(exist_ok=True)
        for pid in pids:
            try:
                (leaf / "cgroup.procs").write_text(pid)
            except OSError:
                continue  # it ended meanwhile, or the kernel keeps it
        controllers = (self.cgroups / "cgroup.controllers").read_text().split()
        (self.cgroups / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))


def make_folder(folder: Path, *, mode: int) -> None:
    """Make a folder of our engine.

    Raises:
        EngineError: it cannot be made, as in a container whose root is read-only.
    """
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(
            f"no container engine can be started here: this folder of it cannot be made ({error.strerror})",
            where=str(folder),
            remedy="make it writable, or set DOCKER_HOST to an engine that runs; docs/engine.md says what lies where",
        ) from error


def running_process(paths: EnginePaths, *, processes: Path = Path("/proc")) -> int | None:
    """The process of our engine; None where none runs, whatever its pid file says."""
    return _process_of(paths.pid_file, paths.socket, processes)


def _process_of(pid_file: Path, argument: Path, processes: Path) -> int | None:
    """The process that a pid file names, if `argument` stands on its command line."""
    try:
        pid = int(pid_file.read_text())
        arguments = (processes / str(pid) / "cmdline").read_bytes()
    except (OSError, ValueError):
        return None  # no such file or process, or no number in it
    return pid if str(argument).encode() in arguments else None


def _mount_cgroups(folder: Path) -> None:
    subprocess.run(["mount", "-t", "cgroup2", "none", str(folder)], check=True, capture_output=True)


def root_path(env: Mapping[str, str]) -> str:
    """PATH with the folders of system programs, which a shell made by `su` leaves out."""
    given = env.get("PATH") or os.defpath
    folders = [*given.split(os.pathsep), "/usr/local/sbin", "/usr/sbin", "/sbin"]
    return os.pathsep.join(dict.fromkeys(folders))


def find_dockerd(env: Mapping[str, str]) -> str | None:
    """The path of `dockerd`; None where it is not installed."""
    return shutil.which("dockerd", path=root_path(env))


_REMEDIES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("no space left",), "make room on the disk of {data}"),
    (
        ("containerd.sock", "containerd: context deadline exceeded"),
        "start containerd, or remove /run/containerd/containerd.sock if it was left behind",
    ),
    (
        ("graphdriver", "overlay"),
        (
            "the file system of {data} is none for overlays: mount an ext4 or xfs disk there; or start the engine "
            "by hand with its slow driver that works everywhere: {command} --storage-driver=vfs"
        ),
    ),
    (
        ("cgroup",),
        "mount control groups: `mount -t cgroup2 none /sys/fs/cgroup`; in a container, start that one as privileged",
    ),
    (
        ("operation not permitted", "permission denied"),
        (
            "this looks like a container without the right to run others: start it as privileged, or give it the "
            "socket of an engine and set DOCKER_HOST"
        ),
    ),
)
"""Words of dockerd's log, in lower case, any of which tells the cause; and what to do about it."""


def remedy_for(log: str, paths: EnginePaths) -> str:
    """What to do about a daemon that did not start, by the error lines of its log."""
    fatal = [line.lower() for line in log.splitlines() if "failed to start" in line.lower()]
    text = "\n".join(fatal) or log.lower()
    command = shlex.join(paths.command("dockerd"))
    for words, remedy in _REMEDIES:
        if any(word in text for word in words):
            return remedy.format(data=paths.data, command=command)
    return f"see the whole log; try by hand: {command}; or start another engine and set DOCKER_HOST"
