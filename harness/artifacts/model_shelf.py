"""Where models lie in the cache, and how one is put there: locked, checked for space, whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.disk_trouble import disk_trouble, mib
from harness.artifacts.hashing import Say
from harness.errors import MachineError

MODELS_FOLDER = "models"
_LOCK_POLL_S = 0.2
_RESERVE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The place of one model.

    Attributes:
        folder: `<cache>/models/<key>`; the key is the hash of the file, or of the recipe of a synthetic model.
    """

    folder: Path

    @property
    def file(self) -> Path:
        """The whole and verified model."""
        return self.folder / "model.gguf"

    @property
    def partial(self) -> Path:
        """The model while it is written. What an interrupted start left is replaced."""
        return self.folder / "model.gguf.partial"

    @property
    def rejected(self) -> Path:
        """A complete file whose hash was not the one that was promised, kept for a look."""
        return self.folder / "model.gguf.rejected"

    @property
    def scratch(self) -> Path:
        """Downloads on their way to `partial`."""
        return self.folder / "download.partial"

    @property
    def hash_file(self) -> Path:
        """The hash of a synthetic model as it was when it was made."""
        return self.folder / "sha256"


def place_of(key: str, cache: Path) -> Place:
    """The place of the model with this key; nothing is made."""
    return Place(folder=cache / MODELS_FOLDER / key)


@contextmanager
def locked(place: Place, *, name: str, say: Say) -> Iterator[None]:
    """Hold the place against other harnesses. Waits for them, without end, and says so.

    Raises:
        MachineError: the cache folder cannot be written.
    """
    with disk_trouble(place.folder, where=f"model {name}"):
        place.folder.mkdir(parents=True, exist_ok=True)
        lock = (place.folder / "lock").open("ab")
    with lock:
        told = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    say(f"model {name}: another harness is getting it; waiting")
                    told = True
                time.sleep(_LOCK_POLL_S)
        yield


@contextmanager
def held(place: Place) -> Iterator[bool]:
    """Hold the place where nobody else does; whether it is held. Waits for nobody."""
    try:
        lock = (place.folder / "lock").open("ab")
    except OSError:
        yield False
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def unfinished(place: Place) -> tuple[Path, ...]:
    """The files of a download that did not end, with what the Hub's library keeps to continue it."""
    files = [place.partial, *place.scratch.rglob("*")]
    return tuple(path for path in files if path.is_file() or path.is_symlink())


def put_in_place(place: Place) -> None:
    """Make the written file durable and readable for the container's user, and give it its name at once."""
    place.partial.chmod(0o644)
    with place.partial.open("rb") as file:
        os.fsync(file.fileno())
    place.partial.replace(place.file)
    folder = os.open(place.folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def require_space(folder: Path, n_bytes: int, *, name: str) -> None:
    """Refuse before the work what the disk cannot hold.

    Raises:
        MachineError: with what is needed and what is free.
    """
    free = shutil.disk_usage(folder).free
    if free < n_bytes + _RESERVE_BYTES:
        raise MachineError(
            f"needs {mib(n_bytes + _RESERVE_BYTES)} MiB in {folder}, where {mib(free)} MiB are free",
            where=f"model {name}",
            remedy="free space there, or set XDG_CACHE_HOME to a folder on a larger disk",
        )


def clear(place: Place) -> None:
    """Remove what an interrupted start left; keeps a whole model, and a download that can be continued."""
    place.partial.unlink(missing_ok=True)
