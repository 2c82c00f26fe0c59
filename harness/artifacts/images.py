"""From an entry of `images:` in a matrix to an image that is present and known: had, then asked about itself."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.base_image import Host
from harness.artifacts.bench_help import parse_help, parse_version
from harness.artifacts.build import (
    PIN_FILE,
    Say,
    check_build_name,
    ensure_built,
    labels_of,
    present_build,
)
from harness.artifacts.build_log import Progress
from harness.artifacts.dockerfile import check_architectures
from harness.artifacts.llama_source import LlamaPin, read_pin
from harness.artifacts.pull import digest_of, ensure_pulled, parse_reference
from harness.artifacts.recipe import Recipe, image_tag
from harness.errors import ArtifactError, InputError
from harness.values.facts import ImageFacts
from harness.values.failure import Reason
from harness.values.matrix import ImageSource
from harness.values.protocols import ImageStore

IMAGES = Path(__file__).resolve().parents[2] / "images"
"""The Dockerfiles of this checkout."""
SIMULATED_LABEL = "llama-bench-harness.simulated"
"""On images made for tests: nothing from them can be published."""
CACHE_FORMAT = 1

Probe = Callable[[str, tuple[str, ...]], tuple[int | None, str, str]]
"""`probe(image_id, argv) -> (exit_code, stdout, stderr)`: a hardened container, with the engine's words in stderr and
None as exit code where it could not be started."""


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
        InputError: unknown build, malformed reference, or a source that is not the pinned one.
        ArtifactError: it cannot be had, or has no llama-bench that runs.
        MachineError: not enough disk space.
    """
    check_image_source(source, images=images)
    recipe: Recipe | None = None
    if source.build:
        recipe = ensure_built(
            source.build,
            images=images,
            store=store,
            cache=cache,
            say=say,
            progress=progress,
            architectures=source.architectures,
            host=host,
            may_install=may_install,
        )
        described = store.inspect(recipe.tag)
        ref = f"images/{source.build}.Dockerfile"
    else:
        described = ensure_pulled(source.ref, store=store, say=say, progress=progress, sleep=sleep)
        ref = source.ref
    if described is None:
        raise ArtifactError("the engine lost it right after it was built", reason=Reason.IMAGE, where=ref)
    return _facts(source, ref, described, recipe, _ask(str(described["Id"]), source, ref, probe=probe, cache=cache))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answers:
    """What a llama-bench says about itself. The same image always says the same, so it is asked once."""

    flags: Mapping[str, str]
    build_number: int | None
    build_commit: str | None


def _facts(
    source: ImageSource, ref: str, described: Mapping[str, object], recipe: Recipe | None, answers: _Answers
) -> ImageFacts:
    size = described.get("Size")
    return ImageFacts(
        name=source.name,
        ref=ref,
        id=str(described["Id"]),
        digest=None if recipe else digest_of(described, source.ref),
        created=_text(described.get("Created")),
        architecture=_text(described.get("Architecture")),
        size_bytes=size if isinstance(size, int) else None,
        build_number=answers.build_number,
        build_commit=answers.build_commit,
        flags=dict(answers.flags),
        recipe_sha256=recipe.sha256 if recipe else None,
        base=recipe.base_id if recipe else None,
        gpu_architectures=recipe.architectures if recipe else (),
        binary_dir=source.binary_dir,
        simulated=labels_of(described).get(SIMULATED_LABEL, "").lower() in {"1", "true", "yes"},
    )


def _ask(image_id: str, source: ImageSource, ref: str, *, probe: Probe, cache: Path) -> _Answers:
    path = _answers_path(image_id, source.binary_dir, cache)
    known = _read_answers(path)
    if known is not None:
        return known
    program = f"{source.binary_dir.rstrip('/')}/llama-bench"
    code, stdout, stderr = probe(image_id, (program, "--help"))
    flags = parse_help(stdout) or parse_help(stderr)
    if code != 0 or "-m" not in flags:
        raise _no_bench(code, f"{stderr}\n{stdout}", program, ref)
    number: int | None = None
    commit: str | None = None
    if "--version" in flags:
        _, stdout, stderr = probe(image_id, (program, "--version"))
        number, commit = parse_version(f"{stderr}\n{stdout}")
    answers = _Answers(flags=flags, build_number=number, build_commit=commit)
    _write_answers(path, answers)
    return answers


_SIGILL = 132


