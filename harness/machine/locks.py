"""One harness measures on a machine at a time: the kernel drops the lock when its process dies, however it dies.

The file lies where every user of the machine looks for it, and any of them may have made it, or planted something else.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.errors import MachineError

RUN_LOCK = Path("/run/lock")
TMP = Path("/tmp")  # noqa: S108 - what is made there is opened with care, and TMPDIR differs between users

_CAREFUL = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""No link is followed, and nobody is waited for who might open the other end of a pipe."""


def lock_folder(environment: Mapping[str, str]) -> Path:
    """Where the lock lies: the same for all harnesses that can disturb each other, whoever started them."""
    if environment.get("BENCH_LOCK_DIR"):
        return Path(environment["BENCH_LOCK_DIR"])
    # Where root alone may write /run/lock, root too goes where the others can.
    with contextlib.suppress(OSError):
        if RUN_LOCK.stat().st_mode & stat.S_IWOTH and os.access(RUN_LOCK, os.W_OK):
            return RUN_LOCK
    return TMP


@contextlib.contextmanager
def measuring_lock(folder: Path) -> Iterator[None]:
    """Hold the machine for measuring.

    Raises:
        MachineError: another harness holds it; the message names its process. Or there can be no lock.
    """
    path = folder / "llama-bench-harness.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _opened(path)
    except OSError as error:
        closed = isinstance(error, PermissionError) and os.path.lexists(path)
        remedy = "Set BENCH_LOCK_DIR, for all harnesses on this machine, to a folder that all of them can write."
        raise MachineError(
            f"cannot be opened: {error.strerror}",
            where=str(path),
            # With another folder the two would not meet.
            remedy=f"Have its owner or root do this: chmod a+rw {path}" if closed else remedy,
        ) from error
    try:
        _check(descriptor, path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise MachineError(
                f"another harness is measuring on this machine (process {_holder(descriptor)})",
                where=str(path),
                remedy="Wait until it has finished: two at once would disturb each other's numbers.",
            ) from None
        # The number is for messages only: the lock holds where the file may only be read, and where the disk is full.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    """A descriptor of the file, which is made where there is none.

    Raises:
        OSError: it can be neither opened nor made.
    """
    try:
        return _existing(path)
    except FileNotFoundError:
        # Another one may make it first.
        with contextlib.suppress(FileExistsError):
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _CAREFUL, 0o666)
        return _existing(path)


def _existing(path: Path) -> int:
    # Without O_CREAT, which the kernel refuses for files of others in folders like /tmp (fs.protected_regular).
    try:
        return os.open(path, os.O_RDWR | _CAREFUL)
    except PermissionError:
        # For the lock itself reading is enough.
        return os.open(path, os.O_RDONLY | _CAREFUL)


def _check(descriptor: int, path: Path) -> None:
    """See that it is a file of its own, and open it to all whatever the umask: the next user has to lock it too.

    Raises:
        MachineError: it is a pipe or the like, or another name of some other file.
    """
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        what = "is no lock: an ordinary file without a second name is expected"
        raise MachineError(what, where=str(path), remedy="Remove it: no harness made it.")
    # Who is neither its owner nor root may not; then it was opened as it is.
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, 0o666)


def _holder(descriptor: int) -> str:
    """The number in the file; anybody may have written there."""
    text = os.pread(descriptor, 32, 0).strip()
    return text.decode() if text.isdigit() else "unknown"
