"""`invoke images`: which llama.cpp images there are, and making those that are missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.artifacts.build import builds_in
from harness.artifacts.dockerfile import read_dockerfile
from harness.artifacts.images import ImageRow, known_images, prepare_image
from harness.artifacts.pins import sources_in
from harness.flows.console import Display
from harness.flows.engines import OpenEngine, open_engine
from harness.flows.read_matrix import read_matrix
from harness.flows.tables import columns, size
from harness.flows.workspace import Workspace, find_workspace
from harness.values.matrix import ImageSource


def sources(file: str, workspace: Workspace) -> tuple[ImageSource, ...]:
    """The images that a matrix uses; without a matrix, everything that `images/` can build."""
    if not file:
        found = []
        for name in builds_in(workspace.images):
            found.append(ImageSource(name=name, build=name))
            if not read_dockerfile(name, workspace.images).on_core:
                others = sources_in(workspace.images)
                found += [ImageSource(name=f"{name}-{one}", build=name, llama_source=one) for one in others]
        return tuple(found)
    plan = read_matrix(file, workspace)
    return tuple(plan.matrix.images[name] for name in dict.fromkeys(cell.image for cell in plan.cells))


def split_by_cost(
    wanted: Iterable[ImageSource], workspace: Workspace
) -> tuple[tuple[ImageSource, ...], tuple[ImageSource, ...]]:
    """What is built unasked, and what is not: hours of a GPU's compiler, and what only comparisons need."""
    wanted = tuple(wanted)
    files = {s.build: read_dockerfile(s.build, workspace.images) for s in wanted if s.build}
    asked = tuple(s for s in wanted if s.build and (files[s.build].architectures or not files[s.build].on_core))
    return tuple(source for source in wanted if source not in asked), asked


def show_images(file: str, *, build: bool) -> None:
    """List images; with `build`, make what is missing. Without a file, only what takes minutes.

    Raises:
        InputError: a mistake in the matrix file.
        EngineError: no engine answers.
        ArtifactError: an image cannot be had.
    """
    workspace, display = find_workspace(), Display()
    wanted = sources(file, workspace)
    with open_engine(display.say) as opened:
        if build:
            quick, slow = (wanted, ()) if file else split_by_cost(wanted, workspace)
            _ensure(quick, opened, workspace, display)
            for source in slow:
                display.say(
                    f"{source.name}: not built unasked: made when a matrix, a comparison or a bisection names it"
                )
        rows = known_images(wanted, store=opened.images, cache=workspace.cache, images=workspace.images)
        display.say(render(rows))
        if not all(row.present for row in rows):
            hint = f" --file {file}" if file else ""
            display.say(f"what is absent is made when a matrix needs it, or now with: invoke images{hint} --build")


def render(rows: Iterable[ImageRow]) -> str:
    """The rows as text in columns."""
    return columns(
        ("image", "from", "state", "size", "build"),
        [
            (r.name, r.origin, r.note or ("present" if r.present else "absent"), size(r.size_bytes), r.build)
            for r in rows
        ],
    )


def ensure_images(builds: Sequence[str], opened: OpenEngine, workspace: Workspace, display: Display) -> None:
    """Make images of our own where they are missing.

    Raises:
        ArtifactError: one cannot be made.
    """
    _ensure([ImageSource(name=name, build=name) for name in builds], opened, workspace, display)


def _ensure(wanted: Iterable[ImageSource], opened: OpenEngine, workspace: Workspace, display: Display) -> None:
    for source in wanted:
        with display.step(f"image {source.name}") as step:
            prepare_image(
                source,
                store=opened.images,
                probe=opened.probe(),
                cache=workspace.cache,
                say=display.say,
                progress=step,
                images=workspace.images,
            )
