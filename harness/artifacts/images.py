"""From an entry of `images:` in a matrix to an image that is present and known: had, then asked about itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.answers import Answers, Probe, ask, known_answers
from harness.artifacts.base_image import Host
from harness.artifacts.build import (
    BASE_LABEL,
    RECIPE_LABEL,
    Say,
    check_build_name,
    ensure_built,
    labels_of,
    present_build,
)
from harness.artifacts.build_log import Progress
from harness.artifacts.disk_trouble import disk_trouble
from harness.artifacts.dockerfile import check_architectures, read_dockerfile
from harness.artifacts.pins import read_source
from harness.artifacts.pull import digest_of, ensure_pulled, parse_reference
from harness.artifacts.recipe import image_tag, normal
from harness.errors import ArtifactError, InputError
from harness.values.facts import ImageFacts
from harness.values.failure import Reason
from harness.values.image_names import build_of, is_moving
from harness.values.matrix import ImageSource
from harness.values.protocols import ImageStore

IMAGES = Path(__file__).resolve().parents[2] / "images"
"""The Dockerfiles of this checkout."""
VERSION_LABEL = "org.opencontainers.image.version"
REVISION_LABEL = "org.opencontainers.image.revision"
SIMULATED_LABEL = "llama-bench-harness.simulated"
"""On images made for tests: nothing from them can be published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """One line of `invoke images`.

    Attributes:
        name: its key in the matrix, or the build's name.
        origin: `images/cpu.Dockerfile`, or the reference.
        tag: what the engine calls it.
        present: whether it is there, as it would be used now.
        size_bytes: of the image; None where it is absent.
        build: such as `b11312 (0c1e57098)`; empty where unknown.
        note: why an image that is there is not used; empty otherwise.
    """

    name: str
    origin: str
    tag: str
    present: bool
    size_bytes: int | None = None
    build: str = ""
    note: str = ""


def check_image_source(source: ImageSource, *, images: Path = IMAGES) -> None:
    """Refuse what can be seen to be wrong without an engine.

    Raises:
        InputError: neither or both of `build` and `ref`, an unknown build, or a malformed reference.
    """
    if bool(source.build) == bool(source.ref):
        raise InputError("needs exactly one of `build` and `ref`", where=f"image {source.name}")
    if source.build:
        check_build_name(source.build, images)
        check_architectures(source.build, source.architectures, images)
        read_source(source.llama_source, images)
    else:
        parse_reference(source.ref)


def prepare_image(
    source: ImageSource,
    *,
    store: ImageStore,
    probe: Probe,
    cache: Path,
    say: Say,
    progress: Progress,
    images: Path = IMAGES,
    host: Host | None = None,
    may_install: bool = True,
    sleep: Callable[[float], None] = time.sleep,
) -> ImageFacts:
    """Build or pull an image where it is absent, and learn what its llama-bench can do.

    Args:
        source: the entry of the matrix.
        store: the engine's images.
        probe: runs its llama-bench once or twice, without a device.
        cache: the harness's cache folder.
        say: told each step, a line each.
        progress: told `(text, done, total)` while something takes long.
        images: the folder of Dockerfiles.
        host: the machine, for making a base image; this one if None.
        may_install: whether mmdebstrap may be installed.
        sleep: waits between attempts to pull.

    Raises:
        InputError: unknown build, malformed reference, a source that is not the pinned one, or a locked image that is
            not here.
        ArtifactError: it cannot be had, or has no llama-bench that runs.
        MachineError: not enough disk space, or the cache cannot be written.
    """
    check_image_source(source, images=images)
    with disk_trouble(cache, where=f"image {source.name}"):
        ref = source.origin
        described: Mapping[str, object] | None
        if source.image_id:
            described = _as_locked(source, ref, store)
        elif source.build:
            recipe = ensure_built(
                source.build,
                images=images,
                store=store,
                cache=cache,
                say=say,
                progress=progress,
                llama_source=source.llama_source,
                architectures=source.architectures,
                host=host,
                may_install=may_install,
            )
            described = store.inspect(recipe.tag)
        else:
            described = ensure_pulled(
                source.ref, digest=source.digest, store=store, say=say, progress=progress, sleep=sleep
            )
        if described is None:
            raise ArtifactError("the engine lost it right after it was built", reason=Reason.IMAGE, where=ref)
        return _facts(source, ref, described, ask(str(described["Id"]), source, ref, probe=probe, cache=cache))


