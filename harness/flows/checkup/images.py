"""The images: present or not, with a llama-bench that starts and sees the cards, and not too new for the driver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.artifacts.images import ImageRow, known_images
from harness.flows.checkup.cards import Pair, gpus_of
from harness.flows.checkup.engine import Answering
from harness.flows.checkup.probes import probe_cards, probe_image
from harness.flows.checkup.wanted import Wanted
from harness.flows.tables import size
from harness.flows.workspace import Workspace
from harness.machine.vendors import driver_problem
from harness.values.failure import Failure
from harness.values.finding import Finding, State, green, red, yellow


def check_images(
    wanted: Wanted, found: tuple[Pair, ...], answering: Answering, workspace: Workspace, *, may_start: bool
) -> Iterator[Finding]:
    """Every image that is wanted; those that are present are started, unless another harness measures."""
    store = answering.images
    rows = known_images(wanted.images.values(), store=store, cache=workspace.cache, images=workspace.images)
    for row in rows:
        yield _present(row, wanted.hint)
        described = store.inspect(row.tag) if row.present else None
        if described is None:
            continue
        yield from _drivers(row, found, _environment(described))
        if may_start:
            image, source = str(described["Id"]), wanted.images[row.name]
            started = probe_image(source, image, answering)
            yield started
            if started.state is State.GREEN:
                yield from probe_cards(found, source, image, answering)
        else:
            yield yellow("llama_bench", "not started, since another harness is measuring", subject=row.name)


def _present(row: ImageRow, hint: str) -> Finding:
    if row.present:
        return green("image", f"{row.tag}, {size(row.size_bytes)} {row.build}".rstrip(), subject=row.name)
    todo = f"Made or pulled when a matrix needs it, or now with: ./bench images{hint} --build"
    return yellow("image", row.note or f"{row.tag} is absent", subject=row.name, todo=todo)


def _drivers(row: ImageRow, found: tuple[Pair, ...], environment: Mapping[str, str]) -> Iterator[Finding]:
    for device in gpus_of(pair for pair in found if pair.image == row.name):
        told = driver_problem(device, environment)
        subject = f"{row.name} on {device.name}"
        if isinstance(told, Failure):
            yield red("driver", told.detail, subject=subject, todo=told.remedy, reason=told.reason)
        elif told is not None:
            doubtful = yellow("driver", told.found, subject=subject, todo=told.doubt)
            yield doubtful if told.doubt else green("driver", told.found, subject=subject)


def _environment(described: Mapping[str, object]) -> dict[str, str]:
    """The variables that an image sets."""
    config = described.get("Config")
    lines = config.get("Env") if isinstance(config, Mapping) else None
    pairs = (str(line).partition("=") for line in lines or ())
    return {name: value for name, _, value in pairs}
