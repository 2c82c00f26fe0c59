"""Images from `images/*.Dockerfile`: the core once for each base and source, then one library a backend.

Each built image carries the hash of everything it was made from, so that nothing is built twice.
"""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.base_image import Host, base_tag, ensure_base
from harness.artifacts.build_log import BuildLog, Progress, build_error
from harness.artifacts.dockerfile import Dockerfile, check_architectures, read_dockerfile
from harness.artifacts.llama_source import LlamaPin, fetch_source, write_context
from harness.artifacts.pins import read_source
from harness.artifacts.recipe import CORE, Recipe, image_tag, recipe_for
from harness.errors import InputError, MachineError
from harness.values.protocols import ImageStore, ImageStoreError

RECIPE_LABEL = "llama-bench-harness.recipe"
BASE_LABEL = "llama-bench-harness.base"
CORE_BYTES = 1_500_000_000
"""Free space for the core: compiler, sources and objects (0.7 GB) stay in the builder's cache, beside the context."""
CORE_BASE_LABEL = "llama-bench-harness.core-base"
"""Only where the core stands on another base than the image."""


Say = Callable[[str], None]


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


def present_build(
    name: str, *, pin: LlamaPin, images: Path, store: ImageStore, architectures: Sequence[str] = ()
) -> Recipe | None:
    """The recipe of the image that is there, if it is the one that would be built now; else None.

    A base image that was removed meanwhile is no reason to build again: the image remembers which it stands on.
    """
    own_file = read_dockerfile(name, images)
    described = store.inspect(image_tag(name, pin, architectures, on_core=own_file.on_core))
    if described is None:
        return None
    labels = labels_of(described)
    own_base = labels.get(BASE_LABEL, "")
    bases = {own_file.suite: own_base}
    if own_file.on_core:
        bases[read_dockerfile(CORE, images).suite] = labels.get(CORE_BASE_LABEL, own_base)
    for known in bases:
        base = store.inspect(base_tag(known))
        if base is not None:
            bases[known] = str(base["Id"])
    recipe = recipe_for(name, pin=pin, images=images, bases=bases, architectures=architectures)
    return recipe if labels.get(RECIPE_LABEL) == recipe.sha256 else None


def ensure_built(
    name: str,
    *,
    images: Path,
    store: ImageStore,
    cache: Path,
    say: Say,
    progress: Progress,
    llama_source: str = "",
    architectures: Sequence[str] = (),
    host: Host | None = None,
    may_install: bool = True,
) -> Recipe:
    """The image of a Dockerfile, built with its bases and core where they are not there.

    Args:
        name: of the Dockerfile, without its ending.
        images: the folder of Dockerfiles.
        store: the engine's images.
        cache: the harness's cache folder: source, logs.
        say: told each step, a line each.
        progress: told `(text, done, total)` many times while something is compiled; None where there is no count.
        llama_source: name of a source in `images/sources/`; empty for the one that everything is built from.
        architectures: what to compile for; empty for the Dockerfile's own choice.
        host: the machine, for making a base image; this one if None.
        may_install: whether mmdebstrap may be installed.

    Raises:
        InputError: no such Dockerfile or source, architectures for one that takes none, a wrong pin, or what was
            fetched is not what is pinned.
        ArtifactError: base, source or build failed.
        MachineError: not enough disk space.
    """
    check_build_name(name, images)
    check_architectures(name, architectures, images)
    pin = read_source(llama_source, images)
    recipe = present_build(name, pin=pin, images=images, store=store, architectures=architectures)
    if recipe is not None:
        return recipe
    own_file = read_dockerfile(name, images)
    bases = {
        suite: ensure_base(suite, store=store, cache=cache, say=say, host=host, may_install=may_install).id
        for suite in dict.fromkeys((read_dockerfile(CORE, images).suite, own_file.suite)[not own_file.on_core :])
    }
    recipe = recipe_for(name, pin=pin, images=images, bases=bases, architectures=architectures)
    step = _Step(images=images, store=store, cache=cache, progress=progress)
    source: Path | None = None
    if not own_file.on_core:
        _check_space(own_file.needs_bytes, store, name)
        source = fetch_source(pin, cache=cache, say=say)
    elif store.inspect(recipe.core_tag) is None:
        _check_space(CORE_BYTES + own_file.needs_bytes, store, f"the core and {name}")
        fetched = fetch_source(pin, cache=cache, say=say)
        say(f"building the core of llama.cpp b{pin.build_number} (20 CPU-minutes or more, once)")
        step.build(CORE, tag=recipe.core_tag, build_args=recipe.core_args, labels={}, source=fetched)
    else:
        _check_space(own_file.needs_bytes, store, name)
    say(f"building {recipe.tag}{_cost(own_file)}")
    step.build(name, tag=recipe.tag, build_args=recipe.build_args, labels=_labels(recipe), source=source)
    return recipe


def labels_of(described: Mapping[str, object]) -> Mapping[str, str]:
    """Labels of an image in the engine's description of it."""
    config = described.get("Config")
    labels = config.get("Labels") if isinstance(config, Mapping) else None
    return {str(name): str(value) for name, value in labels.items()} if isinstance(labels, Mapping) else {}


def _labels(recipe: Recipe) -> Mapping[str, str]:
    """Only on the last image: on the core they would change its id, and every backend would be compiled again."""
    labels = {RECIPE_LABEL: recipe.sha256, BASE_LABEL: recipe.base_id}
    return labels if recipe.core_base_id == recipe.base_id else {**labels, CORE_BASE_LABEL: recipe.core_base_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One Dockerfile built, with what all of them share."""

    images: Path
    store: ImageStore
    cache: Path
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
            write_context(context, dockerfile=read_dockerfile(name, self.images).content, source=source)
            context.seek(0)
            try:
                self.store.build(context, tag=tag, build_args=build_args, labels=labels, on_text=log.take)
            except ImageStoreError as error:
                log.take(f"\n{error.text}\n")
                raise build_error(name, error.text, log) from error


def _cost(file: Dockerfile) -> str:
    return f" ({file.needs_bytes / 1e9:.0f} GB; a GPU's compiler takes an hour or more)" if file.architectures else ""


def _check_space(needed: int, store: ImageStore, what: str) -> None:
    free = store.free_bytes()
    if free is not None and free < needed:
        raise MachineError(
            f"building {what} needs {needed / 1e9:.1f} GB where the engine keeps its images, "
            f"and {free / 1e9:.1f} GB are free",
            remedy="free some space, for example with `docker image prune`, or move the engine's data folder",
        )
