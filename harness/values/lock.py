"""The lock of a matrix: which image, build and model file each name in it stood for when it was locked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedImage:
    """One image. It is had again by `digest` where it lies in a registry, else only as the image `id` on this machine.

    Attributes:
        build, ref: as the matrix names it; exactly one. source: of a build: which llama.cpp, where the matrix says so.
        digest: `sha256:...` under which the registry has it; empty where it is in none.
        id: content id in the engine of the machine that locked it; empty where there is a digest.
        recipe: of a built one: hash of everything that it was made from.
        build_number, build_commit: as its llama-bench prints them; None where it does not say.
        moving: the tag can mean another image tomorrow.
    """

    build: str = ""
    source: str = ""
    ref: str = ""
    digest: str = ""
    id: str = ""
    recipe: str = ""
    build_number: int | None = None
    build_commit: str | None = None
    moving: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedModel:
    """One model file. `source` says where it came from, as in the records."""

    sha256: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What `X.lock.yaml` holds.

    Attributes:
        matrix: name of the matrix file without its folder; matrix_sha256: of its bytes.
        locked_utc: when, RFC 3339; for people.
        images, models: by their names in the matrix.
        sha256: of the lock file's own bytes; empty before it is written.
    """

    matrix: str
    matrix_sha256: str
    locked_utc: str
    images: Mapping[str, LockedImage]
    models: Mapping[str, LockedModel]
    sha256: str = ""
