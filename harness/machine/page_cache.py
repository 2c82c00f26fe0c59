"""The page cache: a model that is read from a disk in one round and from memory in the next would show as noise."""

from __future__ import annotations

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