def _no_bench(code: int | None, words: str, program: str, ref: str) -> ArtifactError:
    library = re.search(r"error while loading shared libraries: ([^:\s]+)", words)
    if library:
        what = f"its llama-bench needs {library[1]}, which is neither in the image nor given to the container"
        remedy = "install the GPU's driver and container toolkit on the host, or use an image of another backend"
    elif re.search(r"no such file or directory|not found|not a directory", words, re.IGNORECASE):
        what = f"there is no {program} in it: only the `full` images have llama-bench, not `light` or `server`"
        remedy = "use the image's `full-...` tag, or name the folder where llama-bench lies with `binary_dir:`"
    elif re.search(r"exec format error", words, re.IGNORECASE):
        what = "it is made for another architecture than this machine's"
        remedy = "name an image for this architecture, or build one with `build:`"
    elif code == _SIGILL:
        what = "its llama-bench uses instructions that this CPU does not have"
        remedy = "use an image that was built with all CPU variants, such as `build: cpu`"
    else:
        last = [line.strip() for line in words.splitlines() if line.strip()][-1:] or ["nothing"]
        how = "was not started" if code is None else f"ended with exit code {code}"
        what = f"`{program} --help` {how} and said: {last[0][:300]}"
        remedy = "see that the image runs here at all, with `docker run --rm --entrypoint`"
    return ArtifactError(what, reason=Reason.IMAGE, where=ref, remedy=remedy)


def _answers_path(image_id: str, binary_dir: str, cache: Path) -> Path:
    where = hashlib.sha256(binary_dir.encode()).hexdigest()[:8]
    return cache / "images" / f"{image_id.removeprefix('sha256:')}-{where}.json"


def _read_answers(path: Path) -> _Answers | None:
    """None where it was never asked, or what is kept cannot be read: then it is asked again."""
    try:
        kept = json.loads(path.read_bytes())
        if kept["format"] != CACHE_FORMAT or "-m" not in kept["flags"]:
            return None
        return _Answers(
            flags={str(option): str(hint) for option, hint in kept["flags"].items()},
            build_number=kept["build_number"],
            build_commit=kept["build_commit"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write_answers(path: Path, answers: _Answers) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {
        "format": CACHE_FORMAT,
        "flags": dict(answers.flags),
        "build_number": answers.build_number,
        "build_commit": answers.build_commit,
    }
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=".answers-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(kept, file, indent=1)
    Path(scratch).replace(path)


def known_images(
    sources: Iterable[ImageSource], *, store: ImageStore, cache: Path, images: Path = IMAGES
) -> tuple[ImageRow, ...]:
    """What there is, for `invoke images`. Asks the engine for a description of each, and starts nothing.

    Raises:
        InputError: an unknown build or malformed reference among the sources.
    """
    pin = read_pin(images / PIN_FILE)
    rows = []
    for source in sources:
        check_image_source(source, images=images)
        if source.build:
            origin, tag = f"images/{source.build}.Dockerfile", image_tag(source.build, pin, source.architectures)
        else:
            origin, tag = source.ref, parse_reference(source.ref).pullable
        described = store.inspect(tag)
        if described is None:
            rows.append(ImageRow(name=source.name, origin=origin, tag=tag, present=False))
            continue
        current = not source.build or _is_current(source, pin, images=images, store=store)
        answers = _read_answers(_answers_path(str(described["Id"]), source.binary_dir, cache))
        size = described.get("Size")
        rows.append(
            ImageRow(
                name=source.name,
                origin=origin,
                tag=tag,
                present=current,
                size_bytes=size if isinstance(size, int) else None,
                build=_build_text(answers, described),
                note="" if current else "made from another recipe: it will be built again",
            )
        )
    return tuple(rows)


def _is_current(source: ImageSource, pin: LlamaPin, *, images: Path, store: ImageStore) -> bool:
    found = present_build(source.build, pin=pin, images=images, store=store, architectures=source.architectures)
    return found is not None


def _build_text(answers: _Answers | None, described: Mapping[str, object]) -> str:
    if answers is not None and answers.build_number is not None:
        return f"b{answers.build_number} ({answers.build_commit or 'commit unknown'})"
    labels = labels_of(described)
    version = labels.get("org.opencontainers.image.version", "")
    revision = labels.get("org.opencontainers.image.revision", "")
    return " ".join(part for part in (version, f"({revision[:9]})" if revision else "") if part and part != "N/A")


def _text(value: object) -> str | None:
    return str(value) if value else None
