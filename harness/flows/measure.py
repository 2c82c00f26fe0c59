"""`invoke matrix`: the main job, from a matrix file to a report. Read this file first.

    matrix file -> cells -> devices, images, models -> runs in containers -> records -> report

What is wrong is looked for in this order: the input (exit 2), the machine and its engine (exit 3), then what single
cells need (exit 1, recorded as their failure).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import CellsFailedError, InterruptedByUserError
from harness.flows.base_logits import LogitsMaker
from harness.flows.campaign import Campaign, make_groups
from harness.flows.console import Display
from harness.flows.engines import LOCK_LABEL, RUN_LABELS, OpenEngine, open_engine
from harness.flows.gatekeeper import Gatekeeper
from harness.flows.interrupts import Interrupts, interruption
from harness.flows.journalling import JournalledImages, journalled_probe
from harness.flows.listing import Lister
from harness.flows.new_session import new_session
from harness.flows.prepare import Prepared, Target, local_models, prepare
from harness.flows.progress import causes
from harness.flows.read_matrix import Plan, read_matrix
from harness.flows.roofs import Prober
from harness.flows.run_once import model_identities
from harness.flows.setting import Setting
from harness.flows.stale import find_stale
from harness.flows.strategy import RoundsBy, choose_strategy
from harness.flows.workspace import Workspace, find_workspace
from harness.machine.facts import cpu_model, physical_cores, read_machine_facts
from harness.machine.identity import checked_name, machine_name
from harness.machine.locks import lock_folder, measuring_lock
from harness.machine.power_limit import PowerLimits
from harness.machine.vendors import discover_devices
from harness.machine.watch import Watch
from harness.matrix.rounds import group_cells
from harness.report.report import write_report
from harness.store.history import History
from harness.store.records import RecordStore
from harness.store.sessions import Session, read_sessions
from harness.values.facts import Device, ImageFacts, MachineFacts, ModelFacts
from harness.values.matrix import Matrix
from harness.values.plan import Group

MEMORY_SHARE = 0.9
"""Of the machine's memory that a container may have, unless the matrix says; harness and engine need the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRequest:
    """What the user asked for on the command line; and `rounds_by`, of a flow that knows better than the preset."""

    file: str
    fresh: bool = False
    only: tuple[str, ...] = ()
    machine: str = ""
    strict: bool = False
    gate_wait_s: float = 300.0
    retry_failed: bool = False
    budget_s: float | None = None
    price_per_kwh: float | None = None
    locked: bool = False
    set_power_limit: bool = False
    only_stale: bool = False
    rounds_by: RoundsBy | None = None


def measure(request: MeasureRequest, *, workspace: Workspace | None = None, display: Display | None = None) -> None:
    """Measure every cell of a matrix file on this machine and write the report.

    Raises:
        InputError: a mistake in the file, the options, or a local model file; or what is here is not what was locked.
            Nothing was started.
        MachineError: no engine, or the machine cannot be used.
        CellsFailedError: the report is written, and some cells have a failure instead of a number.
        InterruptedByUserError: the report is partial; the same command continues.
    """
    workspace = workspace or find_workspace()
    display = display or Display()
    interrupts = Interrupts()
    with interrupts.installed():
        plan = read_matrix(request.file, workspace, only=request.only, locked=request.locked)
        if request.price_per_kwh is not None:
            plan = replace(plan, matrix=replace(plan.matrix, price_per_kwh=request.price_per_kwh))
        folder = workspace.reports / plan.matrix.name
        measure_plan(plan, request, folder=folder, workspace=workspace, display=display, interrupts=interrupts)


def measure_plan(
    plan: Plan,
    request: MeasureRequest,
    *,
    folder: Path,
    workspace: Workspace,
    display: Display,
    interrupts: Interrupts,
) -> None:
    """Measure the cells of a plan into a report's folder. See `measure`, of which it is all but the reading."""
    machine = this_machine(request, workspace)
    local = local_models(plan.matrix, plan.cells, workspace)
    store = RecordStore(folder)
    store.check_writable()
    display.say(f"{plan.matrix.name}: {len(plan.cells)} cells on {machine.machine}")
    with measuring_lock(lock_folder(os.environ)), store.locked(), open_engine(display.say) as opened:
        campaign, store = _campaign(
            request,
            plan=plan,
            machine=machine,
            local=local,
            store=store,
            opened=opened,
            workspace=workspace,
            display=display,
            interrupts=interrupts,
        )
        try:
            campaign.run()
        except InterruptedByUserError:
            # Between two runs: what is recorded is complete, and the report says that it is partial.
            interrupts.stop.set()
        finally:
            campaign.close()
    if store.machines():
        report = write_report(store.folder, simulated=store.simulated)
        display.say(f"report: {shown_path(report, workspace)}")
    _finish(campaign, interrupts, len(plan.cells))


