"""GGUF headers, read within bounds: the files come from strangers.

No memory is taken for a number that the file only claims: every count is first held against what is left of the
file. Large arrays (vocabularies) are walked over, not kept. Only what llama.cpp would load is accepted.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from harness.formats.gguf_header import ArraySummary, GgufError, GgufHeader, Tensor
from harness.formats.gguf_types import SCALAR_FORMATS, TENSOR_TYPES, ValueType

__all__ = ["ArraySummary", "GgufError", "GgufHeader", "Tensor", "read_header", "read_header_of", "tensors_sha256"]

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_TENSORS = 100_000
MAX_METADATA = 100_000
MAX_KEY_BYTES = 65_535
MAX_NAME_BYTES = 63
"""llama.cpp refuses longer tensor names."""
MAX_DIMENSIONS = 4
MAX_ELEMENTS = (1 << 63) - 1
MAX_STRING_BYTES = 16 << 20
MAX_TEXT_BYTES = 32 << 20
"""Of all keys, names and texts together: they are kept, one character can take four bytes, and the bytes of a file with
holes cost nobody a disk. Chat templates are the largest, with tens of kilobytes."""
MAX_HEADER_BYTES = 512 << 20
MAX_ARRAY_STRINGS = 4_000_000
"""Strings in all arrays together: each costs a step. Large vocabularies have about a million with their merges."""
MAX_ALIGNMENT = 1 << 20
KEPT_ELEMENTS = 512
DEFAULT_ALIGNMENT = 32
_CHUNK_BYTES = 8 << 20
_ARCHITECTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def read_header(path: Path) -> GgufHeader:
    """Read and check the header of a GGUF file, version 2 or 3.

    Raises:
        GgufError: it cannot be read, is no GGUF, is cut off, is one part of several, or claims what cannot be.
    """
    try:
        with _open(path) as file:
            return _Reader(file, path, os.fstat(file.fileno()).st_size).header()
    except OSError as error:
        raise GgufError(
            f"cannot be read: {error.strerror or error}",
            path=path,
            offset=0,
            remedy="check the path and its permissions",
        ) from error


def read_header_of(file: BinaryIO, *, name: str, size: int) -> GgufHeader:
    """Read and check a header from anything that can be read and sought, such as a file that lies elsewhere.

    Args:
        name: in messages.
        size: of the whole file, in bytes.

    Raises:
        GgufError: as `read_header`. OSError: of the file object.
    """
    return _Reader(file, Path(name), size).header()


def tensors_sha256(path: Path, header: GgufHeader, *, progress: Callable[[int, int], None] | None = None) -> str:
    """Hash names, types, shapes and data of all tensors in the order of their names.

    Equal for files that differ in metadata, padding or the order of tensors only.

    Args:
        progress: called with bytes done and bytes in all.

    Raises:
        GgufError: the file is shorter than its header says, or cannot be read.
    """
    digest = hashlib.sha256()
    total = sum(tensor.size_bytes for tensor in header.tensors)
    done = 0
    try:
        with _open(path) as file:
            for tensor in sorted(header.tensors, key=lambda t: t.name):
                digest.update(json.dumps([tensor.name, tensor.type, tensor.shape, tensor.size_bytes]).encode() + b"\n")
                start = header.data_offset + tensor.offset
                file.seek(start)
                left = tensor.size_bytes
                while left:
                    chunk = file.read(min(left, _CHUNK_BYTES))
                    if not chunk:
                        raise GgufError(f"the file ends within tensor {tensor.name!r}", path=path, offset=start)
                    digest.update(chunk)
                    left -= len(chunk)
                    done += len(chunk)
                    if progress is not None:
                        progress(done, total)
    except OSError as error:
        raise GgufError(f"cannot be read: {error.strerror or error}", path=path, offset=0) from error
    return digest.hexdigest()


def _open(path: Path) -> BinaryIO:
    """Open a regular file. A pipe or device would be waited for, so it is refused before it is read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise GgufError("is not a regular file", path=path, offset=0, remedy="name the GGUF file itself")
    return os.fdopen(descriptor, "rb")


