"""Hashes of llama.cpp's programs and libraries in an image: the same build is the same bytes, whatever it is called.

They are read from a container that is created and never started, once an image, since a content id names its content.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from harness.artifacts.answers import kept_as
from harness.artifacts.hashing import replace_file
from harness.values.protocols import ImageStore, ImageStoreError

MAX_FILES = 1000
MAX_BYTES = 64 * 1024**3
"""Of everything in the folder. An image is others' work, and a file with holes claims any size; the largest that are
known, for many GPU architectures, hold some gigabytes."""
_FORMAT = 1
_CHUNK_BYTES = 1 << 20
_OURS = re.compile(r"llama-[a-z0-9-]+|(lib)?(ggml|llama|mtmd)[A-Za-z0-9._-]*\.so[.0-9]*|lib[A-Za-z0-9._-]+\.so[.0-9]*")
"""Programs and libraries; scripts, converters and documentation beside them do not compute."""


class _Stream:
    """Pieces as a file that is read from the front."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def read(self, count: int) -> bytes:
        """At most `count` bytes; as many where there are more pieces, since tarfile takes fewer for the end."""
        while len(self._rest) < count and (piece := next(self._pieces, None)) is not None:
            self._rest += piece
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken


def hash_archive(pieces: Iterator[bytes]) -> dict[str, str]:
    """SHA-256 of the programs and libraries in a tar stream, by their path in it, sorted. Links are left out.

    Raises:
        ValueError: it is no tar stream, or holds more than any llama.cpp.
    """
    found: dict[str, str] = {}
    claimed = 0
    try:
        stream = cast("IO[bytes]", _Stream(pieces))
        with tarfile.open(fileobj=stream, mode="r|", bufsize=_CHUNK_BYTES) as tar:
            for member in tar:
                claimed += member.size
                if claimed > MAX_BYTES:
                    raise ValueError(f"more than {MAX_BYTES // 1024**3} GiB")
                if not member.isfile() or not _OURS.fullmatch(Path(member.name).name):
                    continue
                file = tar.extractfile(member)
                digest = hashlib.sha256()
                while file is not None and (chunk := file.read(_CHUNK_BYTES)):
                    digest.update(chunk)
                found[member.name] = digest.hexdigest()
                if len(found) > MAX_FILES:
                    raise ValueError(f"more than {MAX_FILES} programs and libraries")
    except tarfile.TarError as error:
        raise ValueError(f"no archive: {error}") from error
    return dict(sorted(found.items()))


def image_binaries(image: str, folder: str, *, store: ImageStore, cache: Path) -> dict[str, str] | str:
    """The hashes for an image, or why they cannot be had.

    Args:
        image: content id. folder: where llama-bench lies in it.

    Raises:
        EngineError: the engine went away.
    """
    path = kept_as(image, folder, cache, what="binaries.json")
    known = _read(path)
    if known:
        return known
    try:
        found = hash_archive(store.export(image, folder))
    except ImageStoreError as error:
        return f"the engine does not hand out the folder {folder}: {error.text}"
    except ValueError as error:
        return f"the folder {folder} cannot be read: {error}"
    if not found:
        return f"the folder {folder} holds no program or library of llama.cpp"
    replace_file(path, json.dumps({"format": _FORMAT, "sha256": found}, indent=1).encode())
    return found


def _read(path: Path) -> dict[str, str]:
    """Empty where it was never read, or what is kept is damaged: then it is read again."""
    try:
        kept = json.loads(path.read_bytes())
        if kept["format"] != _FORMAT:
            return {}
        return {str(name): str(digest) for name, digest in kept["sha256"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