def look(
    plan: Plan, request: MeasureRequest, *, workspace: Workspace, display: Display
) -> tuple[Prepared, MachineFacts]:
    """Have what a plan needs, devices, images and models, without measuring anything.

    Raises:
        InputError: a local model cannot be used, or a hash is not the promised one. EngineError: there is no engine.
    """
    machine = this_machine(request, workspace)
    local = local_models(plan.matrix, plan.cells, workspace)
    with open_engine(display.say) as opened:
        prepared = prepare(
            plan.matrix,
            plan.cells,
            devices=machine.devices,
            engine=opened.engine.facts(),
            store=opened.images,
            probe=opened.probe(),
            lister=Lister(
                engine=opened.engine,
                memory_bytes=_memory_bytes(plan.matrix, machine),
                kernel_caches=workspace.cache / "kernels",
            ),
            logits_maker=LogitsMaker(
                engine=opened.engine,
                text=workspace.text,
                cache=workspace.cache,
                memory_bytes=_memory_bytes(plan.matrix, machine),
            ),
            local=local,
            workspace=workspace,
            display=display,
        )
    return prepared, machine


def _memory_bytes(matrix: Matrix, machine: MachineFacts) -> int:
    """What a container may have."""
    return matrix.memory_bytes or int(machine.memory_bytes * MEMORY_SHARE)


def this_machine(request: MeasureRequest, workspace: Workspace) -> MachineFacts:
    """The machine that the harness runs on, under the name that its records have."""
    devices = discover_devices()
    if request.machine:
        name = checked_name(request.machine)
    else:
        name = machine_name(cpu=cpu_model(), cores=physical_cores(), devices=devices, state=workspace.state)
    return read_machine_facts(machine=name, devices=devices, environment=os.environ)


def _campaign(
    request: MeasureRequest,
    *,
    plan: Plan,
    machine: MachineFacts,
    local: Mapping[str, ModelFacts],
    store: RecordStore,
    opened: OpenEngine,
    workspace: Workspace,
    display: Display,
    interrupts: Interrupts,
) -> tuple[Campaign, RecordStore]:
    """Everything up to the first run; with the store that the records go to."""
    matrix, engine = plan.matrix, opened.engine
    # We hold the lock: whatever container of a run under it is still there belongs to a harness that died.
    lock = str(lock_folder(os.environ))
    for name in engine.sweep(labels={**RUN_LABELS, LOCK_LABEL: lock}):
        display.say(f"removed what an earlier start left behind: container {name}")
    power = _power_limits(request, workspace, display)
    engine_facts = engine.facts()
    memory_bytes = _memory_bytes(matrix, machine)

    def journal(event: str, fields: Mapping[str, object]) -> None:
        store.journal(machine.machine, event, fields)

    prepared = prepare(
        matrix,
        plan.cells,
        devices=machine.devices,
        engine=engine_facts,
        store=JournalledImages(opened.images, journal),
        probe=journalled_probe(opened.probe(), journal),
        lister=Lister(
            engine=engine,
            memory_bytes=memory_bytes,
            kernel_caches=workspace.cache / "kernels",
            cancel=interrupts.cancel,
            journal=journal,
        ),
        logits_maker=LogitsMaker(
            engine=engine,
            text=workspace.text,
            cache=workspace.cache,
            memory_bytes=memory_bytes,
            cancel=interrupts.cancel,
            journal=journal,
        ),
        local=local,
        workspace=workspace,
        display=display,
    )
    if _simulated(prepared):
        # What comes from a fake is kept apart from real results, whatever it looks like.
        store = RecordStore(store.folder / "simulated", simulated=True)
        display.say("simulated: an image, a device or a model is a stand-in; the results go to a folder of their own")
    # An engine that refuses a mount names the folder, and so may the command that was called.
    store.redaction = store.redaction.without_folders(
        (workspace.cache, matrix.path.absolute().parent, *(m.path.parent for m in local.values()))
    )
    if request.fresh:
        archived = store.archive(machine.machine)
        if archived:
            display.say(f"earlier records were moved to {shown_path(archived, workspace)}")
    session_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    setting = Setting(
        matrix=matrix.name,
        matrix_sha256=matrix.sha256,
        machine=machine.machine,
        session=session_id,
        repetitions=matrix.preset.repetitions,
        memory_bytes=memory_bytes,
        kernel_caches=workspace.cache / "kernels",
        prepared=prepared,
        identities=model_identities(prepared),
        engine=engine,
        gate=Gatekeeper(max_wait_s=request.gate_wait_s, cancel=interrupts.stop, display=display),
        watch=Watch(machine.devices),
        power=power,
        lock=lock,
        strict=request.strict,
        simulated=store.simulated,
        journal=journal,
    )
    groups = make_groups(group_cells(plan.cells), setting)
    session = new_session(session_id, plan, machine=machine, engine=engine_facts, prepared=prepared, groups=groups)
    _repair(store, machine, display)
    if request.only_stale:
        groups, session = _stale_only(groups, session, store, display)
    history = _history(store, machine.machine, retry_failed=request.retry_failed)
    history.keys = frozenset(group.key for group in groups)
    campaign = Campaign(
        strategy=choose_strategy(
            groups,
            matrix,
            budget_s=request.budget_s,
            rounds_by=request.rounds_by,
            limits=_context_limits(plan, prepared),
        ),
        timeouts=plan.timeouts,
        setting=setting,
        store=store.append,
        history=history,
        interrupts=interrupts,
        display=display,
    )
    left = campaign.left()
    if not left:
        nothing = "nothing that was measured is stale" if request.only_stale else "everything is measured already"
        display.say(f"{nothing}; --fresh starts again")
        return campaign, store
    if history.outcomes:
        display.say(f"continuing: {left} runs are left")
    prober = Prober(
        engine=engine,
        store=JournalledImages(opened.images, journal),
        machine=machine.machine,
        cores=machine.cpu_cores,
        memory_bytes=memory_bytes,
        images=workspace.images,
        cache=workspace.cache,
        state=workspace.state,
        display=display,
        cancel=interrupts.cancel,
        journal=journal,
    )
    if not setting.simulated:  # what this processor can do is nothing that a made-up card is held against
        cells = [cell for group in groups if not group.failure for cell in group.cells]
        session = replace(session, roofs=prober.roofs(cells))
    campaign.setting = replace(setting, session_sha256=store.session_sha256(session))
    store.write_matrix(matrix.path.read_bytes())
    store.write_session(session)
    return campaign, store


