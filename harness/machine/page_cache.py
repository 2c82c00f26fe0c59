"""The page cache: a model that is read from a disk in one round and from memory in the next would show as noise."""

from __future__ import annotations

import os
from pathlib import Path

_CHUNK_BYTES = 4 * 1024 * 1024


def read_through(path: Path) -> int:
    """Read a file once, so that the kernel holds as much of it in memory as it can.

    Returns:
        The bytes that were read; fewer than the file has where it cannot be read to its end.
    """
    done = 0
    buffer = bytearray(_CHUNK_BYTES)
    try:
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                done += count
    except OSError:
        # The run itself will tell what is wrong with the file.
        return done
    return done


def drop(path: Path) -> bool:
    """Have the kernel forget what it holds of a file, so that it is read from the disk next time.

    Pages that another process has mapped stay. Needs no privileges.

    Returns:
        Whether the kernel took the request; it does not tell how much it forgot.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Pages that were never written to the disk cannot be dropped.
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
