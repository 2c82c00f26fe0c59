"""Models: found, fetched, put together or made, and verified before every use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.artifacts.fetch_huggingface import check_huggingface
from harness.artifacts.fetch_package import check_package
from harness.artifacts.get_model import Getter, expected_hash
from harness.artifacts.hashing import HashCache, Progress, Say, quiet
from harness.artifacts.model_shelf import locked, place_of
from harness.artifacts.synthetic_recipe import SyntheticRecipe, parse_recipe
from harness.errors import InputError
from harness.formats.gguf import GgufHeader, read_header, tensors_sha256
from harness.formats.gguf_shape import read_shape
from harness.values.facts import ModelFacts
from harness.values.matrix import ModelSource
from harness.values.model_shape import ModelShape

MODEL_PATH = "/models/model.gguf"
"""Where every model is mounted in its container. ASCII: llama-bench garbles other names in its JSON."""

SYNTHETIC_MARK = "llama_bench_harness.synthetic"
"""Metadata key that is true in every synthetic model, so that one is known wherever it was copied to."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_TENSORS_DIGEST = "tensors-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """One row of `invoke models`.

    Attributes:
        state: `verified` (present, and hashed before with the right result), `present` (not hashed yet),
            `absent`, or `wrong` (its source cannot be used as it stands).
        size_bytes: of the file, or of what would be made; None where that is not known.
        path: where it lies or would lie; None where the source does not say.
    """

    name: str
    title: str
    kind: str
    state: str
    size_bytes: int | None
    licence: str
    path: Path | None


def prepare_model(
    source: ModelSource,
    *,
    cache: Path,
    base: Path,
    say: Say = quiet,
    progress: Progress = quiet,
    offline: bool = False,
    force: bool = False,
) -> ModelFacts:
    """Have the model as a verified local file.

    Args:
        cache: the harness's cache folder.
        base: folder that the path of a `file` is relative to: that of the matrix file.
        say: called with lines about long work, and about a cached file that is no longer what it was.
        progress: called often with what is done, bytes done and bytes in all; may raise to stop.
        offline: fetch nothing. Synthetic models are still made.
        force: hash in full, whatever is remembered.

    Raises:
        InputError: the source is wrong, the file is missing, is no GGUF, or its hash is not the promised one.
        ArtifactError: it cannot be fetched.
        MachineError: no space, or the cache cannot be written.
    """
    source = _lower_case(source)
    hashes = HashCache(cache)
    recipe = _check(source)
    if source.kind == "file":
        path = _local(source, base)
        sha256 = hashes.sha256(path, force=force, progress=progress)
        _require_hash(source, sha256, found=path.name)
    else:
        place = place_of(recipe.sha256 if recipe else source.sha256, cache)
        path = place.file
        with locked(place, name=source.name, say=say):
            getter = Getter(source=source, recipe=recipe, place=place, hashes=hashes, say=say, progress=progress)
            sha256 = getter.cached(force=force) or getter.get(offline=offline)
        _require_hash(source, sha256, found="the file of this recipe")
    header = read_header(path)
    if not header.tensors:
        raise InputError("holds no tensors", where=f"model {source.name}", remedy="name a GGUF file with weights")

    def hash_tensors() -> str:
        what = f"reading the tensors of {source.name}"
        return tensors_sha256(path, header, progress=lambda done, total: progress(what, done, total))

    tensors = hashes.digest(path, _TENSORS_DIGEST, hash_tensors, force=force)
    return _facts(source, recipe, path=path, sha256=sha256, tensors=tensors, header=header)


def known_models(
    sources: Mapping[str, ModelSource], cache: Path, *, base: Path | None = None
) -> tuple[KnownModel, ...]:
    """What is known of each model without reading or fetching any.

    Args:
        base: folder that paths of `file` models are relative to; the working folder where it is left out.
    """
    hashes = HashCache(cache)
    return tuple(_known(_lower_case(source), cache, base or Path(), hashes) for source in sources.values())


def _lower_case(source: ModelSource) -> ModelSource:
    """Hashes as they are compared: people paste them in either case."""
    packages = tuple((requirement, digest.lower()) for requirement, digest in source.packages)
    return replace(source, sha256=source.sha256.lower(), packages=packages)


