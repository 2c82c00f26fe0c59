"""Getting an engine for the tasks that need one: the one that is there, else one that is installed and started here.

Only root on Debian or Ubuntu gets one installed, after being told, and `BENCH_INSTALL_ENGINE=0` refuses it. Everybody
else gets the exact instructions instead.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.engine.daemon import Daemon, EnginePaths, Say, find_dockerd, make_folder, root_path
from harness.engine.discovery import Endpoint, Probe, find_engine, ping, usual_places
from harness.errors import EngineError

PACKAGE = "docker.io"
INSTALL_S = 1800.0
"""Limit of each apt-get call; about 80 MB come over the network."""
LOCK_S = 1800.0
"""How long to wait for another harness that installs or starts the engine."""

_INSTRUCTIONS = """\
install and start one of these, then start the same command again
       Docker on Debian or Ubuntu:  apt-get install docker.io && systemctl start docker    (as root)
         for a user besides root:   usermod -aG docker USER, then log in again    (members are root on this machine)
       Docker elsewhere:            install Docker Engine from your distribution, then systemctl start docker
       Podman, without root:        install podman, then systemctl --user enable --now podman.socket
       an engine somewhere else:    DOCKER_HOST=unix:///path/to/its.sock ./bench ..."""


def run_program(argv: Sequence[str], env: Mapping[str, str]) -> tuple[int, str]:
    """Run a program to its end: its exit code (127: missing, 124: took too long) and its whole output."""
    try:
        done = subprocess.run(
            argv,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=INSTALL_S,
            check=False,
        )
    except FileNotFoundError as error:
        return 127, str(error)
    except subprocess.TimeoutExpired as error:
        return 124, f"{(error.output or b'').decode('utf-8', 'replace')}\nno end within {INSTALL_S:.0f} s"
    return done.returncode, done.stdout.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The machine as the bootstrap sees and changes it. Tests replace what they need.

    Attributes:
        uid: the effective user id.
        os_release: the file that names the distribution.
        systemd: the folder that exists where systemd runs.
        run: runs a program to its end with the given environment; returns its exit code and its whole output.
        find_dockerd: the path of `dockerd`, or None, from the environment.
        start_dockerd: starts it and waits until it answers.
        usual: places where engines listen; None for the usual ones and that of `paths`.
        settle_s: how long a service that the package brings may take to answer, with systemd and without.
    """

    uid: int = field(default_factory=os.geteuid)
    os_release: Path = Path("/etc/os-release")
    systemd: Path = Path("/run/systemd/system")
    run: Callable[[Sequence[str], Mapping[str, str]], tuple[int, str]] = run_program
    find_dockerd: Callable[[Mapping[str, str]], str | None] = find_dockerd
    start_dockerd: Callable[[Daemon, str], Endpoint] = Daemon.start
    probe: Probe = ping
    usual: tuple[Endpoint, ...] | None = None
    settle_s: tuple[float, float] = (30.0, 3.0)
    lock_s: float = LOCK_S


def ensure_engine(
    env: Mapping[str, str],
    say: Say,
    *,
    paths: EnginePaths | None = None,
    host: Host | None = None,
) -> Endpoint:
    """The engine to use; where none answers, root on Debian or Ubuntu gets one installed and started.

    Doing it again finds what the first time started.

    Args:
        env: the environment, for discovery and for the programs that are started.
        say: told in advance about everything that changes the machine.
        paths: folders of our own engine.
        host: the machine.

    Raises:
        EngineError: there is none and none may or can be started; with what to do.
    """
    paths, host = paths or EnginePaths(), host or Host()
    found = _find(env, paths, host)
    if found:
        return found
    _require_permission(env, host)
    with _lock(paths.run / "engine.lock", say, host.lock_s):
        # Another harness may have started it while we waited.
        return _find(env, paths, host) or _install_and_start(env, say, paths, host)


def _find(env: Mapping[str, str], paths: EnginePaths, host: Host) -> Endpoint | None:
    usual = usual_places(env, own_socket=paths.socket) if host.usual is None else host.usual
    return find_engine(env, usual=usual, probe=host.probe)


def _require_permission(env: Mapping[str, str], host: Host) -> None:
    if env.get("BENCH_INSTALL_ENGINE") == "0":
        why = "BENCH_INSTALL_ENGINE=0 forbids to install or start one"
    elif host.uid != 0:
        why = "only root could install and start one"
    elif not _is_debian(host.os_release):
        why = "the harness installs one on Debian and Ubuntu only"
    else:
        return
    raise EngineError(f"no container engine answers, and {why}", remedy=_INSTRUCTIONS)


def _is_debian(os_release: Path) -> bool:
    """Whether the distribution is Debian, Ubuntu, or says that it is like one of them."""
    try:
        lines = os_release.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    names: set[str] = set()
    for line in lines:
        key, _, value = line.partition("=")
        if key.strip() in ("ID", "ID_LIKE"):
            names.update(value.strip().strip("\"'").lower().split())
    return bool(names & {"debian", "ubuntu"})


@contextmanager
def _lock(path: Path, say: Say, limit_s: float) -> Iterator[None]:
    """Hold the lock of the engine's bootstrap; the kernel releases it when the process ends, however it does."""
    make_folder(path.parent, mode=0o700)
    with path.open("ab") as file:
        deadline = time.monotonic() + limit_s
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pass
            if not told:
                say("another ./bench is starting the container engine: waiting for it")
                told = True
            if time.monotonic() >= deadline:
                raise EngineError(
                    "another ./bench has been starting the container engine for too long",
                    where=str(path),
                    remedy="see what it waits for (`fuser -v` on that file tells who it is), end it and start again",
                )
            time.sleep(0.2)
        yield


