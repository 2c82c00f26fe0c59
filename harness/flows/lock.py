"""`invoke lock`: what every name in a matrix stands for now, written beside it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from harness.artifacts.images import prepare_image
from harness.artifacts.models import describe_model, prepare_model
from harness.artifacts.resolve import resolve_image
from harness.errors import InputError
from harness.flows.console import Display
from harness.flows.engines import OpenEngine, open_engine
from harness.flows.prepare import local_models
from harness.flows.read_matrix import Plan, read_matrix
from harness.flows.run_once import utc_now
from harness.flows.tables import columns
from harness.flows.workspace import Workspace, find_workspace
from harness.matrix.lock_file import lock_path, read_lock, render_lock
from harness.store.files import write_whole
from harness.values.image_names import is_moving
from harness.values.lock import Lock, LockedImage, LockedModel
from harness.values.matrix import ImageSource

SHOWN_DIGITS = 12
SHOWN_CHARACTERS = 60


def lock_matrix(file: str, *, workspace: Workspace | None = None, display: Display | None = None) -> None:
    """Have every image and model hash of a matrix and write them into its lock file.

    Raises:
        InputError: a mistake in the file, or a local model file.
        EngineError: no engine answers.
        ArtifactError: an image or a model cannot be had; nothing is written then.
        MachineError: no space, or the lock cannot be written.
    """
    workspace, display = workspace or find_workspace(), display or Display()
    plan = read_matrix(file, workspace)
    path = lock_path(plan.matrix.path)
    local = {name: model.sha256 for name, model in local_models(plan.matrix, plan.cells, workspace).items()}
    with open_engine(display.say) as opened:
        images = {
            name: _locked_image(plan.matrix.images[name], opened, workspace, display)
            for name in dict.fromkeys(cell.image for cell in plan.cells)
        }
    lock = Lock(
        matrix=plan.matrix.path.name,
        matrix_sha256=plan.matrix.sha256,
        locked_utc=utc_now(),
        images=images,
        models=_locked_models(plan, local, workspace, display),
    )
    before = _earlier(plan, file)
    write_whole(path, render_lock(lock))
    display.say(_table(lock))
    for change in changes(before, lock) if before else ():
        display.say(f"changed: {change}")
    display.say(f"written: {path.name}; `invoke matrix --file {file} --locked` measures exactly this")


def _locked_image(source: ImageSource, opened: OpenEngine, workspace: Workspace, display: Display) -> LockedImage:
    with display.step(f"image {source.name}") as step:
        resolved = resolve_image(source, store=opened.images, say=display.say, progress=step, sleep=time.sleep)
        facts = prepare_image(
            resolved,
            store=opened.images,
            probe=opened.probe(),
            images=workspace.images,
            cache=workspace.cache,
            say=display.say,
            progress=step,
        )
    return LockedImage(
        build=source.build,
        source=source.llama_source,
        ref=source.ref,
        digest=resolved.digest,
        id="" if resolved.digest else facts.id,
        recipe=facts.recipe_sha256 or "",
        build_number=facts.build_number,
        build_commit=facts.build_commit,
        moving=bool(source.ref) and is_moving(source.ref),
    )


def _locked_models(
    plan: Plan, local: Mapping[str, str], workspace: Workspace, display: Display
) -> dict[str, LockedModel]:
    """Files of the user are hashed and synthetic models made; what the matrix or the registry pins is not fetched."""
    locked = {}
    for name in dict.fromkeys(name for cell in plan.cells for name in cell.models):
        source = plan.matrix.models[name]
        sha256 = local.get(name) or source.sha256
        if not sha256:
            with display.step(f"model {name}") as step:
                base = plan.matrix.path.parent
                sha256 = prepare_model(source, cache=workspace.cache, base=base, say=display.say, progress=step).sha256
        locked[name] = LockedModel(sha256=sha256, source=describe_model(source))
    return locked


def _earlier(plan: Plan, file: str) -> Lock | None:
    """The lock that is about to be replaced, where it can be read."""
    path = lock_path(plan.matrix.path)
    try:
        return read_lock(path, shown=path.name, matrix=file)
    except InputError:
        return None


def changes(before: Lock, after: Lock) -> tuple[str, ...]:
    """What another lock of the same matrix says differently, a line each."""
    lines = []
    for name, image in after.images.items():
        was = before.images.get(name)
        if was is not None and (was.digest, was.id) != (image.digest, image.id):
            lines.append(f"image {name}: {_became(was, image)}")
    for name, model in after.models.items():
        earlier = before.models.get(name)
        if earlier is not None and earlier.sha256 != model.sha256:
            lines.append(f"model {name}: {earlier.sha256[:SHOWN_DIGITS]} became {model.sha256[:SHOWN_DIGITS]}")
    return tuple(lines)


def _became(was: LockedImage, now: LockedImage) -> str:
    if was.build_number == now.build_number:
        return f"another image of {_build(now)}"
    age = ""
    if was.build_number is not None and now.build_number is not None:
        age = ", which is newer" if now.build_number > was.build_number else ", which is older"
    return f"{_build(was)} became {_build(now)}{age}"


def _build(image: LockedImage) -> str:
    return "an unknown build" if image.build_number is None else f"b{image.build_number}"


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."


def _table(lock: Lock) -> str:
    rows = []
    for name, image in lock.images.items():
        kind, what = ("digest", image.digest) if image.digest else ("content id", image.id)
        moving = "moving tag" if image.moving else ""
        shown = f"{kind} {what.removeprefix('sha256:')[:SHOWN_DIGITS]}"
        origin = ImageSource(name=name, build=image.build, llama_source=image.source, ref=image.ref).origin
        rows.append((f"image {name}", origin, _build(image), shown, moving))
    rows += [
        (f"model {name}", _short(model.source), "", f"SHA-256 {model.sha256[:SHOWN_DIGITS]}", "")
        for name, model in lock.models.items()
    ]
    return columns(("name", "from", "build", "is", "note"), rows)
