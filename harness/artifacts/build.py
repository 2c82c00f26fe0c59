"""Images from `images/*.Dockerfile`: the core once for each base and source, then one library a backend.

Each built image carries the hash of everything it was made from, so that nothing is built twice.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.base_image import BaseImage, Host, base_tag, ensure_base
from harness.artifacts.build_log import BuildLog, Progress, build_error
from harness.artifacts.llama_source import KEPT, LlamaPin, fetch_source, read_pin, write_context
from harness.errors import InputError, MachineError
from harness.values.protocols import ImageStore, ImageStoreError

CORE = "core"
PIN_FILE = "llama.cpp.yaml"
CORE_REPOSITORY = "llama-bench-harness/core"
IMAGE_REPOSITORY = "llama-bench-harness/llama.cpp"
RECIPE_LABEL = "llama-bench-harness.recipe"
BASE_LABEL = "llama-bench-harness.base"
CORE_BYTES = 1_500_000_000
"""Free space for the core: compiler, sources and objects (0.7 GB) stay in the builder's cache, beside the context."""
BACKEND_BYTES = 1_500_000_000
"""Free space for a backend on top of the core; Vulkan takes 0.6 GB for its build and 0.5 GB for the image."""


Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that a built image is made from.

    Attributes:
        name: of the Dockerfile.
        pin: the source.
        base_id: content id of the base image.
        core_sha256: hash of what the core is made from.
        sha256: hash of what the image is made from.
    """

    name: str
    pin: LlamaPin
    base_id: str
    core_sha256: str
    sha256: str

    @property
    def core_tag(self) -> str:
        """Name of the core image."""
        return f"{CORE_REPOSITORY}:{self.pin.suite}-{self.core_sha256[:12]}"

    @property
    def tag(self) -> str:
        """Name of the image, in the manner of the official ones."""
        return image_tag(self.name, self.pin)

    @property
    def build_args(self) -> Mapping[str, str]:
        """Build arguments of the core, and with `CORE` those of the backend."""
        return {
            "BASE": base_tag(self.pin.suite),
            "LLAMA_BUILD_NUMBER": str(self.pin.build_number),
            "LLAMA_BUILD_COMMIT": self.pin.short_commit,
        }


def image_tag(name: str, pin: LlamaPin) -> str:
    """Name of the image that the Dockerfile `name` makes from the pinned source."""
    return f"{IMAGE_REPOSITORY}:full-{name}-b{pin.build_number}"


def builds_in(images: Path) -> tuple[str, ...]:
    """Names that `build:` can have: the Dockerfiles of backends."""
    names = (path.name.removesuffix(".Dockerfile") for path in images.glob("*.Dockerfile"))
    return tuple(sorted(name for name in names if name != CORE))


def check_build_name(name: str, images: Path) -> None:
    """Refuse a name that no Dockerfile has.

    Raises:
        InputError: with the names that exist, and the one that was probably meant.
    """
    known = builds_in(images)
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    meant = f". Did you mean {near[0]!r}?" if near else ""
    raise InputError(
        f"{name!r} is not one of {', '.join(known) or '(none)'}{meant}",
        where="build",
        remedy=f"name a Dockerfile of {images.name}/ without its ending, or add one: see {images.name}/README.md",
    )


def recipe_for(name: str, *, pin: LlamaPin, images: Path, base_id: str) -> Recipe:
    """The recipe of an image upon a given base."""
    core = _hash(
        {
            "base": base_id,
            "commit": pin.commit,
            "build_number": pin.build_number,
            "dockerfile": _dockerfile(CORE, images).decode(),
            "kept": list(KEPT),
            "source": pin.sha256,
        }
    )
    whole = _hash({"core": core, "dockerfile": _dockerfile(name, images).decode()})
    return Recipe(name=name, pin=pin, base_id=base_id, core_sha256=core, sha256=whole)


def present_build(name: str, *, pin: LlamaPin, images: Path, store: ImageStore) -> Recipe | None:
    """The recipe of the image that is there, if it is the one that would be built now; else None.

    A base image that was removed meanwhile is no reason to build again: the image remembers which it stands on.
    """
    described = store.inspect(image_tag(name, pin))
    if described is None:
        return None
    labels = labels_of(described)
    base = store.inspect(base_tag(pin.suite))
    base_id = str(base["Id"]) if base is not None else labels.get(BASE_LABEL, "")
    recipe = recipe_for(name, pin=pin, images=images, base_id=base_id)
    return recipe if labels.get(RECIPE_LABEL) == recipe.sha256 else None


def ensure_built(
    name: str,
    *,
    images: Path,
    store: ImageStore,
    cache: Path,
    say: Say,
    progress: Progress,
    host: Host | None = None,
    may_install: bool = True,
) -> Recipe:
    """The image of a Dockerfile, built with its base and core where they are not there.

    Args:
        name: of the Dockerfile, without its ending.
        images: the folder of Dockerfiles.
        store: the engine's images.
        cache: the harness's cache folder: source, logs.
        say: told each step, a line each.
        progress: told `(text, done, total)` many times while something is compiled; None where there is no count.
        host: the machine, for making a base image; this one if None.
        may_install: whether mmdebstrap may be installed.

    Raises:
        InputError: no such Dockerfile, a wrong pin, or a source that is not the pinned one.
        ArtifactError: base, source or build failed.
        MachineError: not enough disk space.
    """
    check_build_name(name, images)
    pin = read_pin(images / PIN_FILE)
    recipe = present_build(name, pin=pin, images=images, store=store)
    if recipe is not None:
        return recipe
    base = ensure_base(pin.suite, store=store, cache=cache, say=say, host=host, may_install=may_install)
    recipe = recipe_for(name, pin=pin, images=images, base_id=base.id)
    step = _Step(recipe=recipe, images=images, store=store, cache=cache, say=say, progress=progress)
    if store.inspect(recipe.core_tag) is None:
        _check_space(CORE_BYTES + BACKEND_BYTES, store, f"the core and {name}")
        source = fetch_source(pin, cache=cache, say=say)
        say(f"building the core of llama.cpp b{pin.build_number} (20 CPU-minutes or more, once)")
        step.build(CORE, tag=recipe.core_tag, build_args=recipe.build_args, labels={}, source=source)
    else:
        _check_space(BACKEND_BYTES, store, name)
    say(f"building {recipe.tag}")
    step.build(
        name,
        tag=recipe.tag,
        build_args={**recipe.build_args, "CORE": recipe.core_tag},
        labels=_labels(recipe, base),
        source=None,
    )
    return recipe


def labels_of(described: Mapping[str, object]) -> Mapping[str, str]:
    """Labels of an image in the engine's description of it."""
    config = described.get("Config")
    labels = config.get("Labels") if isinstance(config, Mapping) else None
    return {str(name): str(value) for name, value in labels.items()} if isinstance(labels, Mapping) else {}


