"""What is looked at: what one matrix needs, or everything that this checkout and this machine have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.flows.images import sources as image_sources
from harness.flows.models import sources as model_sources
from harness.flows.read_matrix import read_matrix
from harness.flows.workspace import Workspace
from harness.machine.devices import DEFAULT
from harness.values.backend import BACKENDS
from harness.values.matrix import ImageSource, ModelSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A device, by the name that the matrix gives it, that a backend from an image is to compute on."""

    backend: str
    device: str
    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is looked at.

    Attributes:
        whole: no matrix was named: every card of the machine is looked at with every backend that serves it.
        base: folder that paths of local models are relative to.
        hint: what to add to a command so that it is about the same matrix.
    """

    whole: bool
    hint: str
    uses: tuple[Use, ...]
    images: Mapping[str, ImageSource]
    models: Mapping[str, ModelSource]
    base: Path


def wanted(file: str, workspace: Workspace) -> Wanted:
    """What the matrix `file` needs; everything where `file` is empty.

    Raises:
        InputError: a mistake in the matrix file.
    """
    if not file:
        sources, (models, base) = image_sources("", workspace), model_sources("", workspace)
        names = [source.name for source in sources]
        return Wanted(
            whole=True,
            hint="",
            uses=tuple(Use(backend=name, device=DEFAULT, image=name) for name in BACKENDS if name in names),
            images={source.name: source for source in sources},
            models={model.name: model for model in models},
            base=base,
        )
    plan = read_matrix(file, workspace)
    matrix, cells = plan.matrix, plan.cells
    return Wanted(
        whole=False,
        hint=f" --file {file}",
        uses=tuple(dict.fromkeys(Use(backend=c.backend, device=c.device, image=c.image) for c in cells)),
        images={name: matrix.images[name] for name in dict.fromkeys(cell.image for cell in cells)},
        models={name: matrix.models[name] for name in dict.fromkeys(cell.model for cell in cells)},
        base=matrix.path.parent,
    )
