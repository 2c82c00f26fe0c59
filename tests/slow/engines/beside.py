"""An engine that runs beside the machine's own, in a root tree of its own, and leaves nothing behind.

    with engine_beside(KINDS["docker-28.5"], cdi={"nvidia.yaml": cdi_specification("nvidia.com/gpu", "0")}) as beside:
        DockerEngine(beside.host).facts()

It needs root and mmdebstrap. Processes, mounts and containers live in namespaces that end with the engine, also where
the tests are killed; its socket and its images lie in a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.engine.discovery import ping
from tests.slow.engines.trees import Kind, tree

PODMAN_FILES = {
    # Without CAP_SYS_RESOURCE, as in many containers, Podman's builds fail on limits that it wants to raise.
    "/etc/containers/containers.conf": '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n',
}
ENTER = Path(__file__).with_name("enter.sh")
START_S = 90.0
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A running engine.

    Attributes:
        host: its address, as in DOCKER_HOST.
        log: what it writes.
        cdi: the folder of its CDI specifications; what is written there counts at once.
    """

    kind: Kind
    host: str
    log: Path
    cdi: Path


@contextmanager
def engine_beside(
    kind: Kind,
    *,
    cdi: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
    visible: Sequence[Path] = (),
    files: Mapping[str, str | None] | None = None,
) -> Iterator[Beside]:
    """Start an engine, and end it with everything that it started.

    Args:
        kind: which one.
        cdi: CDI specifications by file name.
        options: more options of dockerd, or of `podman`.
        visible: folders of the host that the engine sees at the same place, for mounts into containers.
        files: files of its root tree that are written anew, or left out (None), by absolute path.

    Raises:
        NoTreeError: this machine cannot make its root tree.
        RuntimeError: it did not start; with the end of its log.
    """
    root = tree(kind.suite)
    state = Path(tempfile.mkdtemp(prefix="lbh-engine-", dir="/var/tmp"))
    try:
        for name in ("run", "cdi", "data", "upper"):
            (state / name).mkdir()
        for name, text in (cdi or {}).items():
            (state / "cdi" / name).write_text(text)
        own = PODMAN_FILES if kind.program == "podman" else {}
        for name, content in {**own, **(files or {})}.items():
            _change(state / "upper", root, name, content)
        beside = Beside(kind=kind, host=f"unix://{state}/run/engine.sock", log=state / "engine.log", cdi=state / "cdi")
        with _running(beside, root, state, options, visible):
            yield beside
    finally:
        _remove(state)


def _change(upper: Path, root: Path, name: str, content: str | None) -> None:
    """Write a file into the overlay's upper folder, or what hides it."""
    path = upper / name.lstrip("/")
    for folder in reversed(path.relative_to(upper).parents[:-1]):
        made, below = upper / folder, root / folder
        if not made.is_dir():
            made.mkdir()
            if below.is_dir():
                made.chmod(below.stat().st_mode & 0o7777)
    if content is None:
        os.mknod(path, 0o020000, 0)  # overlayfs takes a character device 0:0 for "removed"
    else:
        path.write_text(content)
        path.chmod(0o755 if content.startswith("#!") else 0o644)


def _command(beside: Beside, options: Sequence[str]) -> list[str]:
    if beside.kind.program == "podman":
        where = ["--root=/var/lib/engine", "--runroot=/run/podman", "--cgroup-manager=cgroupfs"]
        service = ["system", "service", "--time=0", "unix:///run/engine/engine.sock"]
        return ["podman", *where, *options, *service]
    where = ["--data-root=/var/lib/engine", "--exec-root=/run/docker", "--pidfile=/run/docker.pid"]
    network = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]
    group = [f"--cgroup-parent=/{_cgroup(beside)}"]
    return ["dockerd", "--host=unix:///run/engine/engine.sock", *where, *network, *group, *options]


def _cgroup(beside: Beside) -> str:
    return beside.log.parent.name


@contextmanager
def _running(
    beside: Beside, root: Path, state: Path, options: Sequence[str], visible: Sequence[Path]
) -> Iterator[None]:
    enter = ["sh", str(ENTER), str(root), str(state), "\n".join(map(str, visible)), "--"]
    apart = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
    with beside.log.open("wb") as log:
        process = subprocess.Popen(
            [*apart, *enter, *_command(beside, options)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _await(beside, process)
        yield
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait(30)
        _remove_cgroups(_cgroup(beside))


def _await(beside: Beside, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + START_S
    while True:
        try:
            ping(beside.host, 2.0)
        except OSError as problem:
            if process.poll() is not None or time.monotonic() > limit:
                text = beside.log.read_text(errors="replace")[-3000:]
                raise RuntimeError(f"{beside.kind.name} did not start ({problem}):\n{text}") from None
            time.sleep(0.1)
        else:
            return


def _remove_cgroups(name: str) -> None:
    """Remove the control groups that the engine left; those that hold processes stay."""
    for parent in (name, "libpod_parent"):
        for top in (*CGROUPS.glob(f"*/{parent}"), *CGROUPS.glob(parent)):
            for folder in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
                with suppress(OSError):
                    folder.rmdir()
            with suppress(OSError):
                top.rmdir()


def _remove(state: Path) -> None:
    """Remove the folder as soon as the kernel has let go of the last mount in it."""
    for _ in range(50):
        shutil.rmtree(state, ignore_errors=True)
        if not state.exists():
            return
        time.sleep(0.1)
    shutil.rmtree(state)
