"""An engine of the tests' own, which they may kill: the machine's dockerd with folders and a socket apart.

    with own_engine() as own:
        own.kill()      # SIGKILL for dockerd and its containerd, as if the machine's memory had run out
        own.start()     # as the harness starts its own

What a killed test run left behind is removed by the next one, which finds it by the folder's name.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from harness.engine.daemon import Daemon, EnginePaths, find_dockerd, root_path
from harness.engine.docker_engine import DockerEngine

PLACE = Path(os.environ.get("BENCH_TEST_ENGINE_PLACE", "/var/tmp"))
"""Where its folders lie: a file system that can carry overlays. In memory (`/dev/shm`) a soak takes half the time."""

PREFIX = "lbh-own-"
IMAGE = "llama-bench-harness/base:trixie"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEngine:
    """A dockerd that belongs to the tests.

    Attributes:
        paths: its folders. dockerd: the program.
    """

    paths: EnginePaths
    dockerd: str

    @property
    def host(self) -> str:
        """Its address, as in DOCKER_HOST."""
        return f"unix://{self.paths.socket}"

    def start(self) -> None:
        """Start it as the harness starts its own engine, over whatever the last one left."""
        environment = {**os.environ, "PATH": root_path(os.environ)}
        Daemon(paths=self.paths, env=environment, say=lambda _text: None).start(self.dockerd)

    def kill(self) -> None:
        """SIGKILL dockerd and containerd. Containers go on, as their own processes."""
        for pid, words in _processes(self.paths.run).items():
            if words[0].endswith(("dockerd", "containerd")):
                _kill(pid)
        _await(lambda: not any(w[0].endswith("dockerd") for w in _processes(self.paths.run).values()))

    def containers(self) -> list[str]:
        """Names of all containers in it, running or not."""
        client = docker.APIClient(base_url=self.host, version="auto")
        try:
            return [name.lstrip("/") for found in client.containers(all=True) for name in found["Names"]]
        finally:
            client.close()

    def shims(self) -> dict[int, list[int]]:
        """Processes that watch over a container, one each, and the processes that each has."""
        running = _processes(self.paths.run).items()
        return {pid: _children(pid) for pid, words in running if "shim" in words[0]}

    def environment(self, folder: Path) -> Mapping[str, str]:
        """For a harness that uses this engine alone, with reports, lock, cache and temporary files in `folder`."""
        return {
            **os.environ,
            "DOCKER_HOST": self.host,
            "BENCH_LOCK_DIR": str(folder),
            "BENCH_REPORTS": str(folder / "reports"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_STATE_HOME": str(folder / "state"),
            "TMPDIR": str(folder / "tmp"),
        }


@contextmanager
def own_engine() -> Iterator[OwnEngine]:
    """Start an engine, and end it with everything that it started. Skips where this user or machine cannot."""
    dockerd = find_dockerd(os.environ)
    if os.geteuid() != 0 or dockerd is None:
        pytest.skip("an engine of the tests' own needs root and dockerd")
    for old in PLACE.glob(f"{PREFIX}*"):
        if not Path(f"/proc/{old.name.removeprefix(PREFIX)}").exists():
            _remove(old)
    folder = PLACE / f"{PREFIX}{os.getpid()}"
    own = OwnEngine(paths=EnginePaths(data=folder / "data", run=folder / "run"), dockerd=dockerd)
    try:
        own.start()
        yield own
    finally:
        _remove(folder)


def give_image(own: OwnEngine, host: str, name: str = IMAGE) -> None:
    """Copy an image from the engine at `host`."""
    theirs = docker.APIClient(base_url=host, version="auto", timeout=300)
    ours = docker.APIClient(base_url=own.host, version="auto", timeout=300)
    try:
        for _ in ours.load_image(theirs.get_image(name)):
            pass
    finally:
        theirs.close()
        ours.close()


def _processes(folder: Path) -> dict[int, list[str]]:
    """The processes with this folder among their arguments: dockerd, containerd and its shims."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if any(str(folder) in word for word in words):
                    found[int(entry.name)] = words
    return found


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _await(condition, seconds: float = 20.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "processes of the engine do not end"
        time.sleep(0.05)


def _remove(folder: Path) -> None:
    """End everything that runs from this folder, and remove it."""
    run = folder / "run"
    engine = DockerEngine(f"unix://{run}/docker.sock")
    with suppress(Exception):
        engine.sweep(labels={})
    engine.close()
    # Shims last, and what they watch over before them: without a shim nobody would end a container.
    running = _processes(run)
    for pid in running:
        if "shim" in running[pid][0]:
            for child in _children(pid):
                _kill(child)
    for pid in running:
        _kill(pid)
    _await(lambda: not _processes(run))
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed([mount for mount in mounts if mount.startswith(str(folder))]):
        subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)
