"""What the cells need, before the first container: devices, images, models. What cannot be had fails its cells only.

The order is deliberate: an absent device is found before any long build or download, and a device that a container does
not see before a model is fetched.
"""

from __future__ import annotations

import shlex
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.artifacts.answers import Probe
from harness.artifacts.binaries import image_binaries
from harness.artifacts.images import prepare_image
from harness.artifacts.models import prepare_model
from harness.artifacts.program_help import ask_program
from harness.errors import ArtifactError, InputError
from harness.flows.base_logits import LogitsMaker
from harness.flows.console import Display
from harness.flows.listing import Lister
from harness.flows.workspace import Workspace
from harness.machine.devices import select_all
from harness.machine.vendors import passthrough as passthrough_of
from harness.measure.listing import Listed
from harness.values.backend import BACKENDS
from harness.values.cell import Cell
from harness.values.container import Passthrough
from harness.values.facts import Device, EngineFacts, ImageFacts, ModelFacts
from harness.values.failure import Failure, Phase, Reason
from harness.values.matrix import Matrix
from harness.values.measurement import BENCH, LATENCY, MEASUREMENTS
from harness.values.protocols import ImageStore
from harness.values.record import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The devices of a cell, mostly one, and how a container gets to see them."""

    devices: tuple[Device, ...]
    passthrough: Passthrough

    @property
    def title(self) -> str:
        """What it is called in records and tables: `2 x AMD Radeon RX 7900 XTX`."""
        count = Counter(device.name for device in self.devices)
        return " + ".join(name if number == 1 else f"{number} x {name}" for name, number in count.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What was found for each key of the matrix, or why it cannot be had.

    Attributes:
        targets: by backend and device.
        listed: by backend, device and image: whether a container of that image lists that device.
        logits: of the base models of quality cells, by cell id. text: that they are made of; None where it is unused.
    """

    targets: Mapping[tuple[str, str], Target | Failure] = field(default_factory=dict)
    listed: Mapping[tuple[str, str, str], Listed | Failure] = field(default_factory=dict)
    images: Mapping[str, ImageFacts | Failure] = field(default_factory=dict)
    models: Mapping[str, ModelFacts | Failure] = field(default_factory=dict)
    logits: Mapping[str, Path | Failure] = field(default_factory=dict)
    text: Path | None = None

    @property
    def simulated(self) -> bool:
        """Whether any image, device or model is made for tests."""
        devices = [d for target in self.targets.values() if isinstance(target, Target) for d in target.devices]
        images = [image for image in self.images.values() if isinstance(image, ImageFacts)]
        models = [model for model in self.models.values() if isinstance(model, ModelFacts)]
        facts: tuple[Device | ImageFacts | ModelFacts, ...] = (*devices, *images, *models)
        return any(fact.simulated for fact in facts)

    def failure(self, cell: Cell) -> Failure | None:
        """Why this cell cannot be run at all; None where it can."""
        for found in (
            self.targets[cell.backend, cell.device],
            self.images.get(cell.image),
            self.listed.get((cell.backend, cell.device, cell.image)),
            *(self.models.get(name) for name in cell.loaded),
            self.logits.get(cell.id),
        ):
            if isinstance(found, Failure):
                return found
        return None

    def draft(self, cell: Cell) -> ModelFacts | None:
        """The model that drafts for a cell that has no failure; None where none does."""
        found = self.models.get(cell.test.draft)
        return found if isinstance(found, ModelFacts) else None

    def target(self, cell: Cell) -> Target:
        """Of a cell that has no failure."""
        found = self.targets[cell.backend, cell.device]
        assert isinstance(found, Target)  # noqa: S101 - the caller asked `failure` first
        listed = self.listed.get((cell.backend, cell.device, cell.image))
        return replace(found, passthrough=listed.passthrough) if isinstance(listed, Listed) else found

    def checks_before(self, cell: Cell) -> tuple[Check, ...]:
        """What was shown before the first run: that a container lists the device. Of the CPU there is nothing."""
        listed = self.listed.get((cell.backend, cell.device, cell.image))
        return (listed.check,) if isinstance(listed, Listed) else ()

    def image(self, cell: Cell) -> ImageFacts:
        """Of a cell that has no failure."""
        found = self.images[cell.image]
        assert isinstance(found, ImageFacts)  # noqa: S101 - the caller asked `failure` first
        return found

    def model(self, cell: Cell) -> ModelFacts:
        """Of a cell that has no failure."""
        found = self.models[cell.model]
        assert isinstance(found, ModelFacts)  # noqa: S101 - the caller asked `failure` first
        return found


def _target(cell: Cell, devices: tuple[Device, ...], engine: EngineFacts) -> Target | Failure:
    backend = BACKENDS[cell.backend]
    chosen = select_all(devices, backend=backend, name=cell.device)
    if isinstance(chosen, Failure):
        return chosen
    passthrough = passthrough_of(chosen, backend=backend, engine=engine)
    return passthrough if isinstance(passthrough, Failure) else Target(devices=chosen, passthrough=passthrough)


def _as_failure(error: ArtifactError) -> Failure:
    detail = f"{error.where}: {error.what}" if error.where else error.what
    return Failure(phase=Phase.PREPARE, reason=Reason(error.reason), detail=detail, remedy=error.remedy)


def _with_binaries(facts: ImageFacts, store: ImageStore, workspace: Workspace) -> ImageFacts:
    found = image_binaries(facts.id, facts.binary_dir, store=store, cache=workspace.cache)
    if isinstance(found, str):
        return replace(facts, unknown={**facts.unknown, "binaries": found})
    return replace(facts, binaries=found)


