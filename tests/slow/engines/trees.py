"""Root trees of Debian suites with container engines in them, made once and kept in the harness's cache."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from harness.flows.workspace import find_workspace

PACKAGES = (
    *("docker.io", "podman", "runc", "crun", "catatonit", "busybox-static"),
    *("iptables", "ca-certificates", "uidmap", "fuse-overlayfs"),
)
MAKING_S = 1800
FORMAT = "1"
"""Part of a tree's name: another one makes new trees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One engine of one Debian suite.

    Attributes:
        name: as the tests, the captures and the documentation call it.
        version: how its version begins in the suite as it was when this was written; what it says itself is recorded.
    """

    name: str
    suite: str
    program: str
    version: str


KINDS = {
    kind.name: kind
    for kind in (
        Kind(name="docker-20.10", suite="bookworm", program="dockerd", version="20.10."),
        Kind(name="docker-26.1", suite="trixie", program="dockerd", version="26.1."),
        Kind(name="docker-28.5", suite="forky", program="dockerd", version="28."),
        Kind(name="podman-4.3", suite="bookworm", program="podman", version="4.3."),
        Kind(name="podman-5.4", suite="trixie", program="podman", version="5.4."),
        Kind(name="podman-5.8", suite="forky", program="podman", version="5."),
    )
}
"""The engines of Debian 12, 13 and 14."""


class NoTreeError(Exception):
    """There is no root tree and none can be made here; why is its text."""


def tree(suite: str) -> Path:
    """The root tree of a suite, made with mmdebstrap the first time (about a minute, 0.6 GB).

    Raises:
        NoTreeError: this machine cannot make one.
    """
    home = find_workspace().cache / "engines"
    made = home / f"{suite}-{FORMAT}"
    if made.is_dir():
        return made
    if os.geteuid() != 0:
        raise NoTreeError("engines in root trees of their own need root")
    if shutil.which("mmdebstrap") is None:
        raise NoTreeError("mmdebstrap is missing: apt-get install mmdebstrap")
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.is_dir():
            _make(suite, made)
    return made


def _make(suite: str, made: Path) -> None:
    partial = made.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    # A mirror's copy of a suite that is not released yet can be past its date.
    dated = 'Acquire::Check-Valid-Until "false"'
    command = ["nice", "-n", "10", "mmdebstrap", "--variant=minbase", f"--aptopt={dated}"]
    command += [f"--include={','.join(PACKAGES)}", suite, str(partial)]
    done = subprocess.run(
        command,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=MAKING_S,
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(partial, ignore_errors=True)
        raise NoTreeError(f"mmdebstrap failed for {suite}:\n{done.stdout[-2000:]}")
    partial.rename(made)


def small_image(suite: str, folder: Path) -> Path:
    """A tar of a root file system with a static busybox and nothing else, 2 MB, to be imported into an engine."""
    busybox = next(path for path in (tree(suite) / "bin/busybox", tree(suite) / "usr/bin/busybox") if path.is_file())
    tar = folder / "small.tar"
    with tarfile.open(tar, "w") as archive:
        for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "app"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(entry)
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = busybox.stat().st_size, 0o755
        with busybox.open("rb") as content:
            archive.addfile(entry, content)
        for name in ("sh", "true", "cat", "id", "ls", "grep", "sleep", "env", "touch", "head", "tail"):
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
        group = b"root:x:0:\n"
        entry = tarfile.TarInfo("etc/group")
        entry.size, entry.mode = len(group), 0o644
        archive.addfile(entry, BytesIO(group))
    return tar


def cdi_specification(kind: str, *names: str, node: str = "/dev/null") -> str:
    """A CDI specification of devices with `node` behind them; a container that got one has its name in `FAKE_GPU`."""
    devices = [
        {
            "name": name,
            "containerEdits": {
                "env": [f"FAKE_GPU={name}"],
                "deviceNodes": [{"path": f"/dev/fake-gpu-{name}", "hostPath": node}],
            },
        }
        for name in names
    ]
    return json.dumps({"cdiVersion": "0.6.0", "kind": kind, "devices": devices})
