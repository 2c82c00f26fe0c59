"""Everything by hash and version: harness, images, models, and the exact command of each run."""

from __future__ import annotations

import shlex

from harness.report import words
from harness.report.data import ReportData
from harness.values.block import Block, Code, Heading, Paragraph, Table
from harness.values.facts import EngineFacts, ImageFacts, ModelFacts


def render(data: ReportData) -> tuple[Block, ...]:
    """Tables of harness, images and models, and the commands."""
    images: dict[tuple[str, str], ImageFacts] = {}
    models: dict[str, ModelFacts] = {}
    harness = []
    commands: dict[str, None] = {}
    for machine in data.machines:
        session = machine.latest
        harness.append(
            (
                machine.machine.machine,
                f"{session.harness_version} ({session.harness_source or 'no git'})",
                session.matrix_sha256 + (f", lock {session.lock_sha256}" if session.lock_sha256 else ""),
                _engine(session.engine),
            )
        )
        for result in machine.cells:
            if result.image is not None:
                images[machine.machine.machine, result.image.id] = result.image
            if result.model is not None:
                models[result.model.sha256] = result.model
            if result.argv:
                commands[shlex.join(result.argv)] = None
    blocks: list[Block] = [
        Heading(level=2, text="Provenance"),
        Table(
            columns=("Machine", "Harness", "Matrix file (SHA-256)", "Engine"), rows=tuple(harness), align=("left",) * 4
        ),
    ]
    if images:
        own: tuple[str, ...] = ("Image", "From", "Build", "Content id", "Digest or recipe", "Size")
        columns, align = (("Machine", *own), ("left",) * 6) if data.several else (own, ("left",) * 5)
        rows = tuple(
            (machine, *_image(image)) if data.several else _image(image) for (machine, _), image in images.items()
        )
        blocks.append(Table(columns=columns, rows=rows, align=(*align, "right")))
    if models:
        columns = ("Model", "From", "SHA-256", "Size", "Parameters", "Licence")
        blocks.append(
            Table(
                columns=columns,
                rows=tuple(map(_model, models.values())),
                align=("left", "left", "left", "right", "right", "left"),
            )
        )
    if commands:
        blocks += [
            Paragraph(text="The processes in the containers, each once:"),
            Code(text="\n".join(commands), language="sh"),
        ]
    return tuple(blocks)


def _engine(engine: EngineFacts) -> str:
    storage = engine.storage_driver or "unknown storage"
    return f"{engine.name} {engine.version}, {storage}, cgroup v{engine.cgroup_version or '?'}"


def _image(image: ImageFacts) -> tuple[str, ...]:
    build = f"b{image.build_number}" if image.build_number is not None else "unknown"
    return (
        image.name,
        image.ref + (" (moving tag)" if image.moving else ""),
        f"{build} ({image.build_commit or 'unknown'})",
        image.id,
        image.digest or (f"recipe {image.recipe_sha256}" if image.recipe_sha256 else "none"),
        words.size(image.size_bytes),
    )


def _model(model: ModelFacts) -> tuple[str, ...]:
    return (
        model.title,
        model.source,
        model.sha256,
        words.size(model.size_bytes),
        words.count(model.n_params),
        model.licence or ("none: seeded noise" if model.synthetic else "unknown"),
    )
