"""`invoke models`: which models are known and present, and getting those that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.artifacts.models import known_models, prepare_model
from harness.flows.console import Display
from harness.flows.read_matrix import read_matrix
from harness.flows.tables import columns, size
from harness.flows.workspace import Workspace, find_workspace
from harness.matrix.registry import load_registry
from harness.values.matrix import ModelSource


def sources(file: str, workspace: Workspace) -> tuple[tuple[ModelSource, ...], Path]:
    """The models that a matrix uses, or the whole registry; with the folder that relative paths start from."""
    if not file:
        return tuple(load_registry(workspace.registry).values()), workspace.matrices
    plan = read_matrix(file, workspace)
    names = dict.fromkeys(name for cell in plan.cells for name in cell.models)
    return tuple(plan.matrix.models[name] for name in names), plan.matrix.path.parent


def show_models(file: str, *, fetch: bool) -> None:
    """List models; with `fetch`, get, make and verify what is missing.

    Raises:
        InputError: a mistake in the matrix file, or a file that differs from its hash.
        ArtifactError: a model cannot be had.
    """
    workspace, display = find_workspace(), Display()
    wanted, base = sources(file, workspace)
    if fetch:
        _ensure(wanted, base, workspace, display)
    rows = known_models({source.name: source for source in wanted}, workspace.cache, base=base)
    display.say(
        columns(
            ("model", "kind", "state", "size", "licence"),
            [(r.name, r.kind, r.state, size(r.size_bytes), r.licence) for r in rows],
        )
    )


def ensure_models(names: Sequence[str], workspace: Workspace, display: Display) -> None:
    """Get models of the registry where they are missing.

    Raises:
        ArtifactError: one cannot be had.
    """
    registry = load_registry(workspace.registry)
    _ensure([registry[name] for name in names], workspace.matrices, workspace, display)


def _ensure(wanted: Sequence[ModelSource], base: Path, workspace: Workspace, display: Display) -> None:
    for source in wanted:
        with display.step(f"model {source.name}") as step:
            prepare_model(source, cache=workspace.cache, base=base, say=display.say, progress=step)
