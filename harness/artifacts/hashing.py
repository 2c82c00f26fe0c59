"""SHA-256 of large files, remembered for as long as the file is provably the same one.

A file is taken to be unchanged when device, inode, size, modification time and change time are. The change time
cannot be set by ordinary means, so a replaced or edited file is always hashed again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.errors import InputError

Progress = Callable[[str, int | None, int | None], None]
"""Called with what is done, bytes done and bytes in all; may raise to stop the work."""

Say = Callable[[str], None]
"""Called with one line for the user."""

CACHE_FILE = "hashes.jsonl"
_CHUNK_BYTES = 4 << 20
_MAX_CACHE_BYTES = 8 << 20
_MAX_ENTRIES = 4096
_SETTLED_NS = 50_000_000
"""A change within one tick of the file system clock leaves the times as they are: younger files are not remembered."""
_UNCHANGED_BY_RENAMING = ("st_dev", "st_ino", "st_size", "st_mtime_ns")
_HEX = re.compile(r"[0-9a-f]{64}")


def quiet(*_: object) -> None:
    """Tell nobody: the default of every callback here."""


class HashCache:
    """Digests of files by identity, kept as JSON Lines in the cache folder.

    A cache file that is damaged, or cannot be written, costs a hash that is computed again, never a wrong one.

    Args:
        folder: the harness's cache folder; made when something is stored.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / CACHE_FILE

    def sha256(self, path: Path, *, force: bool = False, progress: Progress = quiet) -> str:
        """The hash of the whole file.

        Args:
            force: hash in full whatever is remembered.

        Raises:
            InputError: the file cannot be read, or changed while it was hashed.
        """
        return self.digest(path, "sha256", lambda: _sha256(path, progress), force=force)

    def digest(self, path: Path, kind: str, compute: Callable[[], str], *, force: bool = False) -> str:
        """Any digest that follows from the file's bytes alone: the remembered one, or else `compute()`.

        Args:
            kind: what sort of digest; part of the key.

        Raises:
            InputError: the file cannot be read, or changed while it was hashed.
        """
        started = time.time_ns()
        before = _identity(path)
        key = f"{kind}:{before}"
        if not force and (known := self._load().get(key)) is not None:
            return known
        value = compute()
        if _identity(path) != before:
            raise InputError(
                "changed while it was hashed", where=path.name, remedy="wait until it is written, then start again"
            )
        if started - int(before.rsplit("-", 1)[1]) > _SETTLED_NS:
            self._store(key, value)
        return value

    def carry_over(self, path: Path, sha256: str, before: os.stat_result) -> None:
        """Keep the hash of a file that was hashed and then renamed to `path`, which changes its change time.

        Args:
            before: of the file under its old name, after it was hashed. Nothing is kept if anything else changed.
        """
        with suppress(InputError, OSError):
            after = path.stat()
            if all(getattr(before, name) == getattr(after, name) for name in _UNCHANGED_BY_RENAMING):
                self._store(f"sha256:{_identity(path)}", sha256)

    def knows(self, path: Path, sha256: str) -> bool:
        """Whether this very file was hashed before, with this result. Reads no file content."""
        try:
            return self._load().get(f"sha256:{_identity(path)}") == sha256
        except InputError:
            return False

    def _load(self) -> dict[str, str]:
        try:
            with self._file.open("rb") as file:
                data = file.read(_MAX_CACHE_BYTES)
        except OSError:
            return {}
        entries: dict[str, str] = {}
        for line in data.splitlines():
            with suppress(ValueError, TypeError, KeyError, RecursionError):
                entry = json.loads(line)
                key, digest = entry["key"], entry["digest"]
                if isinstance(key, str) and isinstance(digest, str) and _HEX.fullmatch(digest):
                    entries[key] = digest
        return entries

    def _store(self, key: str, value: str) -> None:
        """Write all entries anew, under a lock, and put the file in place at once."""
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self._file.with_suffix(".lock")):
                entries = self._load()
                entries.pop(key, None)
                entries[key] = value
                newest = list(entries.items())[-_MAX_ENTRIES:]
                text = "".join(json.dumps({"key": k, "digest": v}) + "\n" for k, v in newest)
                replace_file(self._file, text.encode())


def file_identity(path: Path) -> str | None:
    """Names this very file in this very state, by its inode, size and times; None where it cannot be seen.

    A file that was exchanged or written to after its hash was taken has another identity. Never stored.
    """
    try:
        return _identity(path)
    except InputError:
        return None


def _identity(path: Path) -> str:
    try:
        s = path.stat()
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror or error}", where=path.name, remedy="check the path and its permissions"
        ) from error
    return f"{s.st_dev}-{s.st_ino}-{s.st_size}-{s.st_mtime_ns}-{s.st_ctime_ns}"


def _sha256(path: Path, progress: Progress) -> str:
    digest = hashlib.sha256()
    done = 0
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                done += len(chunk)
                progress(f"verifying {path.name}", done, size)
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror or error}", where=path.name, remedy="check the file and its disk"
        ) from error
    return digest.hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def replace_file(path: Path, data: bytes) -> None:
    """Put a small file of the cache in place at once; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".partial")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