def _power_limits(request: MeasureRequest, workspace: Workspace, display: Display) -> PowerLimits:
    """Who sets power limits; what a start that was killed left in force is put back first."""
    power = PowerLimits(workspace.state, allowed=request.set_power_limit)
    for line in power.restore():
        display.say(f"an earlier start was killed under a power limit: {line}")
    return power


def _repair(store: RecordStore, machine: MachineFacts, display: Display) -> None:
    repaired = store.repair(machine.machine)
    if repaired:
        display.say(repaired)


def _stale_only(
    groups: tuple[Group, ...], session: Session, store: RecordStore, display: Display
) -> tuple[tuple[Group, ...], Session]:
    """The groups to be run again, and the session with the keys under which everything else is kept."""
    records = store.read(session.machine.machine)
    stale = find_stale(groups, records, read_sessions(store.folder), session)
    for cell, why in stale.why.items():
        display.say(f"stale: {cell}: {'; '.join(why)}")
    return stale.groups, replace(session, keys=stale.keys, only_stale=True)


def _context_limits(plan: Plan, prepared: Prepared) -> dict[str, int | None]:
    """Tokens that the model of each cell was trained for; None where that is not known."""
    known = {name: m.context_length for name, m in prepared.models.items() if isinstance(m, ModelFacts)}
    return {cell.id: known.get(cell.model) for cell in plan.cells}


def _simulated(prepared: Prepared) -> bool:
    """Whether any image, device or model is made for tests."""
    targets = [target for target in prepared.targets.values() if isinstance(target, Target)]
    devices = [device for target in targets for device in target.devices]
    images = [image for image in prepared.images.values() if isinstance(image, ImageFacts)]
    models = [model for model in prepared.models.values() if isinstance(model, ModelFacts)]
    facts: tuple[Device | ImageFacts | ModelFacts, ...] = (*devices, *images, *models)
    return any(fact.simulated for fact in facts)


def _history(store: RecordStore, machine: str, *, retry_failed: bool) -> History:
    history = History()
    for record in store.read(machine):
        kept = tuple(outcome for outcome in record.outcomes if outcome.ok or not retry_failed)
        history.take(replace(record, outcomes=kept), earlier=True)
    return history


def shown_path(path: Path, workspace: Workspace) -> str:
    """A path as the user would write it."""
    return str(path.relative_to(workspace.cwd)) if path.is_relative_to(workspace.cwd) else str(path)


def _finish(campaign: Campaign, interrupts: Interrupts, n_cells: int) -> None:
    if interrupts.stop.is_set():
        raise interruption()
    lacking = campaign.strategy.lacking(campaign.history)
    if lacking:
        shown = ", ".join(lacking[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")  # noqa: PLR2004
        why = causes(lacking, campaign.history)
        raise CellsFailedError(
            "\n".join((f"{len(lacking)} of {n_cells} cells have no complete result: {shown}", *why)),
            remedy="The report says why for each of them.",
        )
