"""`invoke wins`: the quick wins of performance guides, tried on the user's own system, and the command that follows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.analysis.arms import Arms
from harness.analysis.comparisons import Compared, compare_all
from harness.analysis.results import CellResult, MachineResults
from harness.artifacts.models import known_models
from harness.errors import InputError
from harness.flows.console import Display
from harness.flows.model_sizes import model_size
from harness.flows.read_matrix import Plan, read_matrix
from harness.flows.win_trial import Trial, WinsRequest
from harness.flows.win_words import as_json, as_lines
from harness.flows.workspace import Workspace, find_workspace
from harness.formats.gguf import read_header
from harness.machine.facts import logical_cores, physical_cores
from harness.matrix.wins import About, Win, claims, find
from harness.values.cell import Cell
from harness.values.measurement import BENCH

SAME_SHAPE = 0.02
"""Relative difference in parameters within which two files are quantizations of one model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A claim, and what was found; `compared` is None where a side has no number, and `why_none` says why."""

    win: Win
    compared: Compared | None
    why_none: str = ""


def show_wins(request: WinsRequest, *, workspace: Workspace | None = None, display: Display | None = None) -> None:
    """Measure both sides of every claim in the same rounds, and say which hold.

    Raises:
        InputError: a mistake in the file, or no llama-bench cell in it.
        CellsFailedError: some sides have no number; what the others say is shown before.
    """
    workspace, display = workspace or find_workspace(), display or Display()
    plan = read_matrix(request.file, workspace)
    base = _base(plan, request.file)
    about = _about(plan, base, workspace)
    wins = _chosen(claims(base, about), request.only)
    trial = Trial(plan=plan, base=base, request=request, workspace=workspace, display=display)
    machine, failed = trial.speeds(wins)
    quality = trial.quality(about.quantizations if any(win.model for win in wins) else ())
    judged = judge(machine, base, wins)
    if request.as_json:
        display.say(json.dumps(as_json(base, judged, quality), indent=1, ensure_ascii=False))
    else:
        for line in as_lines(base, judged, quality, model=_title(machine, base)):
            display.say(line)
    if failed is not None:
        raise failed


def judge(machine: MachineResults, base: Cell, wins: Sequence[Win]) -> tuple[Judged, ...]:
    """Every claim held against what was measured, corrected for how many there are."""
    sides: list[tuple[Win, Arms | None, str]] = []
    for win in wins:
        found = [find([r.cell for r in machine.cells], base, side) for side in (win.before, win.after)]
        results = [
            next((r for r in machine.cells if cell is not None and r.cell.id == cell.id), None) for cell in found
        ]
        before, after = (_by_metric(result, win.metric) for result in results)
        why = _why_none(before) or _why_none(after)
        if why or before is None or after is None:
            sides.append((win, None, why))
            continue
        names = (machine.machine.machine,) * 2
        sides.append((win, Arms(first=before, second=after, machines=names, differs=(win.name,)), ""))
    compared = iter(compare_all([arms for _, arms, _ in sides if arms is not None]))
    return tuple(
        Judged(win=win, compared=next(compared) if arms is not None else None, why_none=why) for win, arms, why in sides
    )


def _by_metric(result: CellResult | None, name: str) -> CellResult | None:
    """The same result with another of its rates in the place of the one that stands for it; without, it has no run."""
    if result is None or not name:
        return result
    told = [(run, run.metrics[name]) for run in result.runs if run.metrics.get(name)]
    return replace(result, runs=tuple(replace(run, ns_per_token=1e9 / value) for run, value in told))


def _why_none(result: CellResult | None) -> str:
    if result is None:
        return "was not measured"
    if result.runs:
        return ""
    failure = result.failures[-1][1] if result.failures else None
    return f"{failure.reason}: {failure.detail}" if failure else "has no run"


def _base(plan: Plan, file: str) -> Cell:
    base = next((cell for cell in plan.cells if cell.test.measurement == BENCH and not cell.label), None)
    base = base or next((cell for cell in plan.cells if cell.test.measurement == BENCH), None)
    if base is None:
        raise InputError(
            "has no cell of llama-bench to start from", where=f"--file {file}", remedy="Add one: backend and model."
        )
    gen = next((c for c in plan.cells if _like(c, base) and c.test.n_gen and not c.test.n_prompt), None)
    prompt = next((c for c in plan.cells if _like(c, base) and c.test.n_prompt and not c.test.n_gen), None)
    test = replace(
        base.test,
        n_prompt=prompt.test.n_prompt if prompt else 512,
        n_gen=gen.test.n_gen if gen else 128,
        n_depth=0,
    )
    return replace(base, test=test, label="")


def _like(cell: Cell, base: Cell) -> bool:
    return (cell.backend, cell.image, cell.model, cell.device) == (base.backend, base.image, base.model, base.device)


def _about(plan: Plan, base: Cell, workspace: Workspace) -> About:
    names = dict.fromkeys(name for cell in plan.cells for name in cell.models)
    rows = known_models(
        {name: plan.matrix.models[name] for name in names}, workspace.cache, base=plan.matrix.path.parent
    )
    sizes = {row.name: size for row in rows if (size := model_size(row.path, row.size_bytes)) is not None}
    path = next((row.path for row in rows if row.name == base.model and row.path and row.path.is_file()), None)
    own = sizes.get(base.model)
    alike = [
        name
        for name, size in sizes.items()
        if own is not None and abs(size.n_params - own.n_params) <= SAME_SHAPE * own.n_params
    ]
    return About(
        cores=physical_cores(),
        threads=logical_cores(),
        context_length=read_header(path).context_length if path else None,
        depth=max((cell.test.n_depth for cell in plan.cells if _like(cell, base)), default=0) or None,
        draft=next((cell.test.draft for cell in plan.cells if cell.test.draft and cell.model == base.model), ""),
        quantizations=tuple(sorted(alike, key=lambda name: -sizes[name].size_bytes)),
    )


def _chosen(wins: Sequence[Win], only: Sequence[str]) -> tuple[Win, ...]:
    chosen = tuple(win for win in wins if not only or any(part.lower() in win.name.lower() for part in only))
    if not chosen:
        names = ", ".join(dict.fromkeys(win.name for win in wins))
        raise InputError("fits no claim", where=f"--only {' '.join(only)}", remedy=f"They are: {names}.")
    return chosen


def _title(machine: MachineResults, base: Cell) -> Path:
    """The model's file, for the command."""
    found = next((r.model for r in machine.cells if r.cell.model == base.model and r.model is not None), None)
    return Path(found.path.name) if found else Path(f"{base.model}.gguf")
