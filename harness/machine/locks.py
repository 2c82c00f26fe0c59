"""One harness measures on a machine at a time: the kernel drops the lock when its process dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.errors import MachineError


def lock_folder(environment: Mapping[str, str]) -> Path:
    """Where the lock lies: the same for all harnesses that can disturb each other, whoever started them."""
    if environment.get("BENCH_LOCK_DIR"):
        return Path(environment["BENCH_LOCK_DIR"])
    shared = Path("/run/lock")
    return shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())


@contextlib.contextmanager
def measuring_lock(folder: Path) -> Iterator[None]:
    """Hold the machine for measuring.

    Raises:
        MachineError: another harness holds it; the message names its process.
    """
    path = folder / "llama-bench-harness.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Readable and writable for all: another user's harness has to wait too.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise MachineError(
            f"cannot be opened: {error.strerror}",
            where=str(path),
            remedy="Set BENCH_LOCK_DIR to a folder that all harnesses on this machine can write.",
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            raise MachineError(
                f"another harness is measuring on this machine (process {holder})",
                where=str(path),
                remedy="Wait until it has finished: two at once would disturb each other's numbers.",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