def _labels(recipe: Recipe, base: BaseImage) -> Mapping[str, str]:
    """Only on the last image: on the core they would change its id, and every backend would be compiled again."""
    return {RECIPE_LABEL: recipe.sha256, BASE_LABEL: base.id}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One Dockerfile built, with what all of them share."""

    recipe: Recipe
    images: Path
    store: ImageStore
    cache: Path
    say: Say
    progress: Progress

    def build(
        self, name: str, *, tag: str, build_args: Mapping[str, str], labels: Mapping[str, str], source: Path | None
    ) -> None:
        folder = self.cache / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        with (
            BuildLog(folder / f"build-{name}.log", name=name, progress=self.progress) as log,
            tempfile.TemporaryFile(dir=folder) as context,
        ):
            self.progress(f"{name}: packing the build context", None, None)
            write_context(context, dockerfile=_dockerfile(name, self.images), source=source)
            context.seek(0)
            try:
                self.store.build(context, tag=tag, build_args=build_args, labels=labels, on_text=log.take)
            except ImageStoreError as error:
                log.take(f"\n{error.text}\n")
                raise build_error(name, error.text, log) from error


def _check_space(needed: int, store: ImageStore, what: str) -> None:
    free = store.free_bytes()
    if free is not None and free < needed:
        raise MachineError(
            f"building {what} needs {needed / 1e9:.1f} GB where the engine keeps its images, "
            f"and {free / 1e9:.1f} GB are free",
            remedy="free some space, for example with `docker image prune`, or move the engine's data folder",
        )


def _dockerfile(name: str, images: Path) -> bytes:
    path = images / f"{name}.Dockerfile"
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _hash(parts: Mapping[str, object]) -> str:
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