def _with_programs(facts: ImageFacts, cells: Sequence[Cell], probe: Probe, workspace: Workspace) -> ImageFacts:
    """The image with what the programs say that its cells need beside llama-bench: their options and builds."""
    needed = {MEASUREMENTS[c.test.measurement].program for c in cells} - {MEASUREMENTS[BENCH].program}
    needed |= {MEASUREMENTS[LATENCY].program for c in cells if c.beside}
    said = {
        program: ask_program(facts.id, facts.binary_dir, program, probe=probe, cache=workspace.cache)
        for program in sorted(needed)
    }
    if not said:
        return facts
    builds = {program: answers.build for program, answers in said.items() if answers.build is not None}
    return replace(facts, programs={p: answers.flags for p, answers in said.items()}, program_builds=builds)


def local_models(matrix: Matrix, cells: Sequence[Cell], workspace: Workspace) -> dict[str, ModelFacts]:
    """Verify the models that are files of the user, before anything is started.

    Raises:
        InputError: a file is missing, is no GGUF, differs from its hash, or cannot be read in a container.
    """
    named = dict.fromkeys(name for cell in cells for name in cell.models)
    wanted = [name for name in named if matrix.models[name].kind == "file"]
    found = {
        name: prepare_model(matrix.models[name], cache=workspace.cache, base=matrix.path.parent) for name in wanted
    }
    for name, model in found.items():
        if not model.path.stat().st_mode & stat.S_IROTH:
            raise InputError(
                "only its owner may read it, and containers run as nobody's user",
                where=f"model {name}: {model.path}",
                remedy=f"chmod o+r {shlex.quote(str(model.path))}",
            )
    return found


def prepare(
    matrix: Matrix,
    cells: Sequence[Cell],
    *,
    devices: tuple[Device, ...],
    engine: EngineFacts,
    store: ImageStore,
    probe: Probe,
    lister: Lister,
    logits_maker: LogitsMaker,
    local: Mapping[str, ModelFacts],
    workspace: Workspace,
    display: Display,
) -> Prepared:
    """Find the devices; build or pull the images; let each list its devices; fetch or make the models of what is left.

    Raises:
        InputError: a hash differs from what the matrix or the registry says.
    """
    targets = {(c.backend, c.device): _target(c, devices, engine) for c in cells}
    runnable = [c for c in cells if isinstance(targets[c.backend, c.device], Target)]
    images: dict[str, ImageFacts | Failure] = {}
    for name in dict.fromkeys(c.image for c in runnable):
        with display.step(f"image {name}") as step:
            try:
                facts = prepare_image(
                    matrix.images[name],
                    store=store,
                    probe=probe,
                    images=workspace.images,
                    cache=workspace.cache,
                    say=display.say,
                    progress=step,
                )
                step("hashing its programs and libraries", None, None)
                facts = _with_binaries(facts, store, workspace)
                images[name] = _with_programs(facts, [c for c in runnable if c.image == name], probe, workspace)
            except ArtifactError as error:
                images[name] = _as_failure(error)
    runnable = [c for c in runnable if isinstance(images[c.image], ImageFacts)]
    listed = _listed(runnable, targets, images, lister=lister, display=display)
    runnable = [c for c in runnable if not isinstance(listed.get((c.backend, c.device, c.image)), Failure)]
    models: dict[str, ModelFacts | Failure] = dict(local)
    for name in dict.fromkeys(name for c in runnable for name in c.models if name not in local):
        with display.step(f"model {name}") as step:
            try:
                models[name] = prepare_model(
                    matrix.models[name], cache=workspace.cache, base=matrix.path.parent, say=display.say, progress=step
                )
            except ArtifactError as error:
                models[name] = _as_failure(error)
    found = Prepared(targets=targets, listed=listed, images=images, models=models, text=logits_maker.text)
    return replace(found, logits=_logits(runnable, found, logits_maker, display))


def _logits(
    cells: Sequence[Cell], prepared: Prepared, maker: LogitsMaker, display: Display
) -> dict[str, Path | Failure]:
    """Of each quality cell that is compared with another model; those of one base and setting are made once."""
    found: dict[str, Path | Failure] = {}
    for cell in cells:
        if not cell.test.against or prepared.failure(cell):
            continue
        base = prepared.models[cell.test.against]
        if isinstance(base, Failure):
            found[cell.id] = base
            continue
        with display.step(f"logits of {base.name}"):
            target = prepared.target(cell)
            found[cell.id] = maker.logits(cell, base, passthrough=target.passthrough, image=prepared.image(cell))
    return found


def _listed(
    cells: Sequence[Cell],
    targets: Mapping[tuple[str, str], Target | Failure],
    images: Mapping[str, ImageFacts | Failure],
    *,
    lister: Lister,
    display: Display,
) -> dict[tuple[str, str, str], Listed | Failure]:
    """Ask a container of each image for each device, once in a start; the CPU needs no asking."""
    found: dict[tuple[str, str, str], Listed | Failure] = {}
    for key in dict.fromkeys((c.backend, c.device, c.image) for c in cells):
        backend, device, name = key
        target, image = targets[backend, device], images[name]
        if isinstance(target, Failure) or isinstance(image, Failure) or not target.passthrough.expected:
            continue
        with display.step(f"{BACKENDS[backend].title} on {target.title}"):
            found[key] = lister.listed(target.passthrough, backend=backend, image=image)
    return found
