"""The image of the processor's probe: one C file, compiled with the core's compiler where that is there. Seconds."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness.artifacts.base_image import ensure_base
from harness.artifacts.build_log import BuildLog, Progress, build_error
from harness.artifacts.dockerfile import read_dockerfile
from harness.artifacts.pins import read_source
from harness.artifacts.recipe import CORE, recipe_for
from harness.values.protocols import ImageStore, ImageStoreError

NAME = "probe"
SOURCE = "probe.c"
REPOSITORY = "llama-bench-harness/probe"


def ensure_probe(
    *, images: Path, store: ImageStore, cache: Path, say: Callable[[str], None], progress: Progress
) -> str:
    """The content id of the probe's image, built where it is not there.

    Args:
        images: the folder of Dockerfiles, with the folder `probe` in it.
        store: the engine's images. cache: the harness's cache folder.

    Raises:
        InputError: the Dockerfile is damaged. ArtifactError: no base image can be had, or the build failed.
        MachineError: there is no room.
    """
    folder = images / NAME
    dockerfile = read_dockerfile(NAME, folder)
    source = (folder / SOURCE).read_bytes()
    # Linked statically, so that it is the same whatever it was compiled on: the base is not in its name.
    tag = f"{REPOSITORY}:{hashlib.sha256(dockerfile.content + source).hexdigest()[:12]}"
    described = store.inspect(tag)
    if described is None:
        base = ensure_base(dockerfile.suite, store=store, cache=cache, say=say)
        arguments = {"BASE": base.tag, "COMPILER": _core_tag(images, store, base.id) or base.tag}
        logs = cache / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with (
            BuildLog(logs / "build-probe.log", name=NAME, progress=progress) as log,
            tempfile.TemporaryFile(dir=logs) as context,
        ):
            _write_context(context, {"Dockerfile": dockerfile.content, SOURCE: source})
            context.seek(0)
            try:
                store.build(context, tag=tag, build_args=arguments, labels={}, on_text=log.take)
            except ImageStoreError as error:
                raise build_error(NAME, error.text, log) from error
        described = store.inspect(tag) or {}
    return str(described.get("Id", tag))


def _core_tag(images: Path, store: ImageStore, base_id: str) -> str | None:
    """The core image, which has a compiler, where it is there: any backend's recipe names it."""
    core = read_dockerfile(CORE, images)
    recipe = recipe_for("cpu", pin=read_source("", images), images=images, bases={core.suite: base_id})
    return recipe.core_tag if store.inspect(recipe.core_tag) else None


def _write_context(out: object, files: dict[str, bytes]) -> None:
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as context:  # type: ignore[call-overload]  # any file
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o644, len(content)
            context.addfile(info, io.BytesIO(content))
