"""The base image of a Debian suite: the one that is there, else pulled, else made from Debian's packages."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import ArtifactError
from harness.values.failure import Reason
from harness.values.protocols import ImageStore, ImageStoreError

REPOSITORY = "llama-bench-harness/base"
INCLUDED = ("ca-certificates", "libgomp1", "libstdc++6")
REGISTRY_SILENCE_S = 20.0
NEEDED_BYTES = 1_000_000_000
"""mmdebstrap's working folder, the tar and the image: 0.13 GB each when finished, more on the way."""
TIMEOUT_S = 1800.0
"""For mmdebstrap, and for each apt-get."""
_TERM_S = 5.0
_EXPIRED = "is expired"
_ANY_DATE = '--aptopt=Acquire::Check-Valid-Until "false"'
"""Lists of a suite that is still in the making are valid for a week, and a mirror can be further behind. They are
signed all the same; mmdebstrap leaves the option in the image, so that the steps of a Dockerfile have it too."""


def _os_release() -> Mapping[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _run_lines(command: Sequence[str], on_line: Callable[[str], None]) -> int:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        env=environment,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        deadline = threading.Timer(TIMEOUT_S, _end_all, (process.pid,))
        deadline.start()
        try:
            for line in process.stdout:
                on_line(line.rstrip("\n"))
            return process.wait()
        except BaseException:
            _end_all(process.pid)
            raise
        finally:
            deadline.cancel()


def _end_all(group: int) -> None:
    """End a program with all that it started: whoever of them is left holds its output open, and is waited for."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        ends = time.monotonic() + _TERM_S
        while time.monotonic() < ends:
            time.sleep(0.05)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseImage:
    """A base image that is present. Its id is recorded, since the same suite gives other packages next month.

    Attributes:
        tag: its name here.
        id: content id.
        origin: `present`, `pulled` or `made`.
    """

    tag: str
    id: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What base images are made with on this machine; tests put others in.

    Attributes:
        root: whether packages may be installed and a root file system be made.
        os_release: fields of /etc/os-release.
        which: finds a program.
        run_lines: runs a command and hands its output on a line at a time; returns the exit code.
    """

    root: bool = field(default_factory=lambda: os.geteuid() == 0)
    os_release: Mapping[str, str] = field(default_factory=_os_release)
    which: Callable[[str], str | None] = shutil.which
    run_lines: Callable[[Sequence[str], Callable[[str], None]], int] = _run_lines

    @property
    def has_apt(self) -> bool:
        """Whether this is Debian, Ubuntu or another system with Debian's packages."""
        names = f"{self.os_release.get('ID', '')} {self.os_release.get('ID_LIKE', '')}".split()
        return bool({"debian", "ubuntu"} & set(names)) and self.which("apt-get") is not None


def base_tag(suite: str) -> str:
    """Name of the base image of a suite."""
    return f"{REPOSITORY}:{suite}"


def ensure_base(
    suite: str,
    *,
    store: ImageStore,
    cache: Path,
    say: Callable[[str], None],
    host: Host | None = None,
    may_install: bool = True,
) -> BaseImage:
    """The base image of a Debian suite, made if need be.

    Args:
        suite: name of the suite, such as `trixie`.
        store: the engine's images.
        cache: the harness's cache folder, for what is written on the way.
        say: told each step, a line each.
        host: the machine; this one if None.
        may_install: whether `mmdebstrap` may be installed with apt-get where it is missing.

    Raises:
        ArtifactError: no way leads to one; the remedy names two.
    """
    tag = base_tag(suite)
    present = store.inspect(tag)
    if present is not None:
        return BaseImage(tag=tag, id=str(present["Id"]), origin="present")
    official = f"debian:{suite}-slim"
    refused = _pull(official, store=store, say=say)
    if not refused:
        store.tag(official, tag)
        return BaseImage(tag=tag, id=_id_of(tag, store), origin="pulled")
    say(f"{official} cannot be pulled ({refused}): making the base image from Debian's packages")
    host = host or Host()
    _ensure_mmdebstrap(suite, host=host, may_install=may_install, refused=refused, say=say)
    return BaseImage(tag=tag, id=_make(suite, tag, store=store, cache=cache, host=host, say=say), origin="made")


def _pull(official: str, *, store: ImageStore, say: Callable[[str], None]) -> str:
    """Empty where the image is there now, else why not."""
    if store.inspect(official) is None:
        say(f"pulling {official}")
        try:
            store.pull(official, idle_timeout_s=REGISTRY_SILENCE_S, on_bytes=lambda _done, _total: None)
        except ImageStoreError as error:
            return error.text.strip().splitlines()[-1][:200] if error.text.strip() else "no reason given"
    return ""


def _ensure_mmdebstrap(suite: str, *, host: Host, may_install: bool, refused: str, say: Callable[[str], None]) -> None:
    missing = host.which("mmdebstrap") is None
    if host.root and missing and host.has_apt and may_install:
        say("installing mmdebstrap with apt-get")
        install = ["apt-get", "install", "-y", "--no-install-recommends", "mmdebstrap", "debian-archive-keyring"]
        if host.run_lines(install, _ignore) != 0:
            say("apt-get does not find it: reading the package lists first")
            host.run_lines(["apt-get", "update"], _ignore)
            host.run_lines(install, _ignore)
        missing = host.which("mmdebstrap") is None
    if host.root and not missing:
        return
    if not host.root:
        why = "making one from Debian's packages needs root"
    elif not host.has_apt:
        why = "this system has no apt-get to install mmdebstrap with"
    elif not may_install:
        why = "mmdebstrap is missing and nothing may be installed"
    else:
        why = "mmdebstrap could not be installed"
    raise ArtifactError(
        f"there is no base image, and {why}; pulling one failed: {refused}",
        reason=Reason.IMAGE,
        where=base_tag(suite),
        remedy=f"run `docker pull debian:{suite}-slim` where a registry can be reached and bring it here with "
        f"`docker save` and `docker load`, or install mmdebstrap and run this once as root",
    )


def _make(suite: str, tag: str, *, store: ImageStore, cache: Path, host: Host, say: Callable[[str], None]) -> str:
    folder = cache / "base"
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise ArtifactError(
            f"making it needs {NEEDED_BYTES / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free in {folder}",
            reason=Reason.IMAGE,
            where=tag,
            remedy="free some space there, or point XDG_CACHE_HOME to a larger disk",
        )
    say(f"making {tag} with mmdebstrap (about half a minute)")
    with tempfile.TemporaryDirectory(dir=folder, prefix="make-") as scratch:
        tar = Path(scratch) / f"{suite}.partial.tar"
        code, tail = _mmdebstrap(suite, tar, options=(), host=host)
        if code != 0 and any(_EXPIRED in line for line in tail):
            say(f"the mirror's list of {suite} is past its date: making it from that list as it is")
            code, tail = _mmdebstrap(suite, tar, options=(_ANY_DATE,), host=host)
        if code != 0 or not tar.is_file():
            raise ArtifactError(
                f"mmdebstrap ended with exit code {code}:\n    " + "\n    ".join(tail),
                reason=Reason.IMAGE,
                where=tag,
                remedy=f"see that apt-get reaches its package sources; a system older than {suite} needs its "
                "archive key (package debian-archive-keyring)",
            )
        say(f"importing {tag} ({tar.stat().st_size / 1e6:.0f} MB)")
        try:
            return store.import_tar(tar, tag=tag)
        except ImageStoreError as error:
            raise ArtifactError(
                f"the engine did not import it: {error.text}",
                reason=Reason.IMAGE,
                where=tag,
                remedy="see whether the engine has disk space left",
            ) from error


def _mmdebstrap(suite: str, tar: Path, *, options: Sequence[str], host: Host) -> tuple[int, Sequence[str]]:
    """Exit code and last lines."""
    tail: deque[str] = deque(maxlen=15)
    include = f"--include={','.join(INCLUDED)}"
    command = ["mmdebstrap", "--variant=minbase", include, *options, suite, str(tar)]
    return host.run_lines(command, tail.append), tail


def _id_of(tag: str, store: ImageStore) -> str:
    described = store.inspect(tag)
    if described is None:
        raise ArtifactError("the engine lost it right after naming it", reason=Reason.IMAGE, where=tag)
    return str(described["Id"])


def _ignore(_line: str) -> None:
    """Output that only matters where the command fails, and then the missing program says it."""