def _check(source: ModelSource) -> SyntheticRecipe | None:
    """Refuse a source that cannot be right; the recipe where there is one."""
    where = f"model {source.name}"
    if source.sha256 and not _SHA256.fullmatch(source.sha256):
        raise InputError(f"sha256 {source.sha256!r} is not 64 hex digits", where=where, remedy="use `sha256sum FILE`")
    if source.kind in ("huggingface", "package") and not source.sha256:
        raise InputError("has no sha256", where=where, remedy="give the SHA-256 of the whole file")
    match source.kind:
        case "file":
            return None
        case "huggingface":
            check_huggingface(source)
            return None
        case "package":
            check_package(source)
            return None
        case "synthetic":
            return parse_recipe(source.recipe, where=where)
    raise InputError(
        f"kind {source.kind!r} is not one of file, huggingface, package, synthetic", where=where, remedy="correct it"
    )


def _local(source: ModelSource, base: Path) -> Path:
    where = f"model {source.name}"
    try:
        path = (base / Path(source.path).expanduser()).resolve(strict=True)
        regular, folder = path.is_file(), path.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it cannot be found"
        raise InputError(
            f"the file {source.path} cannot be used: {reason}",
            where=where,
            remedy=f"put the file there or correct its path; relative paths start at {base or '.'}",
        ) from error
    if not regular:
        kind = "a folder" if folder else "no regular file"
        raise InputError(f"{source.path} is {kind}", where=where, remedy="name the GGUF file itself")
    return path


def _require_hash(source: ModelSource, actual: str, *, found: str) -> None:
    if source.sha256 and actual != source.sha256:
        raise InputError(
            f"{found} has SHA-256 {actual}, not {source.sha256}",
            where=f"model {source.name}",
            remedy="use the file that was meant, or correct sha256 if this one is right",
        )


def _facts(
    source: ModelSource, recipe: SyntheticRecipe | None, *, path: Path, sha256: str, tensors: str, header: GgufHeader
) -> ModelFacts:
    shape = _shape(header)
    cache = shape.cache_values if shape is not None and shape.has_states else None
    return ModelFacts(
        name=source.name,
        title=source.title or source.name,
        source=_described(source, recipe),
        path=path,
        sha256=sha256,
        size_bytes=header.size_bytes,
        synthetic=recipe is not None or header.metadata.get(SYNTHETIC_MARK) is True,
        tensors_sha256=tensors,
        architecture=header.architecture,
        file_type=header.file_type,
        bytes_per_token=header.bytes_per_token,
        weights_multiplied=header.weights_multiplied,
        output_weights=header.output_weights,
        cache_k=cache[0] if cache else header.cache_values("key"),
        cache_v=cache[1] if cache else header.cache_values("value"),
        attention_window=header.attention_window,
        n_params=header.n_params,
        n_layers=header.n_layers,
        context_length=header.context_length,
        licence=source.licence,
        shape=shape,
    )


def _shape(header: GgufHeader) -> ModelShape | None:
    try:
        return read_shape(header)
    except InputError:
        # llama.cpp may know better: what the header does not tell is missing, and no reason not to measure.
        return None


def describe_model(source: ModelSource) -> str:
    """Where a model comes from, as its records say it.

    Raises:
        InputError: the source is wrong.
    """
    return _described(source, _check(_lower_case(source)))


def _described(source: ModelSource, recipe: SyntheticRecipe | None) -> str:
    """Where it came from, without any path of this machine."""
    match source.kind:
        case "huggingface":
            revision = f"@{source.revision}" if source.revision else ""
            return f"huggingface {source.repo}{revision} {source.filename}"
        case "package":
            return "package " + " + ".join(requirement for requirement, _ in source.packages)
        case "synthetic" if recipe:
            return f"synthetic {recipe.canonical}"
    return f"file {Path(source.path).name}"


def _known(source: ModelSource, cache: Path, base: Path, hashes: HashCache) -> KnownModel:
    path: Path | None = None
    size: int | None = None
    try:
        recipe = _check(source)
        size = recipe.size_bytes if recipe else None
        if source.kind == "file":
            path = (base / Path(source.path).expanduser()).absolute()
            expected: str | None = source.sha256
        else:
            place = place_of(recipe.sha256 if recipe else source.sha256, cache)
            path = place.file
            expected = expected_hash(source, recipe, place)
        if path.is_file():
            size = path.stat().st_size
            state = "verified" if expected and hashes.knows(path, expected) else "present"
        else:
            state = "absent"
    except (InputError, OSError, RuntimeError, ValueError):
        state = "wrong"
    return KnownModel(
        name=source.name,
        title=source.title or source.name,
        kind=source.kind,
        state=state,
        size_bytes=size,
        licence=source.licence,
        path=path,
    )