def _as_locked(source: ImageSource, ref: str, store: ImageStore) -> Mapping[str, object]:
    """The very image that the lock names, which no registry has: whatever the Dockerfiles say by now."""
    described = store.inspect(source.image_id)
    if described is None:
        raise InputError(
            f"the lock names the image {source.image_id}, which is not here, and nothing else is that image",
            where=f"image {source.name} ({ref})",
            remedy="bring it from where it was locked with `docker save` and `docker load`, or lock the matrix again",
        )
    return described


def _facts(source: ImageSource, ref: str, described: Mapping[str, object], answers: Answers) -> ImageFacts:
    size = described.get("Size")
    labels = labels_of(described)
    build_number, build_commit = answers.build_number, answers.build_commit
    if source.build and build_number is None:
        # Before `--version` a llama-bench says it in its rows only; what is built here carries its pin.
        build_number = build_of(labels.get(VERSION_LABEL, ""))
        build_commit = labels.get(REVISION_LABEL) or None
    return ImageFacts(
        name=source.name,
        ref=ref,
        id=str(described["Id"]),
        digest=None if source.build else source.digest or digest_of(described, source.ref),
        moving=bool(source.ref) and is_moving(source.ref),
        created=_text(described.get("Created")),
        architecture=_text(described.get("Architecture")),
        size_bytes=size if isinstance(size, int) else None,
        build_number=build_number,
        build_commit=build_commit,
        flags=dict(answers.flags),
        recipe_sha256=labels.get(RECIPE_LABEL) if source.build else None,
        base=labels.get(BASE_LABEL) if source.build else None,
        gpu_architectures=normal(source.architectures),
        binary_dir=source.binary_dir,
        simulated=labels.get(SIMULATED_LABEL, "").lower() in {"1", "true", "yes"},
    )


def known_images(
    sources: Iterable[ImageSource], *, store: ImageStore, cache: Path, images: Path = IMAGES
) -> tuple[ImageRow, ...]:
    """What there is, for `invoke images`. Asks the engine for a description of each, and starts nothing.

    Raises:
        InputError: an unknown build or malformed reference among the sources.
    """
    rows = []
    for source in sources:
        check_image_source(source, images=images)
        if source.build:
            pin = read_source(source.llama_source, images)
            on_core = read_dockerfile(source.build, images).on_core
            tag = image_tag(source.build, pin, source.architectures, on_core=on_core)
        else:
            tag = parse_reference(source.ref).pullable
        described = store.inspect(tag)
        if described is None:
            rows.append(ImageRow(name=source.name, origin=source.origin, tag=tag, present=False))
            continue
        current = not source.build or _is_current(source, images=images, store=store)
        answers = known_answers(str(described["Id"]), source.binary_dir, cache)
        size = described.get("Size")
        rows.append(
            ImageRow(
                name=source.name,
                origin=source.origin,
                tag=tag,
                present=current,
                size_bytes=size if isinstance(size, int) else None,
                build=_build_text(answers, described),
                note="" if current else "made from another recipe: it will be built again",
            )
        )
    return tuple(rows)


def _is_current(source: ImageSource, *, images: Path, store: ImageStore) -> bool:
    pin = read_source(source.llama_source, images)
    found = present_build(source.build, pin=pin, images=images, store=store, architectures=source.architectures)
    return found is not None


def _build_text(answers: Answers | None, described: Mapping[str, object]) -> str:
    if answers is not None and answers.build_number is not None:
        return f"b{answers.build_number} ({answers.build_commit or 'commit unknown'})"
    labels = labels_of(described)
    version = labels.get(VERSION_LABEL, "")
    revision = labels.get(REVISION_LABEL, "")
    return " ".join(part for part in (version, f"({revision[:9]})" if revision else "") if part and part != "N/A")


def _text(value: object) -> str | None:
    return str(value) if value else None