def _install_and_start(env: Mapping[str, str], say: Say, paths: EnginePaths, host: Host) -> Endpoint:
    env = {**env, "PATH": root_path(env)}
    dockerd = host.find_dockerd(env)
    if dockerd is None:
        _install(env, say, host)
        dockerd = host.find_dockerd(env)
        if dockerd is None:
            raise EngineError(f"{PACKAGE} is installed but brings no dockerd", remedy=_INSTRUCTIONS)
        found = _find_service(env, paths, host)
        if found:
            return found
    return host.start_dockerd(Daemon(paths=paths, env=env, say=say, probe=host.probe), dockerd)


def _install(env: Mapping[str, str], say: Say, host: Host) -> None:
    """Install the distribution's Docker Engine.

    Raises:
        EngineError: apt-get failed; with the end of its output.
    """
    # --no-remove: where another vendor's containerd is installed, apt would take it away to make room.
    options = ["-q", "-y", "-o", "DPkg::Lock::Timeout=300"]
    install = ["apt-get", *options, "--no-install-recommends", "--no-remove", "install", PACKAGE]
    say(
        "no container engine answers; as root on Debian or Ubuntu, installing the distribution's Docker Engine "
        f"(BENCH_INSTALL_ENGINE=0 forbids it): {shlex.join(install)}"
    )
    quiet = {**env, "DEBIAN_FRONTEND": "noninteractive"}
    # An update that fails, such as for one foreign source, leaves the others usable: the installation decides.
    _, update_output = host.run(["apt-get", *options, "update"], quiet)
    code, output = host.run(install, quiet)
    if code == 0:
        return
    lines = [line for line in (update_output + "\n" + output).splitlines() if line.startswith(("E:", "W:", "Err:"))]
    shown = "".join(f"\n    {line}" for line in (lines or output.splitlines())[-10:])
    raise EngineError(
        f"apt-get could not install {PACKAGE} (exit code {code}){shown}",
        remedy=f"correct what apt-get says and try by hand: {shlex.join(install)}",
    )


def _find_service(env: Mapping[str, str], paths: EnginePaths, host: Host) -> Endpoint | None:
    """The engine that an init system started when the package came; None where none did."""
    deadline = time.monotonic() + host.settle_s[0 if host.systemd.is_dir() else 1]
    while True:
        found = _find(env, paths, host)
        if found or time.monotonic() >= deadline:
            return found
        time.sleep(0.2)
