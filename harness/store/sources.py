"""Where records of others are read from: folders, files, archives. Their names are looked at, and never used as paths.

Archives are unpacked within bounds into a folder of our own, under names of our own; links, devices, absolute names
and `..` have no meaning there, since only regular files of known kinds are read, each as a stream.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import IO

from harness.errors import InputError

MAX_FILES = 100_000
"""Of one archive or folder, whatever they are."""
MAX_UNPACKED_BYTES = 8 * 1024**3
"""Of one archive in all."""
MAX_RATIO = 200
FREE_BYTES = 64 * 1024**2
"""An archive may unpack to so many times its size; small ones may to this much in any case."""
MAX_SESSION_BYTES = 16 * 1024**2
_CHUNK = 1024**2
_TAR_ENDS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_SKIPPED = frozenset({"archive", "simulated"})


class Kind(StrEnum):
    """What a file of a report's folder holds."""

    RECORDS = "records"
    SESSION = "session"
    REPRODUCTION = "reproduction"
    IMPORTED = "imported"
    JOURNAL = "journal"
    MATRIX = "matrix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file.

    Attributes:
        kind: by its place. path: where it can be read now. shown: what the user knows it as.
    """

    kind: Kind
    path: Path
    shown: str


_FOLDERS = {
    ("records", ".jsonl"): Kind.RECORDS,
    ("sessions", ".json"): Kind.SESSION,
    ("reproductions", ".json"): Kind.REPRODUCTION,
    ("imports", ".jsonl"): Kind.IMPORTED,
    ("journal", ".jsonl"): Kind.JOURNAL,
    ("matrices", ".yaml"): Kind.MATRIX,
}


def kind_of(name: PurePosixPath) -> Kind | None:
    """What a file is by the end of its name; None for everything that is not read."""
    parts = name.parts
    if any(part.startswith(".") or part in _SKIPPED for part in parts[:-1]):
        return None
    if name.name == "matrix.yaml":
        return Kind.MATRIX
    return _FOLDERS.get((parts[-2] if len(parts) > 1 else "", name.suffix))


def find_parts(source: Path, workdir: Path) -> Iterator[Part]:
    """The files of a source.

    Args:
        source: a folder of a report or of several, a file of records with its sessions beside it, or an archive.
        workdir: an empty folder for what is unpacked; the caller removes it.

    Raises:
        InputError: there is nothing of ours in it, or it is larger than is read.
    """
    if source.is_dir():
        found = list(_of_folder(source))
    elif zipfile.is_zipfile(source) and source.suffix != ".jsonl":
        found = list(_of_zip(source, workdir))
    elif source.name.endswith(_TAR_ENDS):
        found = list(_of_tar(source, workdir))
    elif source.suffix == ".jsonl":
        found = list(_of_file(source))
    elif source.exists():
        raise InputError(
            "is no folder, no file of records and no archive that is read",
            where=str(source),
            remedy="Name a folder, a .jsonl file, a .zip or a .tar (also .gz, .bz2, .xz).",
        )
    else:
        raise InputError("there is no such file or folder", where=str(source), remedy="Look at the name.")
    if not any(part.kind in {Kind.RECORDS, Kind.IMPORTED} for part in found):
        raise InputError(
            "holds no records", where=str(source), remedy="Name a folder that holds `records/`, such as reports/demo."
        )
    yield from found


def _too_large(source: Path, what: str) -> InputError:
    return InputError(
        f"is not read: {what}", where=str(source), remedy="Unpack it yourself, look at it, and name the folder."
    )


def _of_folder(folder: Path) -> Iterator[Part]:
    count = 0
    for place, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        for name in sorted(files):
            count += 1
            if count > MAX_FILES:
                raise _too_large(folder, f"more than {MAX_FILES} files")
            path = Path(place) / name
            kind = kind_of(PurePosixPath(folder.name) / path.relative_to(folder).as_posix())
            if kind is not None and not path.is_symlink():
                yield Part(kind=kind, path=path, shown=str(path))


def _of_file(path: Path) -> Iterator[Part]:
    """A file of records, with the sessions of its folder: it is of no use without them."""
    kind = kind_of(PurePosixPath(path.absolute().as_posix())) or Kind.RECORDS
    yield Part(kind=kind, path=path, shown=str(path))
    if kind is Kind.RECORDS and path.absolute().parent.name == "records":
        for session in sorted((path.absolute().parent.parent / "sessions").glob(f"{path.stem}-*.json")):
            yield Part(kind=Kind.SESSION, path=session, shown=str(session))


class _Budget:
    """How much may still be unpacked from one archive: by what comes out, never by what its headers say."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.left = min(MAX_UNPACKED_BYTES, max(FREE_BYTES, MAX_RATIO * source.stat().st_size))
        self.files = 0

    def count_file(self) -> None:
        self.files += 1
        if self.files > MAX_FILES:
            raise _too_large(self.source, f"more than {MAX_FILES} files")

    def copy(self, stream: IO[bytes], target: Path) -> None:
        with target.open("xb") as file:
            while chunk := stream.read(_CHUNK):
                self.left -= len(chunk)
                if self.left < 0:
                    raise _too_large(self.source, "it unpacks to far more than its size")
                file.write(chunk)


def _of_zip(source: Path, workdir: Path) -> Iterator[Part]:
    budget = _Budget(source)
    try:
        with zipfile.ZipFile(source) as archive:
            for number, info in enumerate(archive.infolist()):
                budget.count_file()
                kind = kind_of(PurePosixPath(info.filename))
                if kind is None or info.is_dir():
                    continue
                target = workdir / f"{number}"
                with archive.open(info) as stream:
                    budget.copy(stream, target)
                yield Part(kind=kind, path=target, shown=f"{source.name}:{_inert(info.filename)}")
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise InputError(
            f"cannot be unpacked: {error}", where=str(source), remedy="Pack it again, without a password."
        ) from error


def _of_tar(source: Path, workdir: Path) -> Iterator[Part]:
    budget = _Budget(source)
    try:
        with tarfile.open(source, "r:*") as archive:
            for number, member in enumerate(archive):
                budget.count_file()
                kind = kind_of(PurePosixPath(member.name)) if member.isreg() and not member.issparse() else None
                stream = archive.extractfile(member) if kind is not None else None
                if kind is None or stream is None:
                    # What is passed over is unpacked too, and counts.
                    budget.left -= member.size
                    if budget.left < 0:
                        raise _too_large(source, "it unpacks to far more than its size")
                    continue
                target = workdir / f"{number}"
                budget.copy(stream, target)
                yield Part(kind=kind, path=target, shown=f"{source.name}:{_inert(member.name)}")
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise InputError(f"cannot be unpacked: {error}", where=str(source), remedy="Pack it again.") from error


def _inert(name: str) -> str:
    """A stranger's name for messages: printable and short."""
    return "".join(c if c.isprintable() else "?" for c in name)[:200]
