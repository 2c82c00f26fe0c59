"""A full or forbidden disk, told as what it is: with its folder, and what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import MachineError

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST})


@contextmanager
def disk_trouble(folder: Path, *, where: str, needed_bytes: int | None = None) -> Iterator[None]:
    """Tell of a full or forbidden disk as what it is.

    Args:
        folder: what is written to.
        where: what for, such as `model gemma3-270m`.

    Raises:
        MachineError: in place of the OSError that says so; other errors pass.
    """
    try:
        yield
    except OSError as error:
        needed = f"; the model needs {mib(needed_bytes)} MiB in all" if needed_bytes else ""
        if error.errno in _NO_SPACE:
            raise no_space(folder, where=where, needed=needed) from error
        if error.errno in _FORBIDDEN:
            raise MachineError(
                f"{folder} cannot be written: {error.strerror}",
                where=where,
                remedy="make the cache folder writable, or set XDG_CACHE_HOME to another one",
            ) from error
        raise


def no_space(folder: Path, *, where: str, needed: str = "") -> MachineError:
    """The error for a disk that became full."""
    return MachineError(
        f"no space left in {folder}{needed}",
        where=where,
        remedy="free space there, or set XDG_CACHE_HOME to a folder on a larger disk",
    )


def mib(n_bytes: int) -> int:
    """Whole MiB that hold so many bytes."""
    return -(-n_bytes // (1 << 20))
