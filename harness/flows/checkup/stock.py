"""What has to be there or to fit: models, memory for them, disk space."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.artifacts.models import KnownModel, known_models
from harness.flows.checkup.cards import Pair
from harness.flows.checkup.wanted import Wanted
from harness.flows.tables import size
from harness.flows.workspace import Workspace
from harness.machine.facts import memory_available_bytes
from harness.values.finding import Finding, green, red, yellow

IMAGES_BYTES = 5 * 1024**3
"""Measured: base, core, CPU and Vulkan images take 2.0 GB, the compiler's layers 1.4 GB more."""


def check_models(wanted: Wanted, workspace: Workspace) -> tuple[tuple[KnownModel, ...], tuple[Finding, ...]]:
    """The models that are wanted; of the whole registry only those that are there."""
    rows = known_models(wanted.models, workspace.cache, base=wanted.base)
    findings = (_model(row, wanted.hint) for row in rows if not (wanted.whole and row.state == "absent"))
    return rows, tuple(findings)


def check_memory(rows: tuple[KnownModel, ...], found: tuple[Pair, ...], wanted: Wanted) -> Iterator[Finding]:
    """Whether the largest model that the matrix names fits where it will lie."""
    largest = max((row for row in rows if row.size_bytes), key=lambda row: row.size_bytes or 0, default=None)
    if wanted.whole or largest is None or largest.size_bytes is None:
        return
    places = {device for pair in found for device in pair.found}
    for device in sorted(places, key=lambda device: device.name):
        room = device.memory_bytes or device.shared_memory_bytes or memory_available_bytes()
        text = f"the largest model, {largest.name}, takes {size(largest.size_bytes)} of {size(room)}"
        if room and largest.size_bytes > room:
            todo = "Its cells will be out of memory: leave them out with --only, or offload fewer layers."
            yield yellow("memory", text, subject=device.name, todo=todo)
        else:
            yield green("memory", text, subject=device.name)


def check_disk(rows: tuple[KnownModel, ...], wanted: Wanted, workspace: Workspace) -> Iterator[Finding]:
    """Space for what has to be fetched or made, and for reports."""
    missing = sum(row.size_bytes or 0 for row in rows if row.state == "absent" and not wanted.whole)
    free = shutil.disk_usage(_existing(workspace.cache)).free
    text = f"{size(free)} free for the cache"
    if missing:
        text += f", {size(missing)} of models are to be fetched or made"
    todo = f"Free some, or set XDG_CACHE_HOME to a larger disk; ./bench clean --cache empties {workspace.cache.name}."
    if missing > free:
        yield red("disk", text, todo=todo)
    else:
        short = free - missing < IMAGES_BYTES
        yield yellow("disk", text, todo=f"Images need about 5 GiB too. {todo}") if short else green("disk", text)
    free = shutil.disk_usage(_existing(workspace.reports)).free
    short = free < IMAGES_BYTES // 10
    text = f"{size(free)} free for reports"
    yield yellow("disk", text, todo="Free some.") if short else green("disk", text)


def _model(row: KnownModel, hint: str) -> Finding:
    text = f"{size(row.size_bytes)}, {row.state}"
    if row.state == "verified":
        return green("model", text, subject=row.name)
    if row.state == "present":
        return green(
            "model", f"{size(row.size_bytes)}, present; its hash is checked before it is used", subject=row.name
        )
    if row.state == "absent":
        todo = f"Fetched or made when the matrix is run, or now with: ./bench models{hint} --fetch"
        if row.kind == "file":
            return red("model", text, subject=row.name, todo="Put the file there, or correct its path.", reason="model")
        return yellow("model", text, subject=row.name, todo=todo)
    return red(
        "model", "its source cannot be used as it stands", subject=row.name, todo="See ./bench models", reason="model"
    )


def _existing(path: Path) -> Path:
    """The folder itself, or the nearest above it that this user can see."""
    while not os.path.exists(path):  # noqa: PTH110 - `Path.exists` raises where a folder above is closed
        path = path.parent
    return path
