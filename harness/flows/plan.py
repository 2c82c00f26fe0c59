"""`invoke plan`: the cells of a matrix with a time estimate. Runs nothing, needs no engine."""

from __future__ import annotations

from collections.abc import Mapping

from harness.analysis.results import read_results
from harness.artifacts.models import known_models
from harness.errors import InputError
from harness.flows.console import Display, duration
from harness.flows.model_sizes import model_size
from harness.flows.read_matrix import Plan, read_matrix
from harness.flows.tables import columns
from harness.flows.workspace import Workspace, find_workspace
from harness.matrix.estimate import ModelSize, estimate
from harness.matrix.remarks import remarks
from harness.matrix.rounds import group_cells
from harness.stats.until import LOOKS
from harness.values.backend import BACKENDS


def show_plan(file: str, *, only: tuple[str, ...] = ()) -> None:
    """Print the cells of a matrix file.

    Raises:
        InputError: a mistake in the file.
    """
    workspace, display = find_workspace(), Display()
    plan = read_matrix(file, workspace, only=only)
    matrix, groups = plan.matrix, group_cells(plan.cells)
    preset = matrix.preset
    guess = estimate(
        groups,
        sizes=_sizes(plan, workspace),
        rounds=preset.rounds,
        repetitions=preset.repetitions,
        rates=_earlier_rates(matrix.name, workspace),
    )
    rows = []
    for cell in plan.cells:
        seconds = guess.by_cell[cell.id]
        rows.append((cell.id, BACKENDS[cell.backend].title, cell.model, duration(seconds) if seconds else "unknown"))
    display.say(columns(("cell", "backend", "model", "about"), rows))
    runs = len(groups) * (preset.rounds + 1)
    rounds = str(preset.rounds) if preset.until is None else f"{LOOKS[0]} to {LOOKS[-1]}"
    most = "" if preset.until is None else "at most "
    display.say(
        f"{len(plan.cells)} cells in {len(groups)} groups; preset {preset.name}: a warm-up and {rounds} "
        f"rounds of {preset.repetitions} repetitions, {most}{runs} containers, about {duration(guess.seconds)} "
        "(rough; without building images and fetching models)"
    )
    for name in guess.unknown:
        display.say(f"not in the estimate: {name}, whose size is known once it is there")
    for remark in remarks(plan.cells):
        display.say(f"note: {remark}")


def _sizes(plan: Plan, workspace: Workspace) -> dict[str, ModelSize]:
    wanted = {
        name: plan.matrix.models[name] for name in dict.fromkeys(name for cell in plan.cells for name in cell.models)
    }
    rows = known_models(wanted, workspace.cache, base=plan.matrix.path.parent)
    return {row.name: found for row in rows if (found := model_size(row.path, row.size_bytes)) is not None}


def _earlier_rates(name: str, workspace: Workspace) -> Mapping[str, float]:
    """Rates by cell id, where this matrix was measured before on this machine or another."""
    try:
        machines = read_results(workspace.reports / name)
    except InputError:
        return {}
    return {
        result.cell.id: result.tokens_per_s
        for machine in machines
        for result in machine.cells
        if result.tokens_per_s is not None
    }
