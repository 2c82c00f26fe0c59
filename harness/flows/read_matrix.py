"""From `--file NAME` to the cells: what every flow that is about a matrix does first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.artifacts.images import check_image_source
from harness.artifacts.synthetic_recipe import parse_recipe
from harness.flows.workspace import Workspace
from harness.machine.facts import physical_cores
from harness.matrix.expand import expand, timeouts
from harness.matrix.load import load_matrix, resolve_file
from harness.matrix.registry import load_registry
from harness.values.cell import Cell
from harness.values.matrix import Matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A matrix and its cells on this machine.

    Attributes:
        timeouts: seconds for one run by cell id, where the file gives them.
    """

    matrix: Matrix
    cells: tuple[Cell, ...]
    timeouts: Mapping[str, float]


def read_matrix(file: str, workspace: Workspace, *, only: tuple[str, ...] = ()) -> Plan:
    """Find, read, check and expand a matrix file.

    Args:
        only: globs on cell ids from the command line, beside those of the file.

    Raises:
        InputError: with all mistakes of the file at once.
    """
    path = resolve_file(file, cwd=workspace.cwd, matrices_dir=workspace.matrices)
    shown = str(path.relative_to(workspace.cwd)) if path.is_relative_to(workspace.cwd) else str(path)
    matrix = load_matrix(path, shown=shown, registry=load_registry(workspace.registry))
    cells = expand(matrix, n_threads=physical_cores(), only=only)
    for name in dict.fromkeys(cell.image for cell in cells):
        check_image_source(matrix.images[name], images=workspace.images)
    for name in dict.fromkeys(cell.model for cell in cells):
        if matrix.models[name].kind == "synthetic":
            parse_recipe(matrix.models[name].recipe, where=f"model {name}")
    return Plan(matrix=matrix, cells=cells, timeouts=timeouts(matrix))
