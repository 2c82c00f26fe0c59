"""What a Dockerfile of `images/` says about itself: its suite, whether it takes architectures, how much room it needs.

It is said in lines that a builder understands, or passes over, so that there is one place for it and a build by hand
reads the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError

BACKEND_BYTES = 1_500_000_000
"""Free space for an image on top of the core where its Dockerfile says nothing; Vulkan takes 0.6 GB for its build and
0.5 GB for the image."""

_BASE = re.compile(r"^ARG BASE=debian:([a-z]+)-slim$", re.MULTILINE)
_ARCHITECTURES = re.compile(r"^ARG ARCHITECTURES=\"([^\"]+)\"$", re.MULTILINE)
_CORE = re.compile(r"^ARG CORE$", re.MULTILINE)
_NEEDS = re.compile(r"^# needs: ([0-9]+) GB$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dockerfile:
    """A Dockerfile that was read.

    Attributes:
        name: without its ending; content: its bytes.
        suite: Debian suite of its base image, from the default of its argument `BASE`.
        architectures: the default of its argument `ARCHITECTURES`; empty where it has none.
        on_core: whether it starts from the core, by its argument `CORE`; else it is built from the source by itself.
        needs_bytes: free space that a build takes where the engine keeps its images.
    """

    name: str
    content: bytes
    suite: str
    architectures: tuple[str, ...]
    needs_bytes: int
    on_core: bool


def read_dockerfile(name: str, images: Path) -> Dockerfile:
    """Read `NAME.Dockerfile`.

    Raises:
        InputError: it cannot be read, or does not say which suite it stands on.
    """
    path = images / f"{name}.Dockerfile"
    try:
        content = path.read_bytes()
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {getattr(error, 'strerror', error)}", where=str(path)) from error
    base = _BASE.search(text)
    if base is None:
        raise InputError(
            "does not say which suite it stands on",
            where=str(path),
            remedy="begin it with a line such as `ARG BASE=debian:trixie-slim`",
        )
    architectures = _ARCHITECTURES.search(text)
    needs = _NEEDS.search(text)
    return Dockerfile(
        name=name,
        content=content,
        suite=base[1],
        architectures=tuple(architectures[1].split()) if architectures else (),
        needs_bytes=int(needs[1]) * 1_000_000_000 if needs else BACKEND_BYTES,
        on_core=_CORE.search(text) is not None,
    )


def check_architectures(name: str, architectures: Sequence[str], images: Path) -> None:
    """Refuse architectures for a build that compiles for none.

    Raises:
        InputError: its Dockerfile has no argument for them.
    """
    if architectures and not read_dockerfile(name, images).architectures:
        raise InputError(
            f"{name!r} is compiled for no GPU, so there is nothing to choose",
            where="architectures",
            remedy="leave `architectures` out",
        )