class _Reader:
    """Walks through a header from its first byte; knows at every step how many bytes can still come."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self.file = file
        self.path = path
        self.size = size
        self.end = min(size, MAX_HEADER_BYTES)
        self.position = 0
        self.strings = 0
        self.text_bytes = 0

    def fail(self, what: str, *, remedy: str = "") -> GgufError:
        return GgufError(what, path=self.path, offset=self.position, remedy=remedy)

    def need(self, n_bytes: int, what: str) -> None:
        """Fail unless so many bytes are left in the header."""
        if n_bytes > self.end - self.position:
            if self.end < self.size:
                raise self.fail(f"{what} would make the header larger than {MAX_HEADER_BYTES >> 20} MiB")
            left = self.end - self.position
            raise self.fail(f"{what} needs {n_bytes} bytes, but the file ends after {left}: it is cut off or damaged")

    def read(self, n_bytes: int, what: str) -> bytes:
        self.need(n_bytes, what)
        data = self.file.read(n_bytes)
        if len(data) != n_bytes:
            raise self.fail(f"{what} cannot be read: the file became shorter while it was read")
        self.position += n_bytes
        return data

    def skip(self, n_bytes: int, what: str) -> None:
        self.need(n_bytes, what)
        self.file.seek(n_bytes, os.SEEK_CUR)
        self.position += n_bytes

    def number(self, form: str, what: str) -> int:
        (value,) = struct.unpack(form, self.read(struct.calcsize(form), what))
        return int(value)

    def text(self, what: str, *, limit: int, strict: bool = False) -> str:
        length = self.number("<Q", f"the length of {what}")
        if length > limit:
            raise self.fail(f"{what} claims {length} bytes; at most {limit} are accepted")
        self.text_bytes += length
        if self.text_bytes > MAX_TEXT_BYTES:
            raise self.fail(f"{what} would make its texts longer than {MAX_TEXT_BYTES >> 20} MiB in all")
        data = self.read(length, what)
        try:
            return data.decode("utf-8", errors="strict" if strict else "replace")
        except UnicodeDecodeError as error:
            raise self.fail(f"{what} is not UTF-8") from error

    def header(self) -> GgufHeader:
        version = self.preamble()
        n_tensors = self.count("tensors", limit=MAX_TENSORS, least_bytes=24)
        n_metadata = self.count("metadata entries", limit=MAX_METADATA, least_bytes=13)
        metadata: dict[str, object] = {}
        for index in range(n_metadata):
            key = self.text(f"metadata key {index}", limit=MAX_KEY_BYTES, strict=True)
            if not key or key in metadata:
                raise self.fail(f"metadata key {index}, {key[:80]!r}, is {'there twice' if key else 'empty'}")
            metadata[key] = self.value(key)
        self.check_metadata(metadata)
        alignment = self.alignment(metadata)
        tensors: dict[str, Tensor] = {}
        for index in range(n_tensors):
            tensor = self.tensor(index, alignment)
            if tensor.name in tensors:
                raise self.fail(f"tensor {tensor.name!r} is there twice")
            tensors[tensor.name] = tensor
        data_offset = -(-self.position // alignment) * alignment
        self.check_places(tensors.values(), data_offset)
        return GgufHeader(
            version=version,
            metadata=MappingProxyType(metadata),
            tensors=tuple(tensors.values()),
            alignment=alignment,
            data_offset=data_offset,
            size_bytes=self.size,
        )

    def preamble(self) -> int:
        """Magic and version."""
        magic = self.read(min(len(MAGIC), self.size), "the magic number")
        if magic != MAGIC:
            self.position = 0
            raise self.fail(f"is no GGUF file: it begins with {magic!r} instead of {MAGIC!r}")
        version = self.number("<I", "the version")
        if version & 0xFFFF == 0:
            raise self.fail("is a big-endian GGUF, which llama.cpp does not load on this machine")
        if version not in VERSIONS:
            raise self.fail(f"is GGUF version {version}; versions 2 and 3 are read")
        return version

    def count(self, what: str, *, limit: int, least_bytes: int) -> int:
        """A count of entries that take at least so many bytes each."""
        n = self.number("<Q", f"the number of {what}")
        if n > limit:
            raise self.fail(f"claims {n} {what}; at most {limit} are accepted")
        self.need(n * least_bytes, f"{n} {what}")
        return n

    def value(self, key: str) -> object:
        """One metadata value, with its type before it."""
        kind = self.value_type(key)
        if kind is ValueType.STRING:
            return self.text(f"the value of {key!r}", limit=MAX_STRING_BYTES)
        if kind is ValueType.ARRAY:
            return self.array(key)
        return self.scalars(key, kind, 1)[0]

    def value_type(self, key: str) -> ValueType:
        number = self.number("<I", f"the type of {key!r}")
        try:
            return ValueType(number)
        except ValueError as error:
            raise self.fail(f"the value of {key!r} has the unknown type {number}") from error

    def scalars(self, key: str, kind: ValueType, n: int) -> tuple[object, ...]:
        form = SCALAR_FORMATS[kind]
        data = self.read(n * struct.calcsize(form), f"the value of {key!r}")
        return tuple(value for (value,) in struct.iter_unpack(form, data))

    def array(self, key: str) -> object:
        kind = self.value_type(key)
        n = self.number("<Q", f"the length of {key!r}")
        if kind is ValueType.ARRAY:
            raise self.fail(f"the value of {key!r} is an array of arrays, which llama.cpp does not load")
        if kind is not ValueType.STRING:
            if n <= KEPT_ELEMENTS:
                return self.scalars(key, kind, n)
            self.skip(n * struct.calcsize(SCALAR_FORMATS[kind]), f"the array {key!r} of {n} elements")
            return ArraySummary(element_type=kind.name, length=n)
        self.need(n * 8, f"the array {key!r} of {n} strings")
        self.strings += n
        if self.strings > MAX_ARRAY_STRINGS:
            raise self.fail(f"the arrays claim more than {MAX_ARRAY_STRINGS} strings")
        self.walk_strings(key, n)
        return ArraySummary(element_type=kind.name, length=n)

    def walk_strings(self, key: str, n: int) -> None:
        """Step over strings. The innermost loop of large vocabularies, so it is written for speed."""
        what = f"a string in {key!r}"
        read, seek = self.file.read, self.file.seek
        for _ in range(n):
            length = int.from_bytes(read(8), "little")
            if length > MAX_STRING_BYTES:
                raise self.fail(f"{what} claims {length} bytes; at most {MAX_STRING_BYTES} are accepted")
            if length + 8 > self.end - self.position:
                self.need(length + 8, what)
            seek(length, os.SEEK_CUR)
            self.position += length + 8

    def check_metadata(self, metadata: Mapping[str, object]) -> None:
        """What the harness itself relies upon."""
        architecture = metadata.get("general.architecture")
        if not isinstance(architecture, str) or not _ARCHITECTURE.fullmatch(architecture):
            raise self.fail("has no readable general.architecture")
        parts = metadata.get("split.count")
        if isinstance(parts, int) and parts > 1:
            raise self.fail(
                f"split GGUF: it is one of {parts} files, which cannot be verified and mounted as one",
                remedy="merge the files with `llama-gguf-split --merge FIRST-PART WHOLE.gguf`",
            )

    def alignment(self, metadata: Mapping[str, object]) -> int:
        value = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if (
            not isinstance(value, int)
            or isinstance(value, bool)
            or not 0 < value <= MAX_ALIGNMENT
            or value & (value - 1)
        ):
            raise self.fail(f"general.alignment is {value!r}; it must be a power of two up to {MAX_ALIGNMENT}")
        return value

    def tensor(self, index: int, alignment: int) -> Tensor:
        name = self.text(f"the name of tensor {index}", limit=MAX_NAME_BYTES, strict=True)
        n_dims = self.number("<I", f"the dimensions of {name!r}")
        if n_dims > MAX_DIMENSIONS:
            raise self.fail(f"tensor {name!r} claims {n_dims} dimensions; at most {MAX_DIMENSIONS} are possible")
        shape = tuple(self.number("<Q", f"the shape of {name!r}") for _ in range(n_dims))
        elements = 1
        for extent in shape:
            elements *= extent
            if extent > MAX_ELEMENTS or elements > MAX_ELEMENTS:
                raise self.fail(f"tensor {name!r} has the shape {shape}, which no memory holds")
        type_number = self.number("<I", f"the type of {name!r}")
        stored = TENSOR_TYPES.get(type_number)
        if stored is None:
            raise self.fail(f"tensor {name!r} has the unknown type {type_number}")
        if (shape[0] if shape else 1) % stored.block:
            raise self.fail(
                f"tensor {name!r} of type {stored.name} has rows that are not whole blocks of {stored.block}"
            )
        offset = self.number("<Q", f"the offset of {name!r}")
        if offset % alignment:
            raise self.fail(f"tensor {name!r} begins at offset {offset}, which is not a multiple of {alignment}")
        size = elements // stored.block * stored.size_bytes
        return Tensor(name=name, shape=shape, type=stored.name, offset=offset, size_bytes=size)

    def check_places(self, tensors: Iterable[Tensor], data_offset: int) -> None:
        """Every tensor lies within the file and upon no other, so that reading all of them reads no byte twice."""
        end = 0
        for tensor in sorted(tensors, key=lambda t: (t.offset, t.size_bytes)):
            if tensor.offset < end:
                raise self.fail(f"tensor {tensor.name!r} lies upon another one")
            end = tensor.offset + tensor.size_bytes
            if data_offset + end > self.size:
                missing = data_offset + end - self.size
                raise self.fail(
                    f"the file ends {missing} bytes before the end of tensor {tensor.name!r}: it is cut off"
                )
