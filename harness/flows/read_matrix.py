"""From `--file NAME` to the cells: what every flow that is about a matrix does first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial

from harness.artifacts.images import check_image_source
from harness.artifacts.synthetic_recipe import parse_recipe
from harness.flows.workspace import Workspace
from harness.machine.devices import ALL, DEFAULT, EACH, SOFTWARE, place_names, without_uuids
from harness.machine.facts import physical_cores
from harness.machine.vendors import discover_devices
from harness.matrix.expand import expand, timeouts
from harness.matrix.in_turn import in_turn, on_device
from harness.matrix.load import load_matrix, resolve_file
from harness.matrix.lock_file import apply_lock, lock_path, read_lock
from harness.matrix.registry import load_registry
from harness.values.backend import BACKENDS
from harness.values.cell import Cell
from harness.values.facts import Device
from harness.values.matrix import Matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A matrix and its cells on this machine.

    Attributes:
        timeouts: seconds for one run by cell id, where the file gives them.
        lock_sha256: of the lock file that images and models are pinned to; None without one.
    """

    matrix: Matrix
    cells: tuple[Cell, ...]
    timeouts: Mapping[str, float]
    lock_sha256: str | None = None


def read_matrix(file: str, workspace: Workspace, *, only: tuple[str, ...] = (), locked: bool = False) -> Plan:
    """Find, read, check and expand a matrix file.

    Args:
        only: globs on cell ids from the command line, beside those of the file.
        locked: pin images and models to what the lock beside the file says.

    Raises:
        InputError: with all mistakes of the file at once; or it has no lock, or is not what was locked.
    """
    path = resolve_file(file, cwd=workspace.cwd, matrices_dir=workspace.matrices)
    shown = str(path.relative_to(workspace.cwd)) if path.is_relative_to(workspace.cwd) else str(path)
    matrix = load_matrix(path, shown=shown, registry=load_registry(workspace.registry))
    # Devices are looked for only where a file names some, and once.
    spread = partial(_on_this_machine, devices=cache(discover_devices))
    cells = expand(matrix, n_threads=physical_cores(), only=only, spread=spread)
    for name in dict.fromkeys(cell.image for cell in cells):
        check_image_source(matrix.images[name], images=workspace.images)
    for name in dict.fromkeys(name for cell in cells for name in cell.models):
        if matrix.models[name].kind == "synthetic":
            parse_recipe(matrix.models[name].recipe, where=f"model {name}")
    plan = Plan(matrix=matrix, cells=cells, timeouts=timeouts(matrix, spread=spread))
    return _pinned(plan, file, workspace) if locked else plan


def _on_this_machine(cell: Cell, *, devices: Callable[[], tuple[Device, ...]]) -> tuple[Cell, ...]:
    """A cell for each device where the file says `each`; and places instead of UUIDs, which are never stored."""
    backend = BACKENDS[cell.backend]
    if cell.device == EACH:
        return in_turn(cell, place_names(devices(), backend=backend))
    if cell.device in {DEFAULT, SOFTWARE, ALL}:
        return (cell,)
    name = without_uuids(devices(), backend=backend, name=cell.device)
    return (cell,) if name == cell.device else (on_device(cell, name),)


def _pinned(plan: Plan, file: str, workspace: Workspace) -> Plan:
    path = lock_path(plan.matrix.path)
    shown = str(path.relative_to(workspace.cwd)) if path.is_relative_to(workspace.cwd) else str(path)
    lock = read_lock(path, shown=shown, matrix=file)
    matrix = apply_lock(lock, plan.matrix, plan.cells, shown=shown, file=file)
    return replace(plan, matrix=matrix, lock_sha256=lock.sha256)
