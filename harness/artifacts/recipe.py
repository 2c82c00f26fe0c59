"""The recipe of an image that is built here: everything that it is made from, in one hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.base_image import base_tag
from harness.artifacts.dockerfile import read_dockerfile
from harness.artifacts.llama_source import KEPT, LlamaPin

CORE = "core"
CORE_REPOSITORY = "llama-bench-harness/core"
IMAGE_REPOSITORY = "llama-bench-harness/llama.cpp"
TAG_CHARACTERS = 60
"""Of the architectures in a tag; where they are longer it has a hash of them instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that a built image is made from.

    Attributes:
        name: of the Dockerfile.
        pin: the source.
        architectures: what it is compiled for, as the driver names it; empty for the Dockerfile's own choice.
        suite, base_id: Debian suite and content id of the base image.
        core_suite, core_base_id: of the base image that the core stands on: the same, or an older one.
        core_sha256: hash of what the core is made from; empty for an image that stands on none.
        sha256: hash of what the image is made from.
    """

    name: str
    pin: LlamaPin
    architectures: tuple[str, ...]
    suite: str
    base_id: str
    core_suite: str
    core_base_id: str
    core_sha256: str
    sha256: str

    @property
    def core_tag(self) -> str:
        """Name of the core image."""
        return f"{CORE_REPOSITORY}:{self.core_suite}-{self.core_sha256[:12]}"

    @property
    def tag(self) -> str:
        """Name of the image, in the manner of the official ones."""
        return image_tag(self.name, self.pin, self.architectures, on_core=bool(self.core_sha256))

    @property
    def core_args(self) -> Mapping[str, str]:
        """Build arguments of the core."""
        return {
            "BASE": base_tag(self.core_suite),
            "LLAMA_BUILD_NUMBER": str(self.pin.build_number),
            "LLAMA_BUILD_COMMIT": self.pin.short_commit,
        }

    @property
    def build_args(self) -> Mapping[str, str]:
        """Build arguments of the image."""
        chosen = {"ARCHITECTURES": " ".join(self.architectures)} if self.architectures else {}
        core = {"CORE": self.core_tag} if self.core_sha256 else {}
        return {**self.core_args, "BASE": base_tag(self.suite), **core, **chosen}


def image_tag(name: str, pin: LlamaPin, architectures: Sequence[str] = (), *, on_core: bool = True) -> str:
    """Name of the image that the Dockerfile `name` makes from the pinned source for these architectures.

    Only what stands on the core has all tools, which is what `full` means in the official names.
    """
    tag = f"full-{name}-b{pin.build_number}" if on_core else f"{name}-b{pin.build_number}"
    chosen = "-".join(normal(architectures))
    if len(chosen) > TAG_CHARACTERS:
        chosen = hashlib.sha256(chosen.encode()).hexdigest()[:12]
    return f"{IMAGE_REPOSITORY}:{tag}-{chosen}" if chosen else f"{IMAGE_REPOSITORY}:{tag}"


def normal(architectures: Sequence[str]) -> tuple[str, ...]:
    """Architectures in the order in which they are compiled: their order in a matrix means nothing."""
    return tuple(sorted(set(architectures)))


def recipe_for(
    name: str, *, pin: LlamaPin, images: Path, bases: Mapping[str, str], architectures: Sequence[str] = ()
) -> Recipe:
    """The recipe of an image upon given bases.

    Args:
        bases: content ids of base images, by suite: that of the core and that of the image.
    """
    own_file = read_dockerfile(name, images)
    # What holds the source: the core, or the image itself.
    core_file = read_dockerfile(CORE, images) if own_file.on_core else own_file
    core = _hash(
        {
            "base": bases[core_file.suite],
            "commit": pin.commit,
            "build_number": pin.build_number,
            "dockerfile": core_file.content.decode(),
            "kept": list(KEPT),
            "source": pin.sha256,
        }
    )
    parts: dict[str, object] = {"core": core, "dockerfile": own_file.content.decode()}
    if own_file.suite != core_file.suite:
        parts["base"] = bases[own_file.suite]
    if architectures:
        parts["architectures"] = list(normal(architectures))
    return Recipe(
        name=name,
        pin=pin,
        architectures=normal(architectures),
        suite=own_file.suite,
        base_id=bases[own_file.suite],
        core_suite=core_file.suite,
        core_base_id=bases[core_file.suite],
        core_sha256=core if own_file.on_core else "",
        sha256=_hash(parts),
    )


def _hash(parts: Mapping[str, object]) -> str:
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
