"""Writing that survives a crash at any moment: whole lines that are synced, whole files that are renamed into place."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import MachineError


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            what, remedy = "no space is left on its disk", "Free some space; what was recorded so far is intact."
        elif error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            what, remedy = "it cannot be written", "Make the folder writable, or set BENCH_REPORTS to one that is."
        else:
            what, remedy = f"it cannot be written: {error.strerror}", "See to the disk; what was recorded is intact."
        raise MachineError(what, where=str(path), remedy=remedy) from error


def sync_folder(folder: Path) -> None:
    """Make a new name in this folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents.

    Raises:
        MachineError: it cannot be made.
    """
    with _disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


def append_line(path: Path, line: bytes) -> None:
    """Append one line with a single write and sync it; a write that the disk cut short is taken back.

    Args:
        line: without a line feed in it; one is added.

    Raises:
        MachineError: no space, or no permission. The file then ends as before.
    """
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            before = os.fstat(descriptor).st_size
            data = line + b"\n"
            try:
                if os.write(descriptor, data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301 - one way out for both
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)
        if new:
            sync_folder(path.parent)


def write_whole(path: Path, data: bytes) -> None:
    """Put a whole file in place: readers see the old one or the new one, never a part.

    Raises:
        MachineError: no space, or no permission. The old file is then still there.
    """
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
        try:
            with partial.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def check_writable(folder: Path) -> None:
    """Try to write before anything is started.

    Raises:
        MachineError: nothing can be written there.
    """
    probe = folder / f".writable.{secrets.token_hex(4)}.partial"
    with _disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x")
        probe.unlink()
