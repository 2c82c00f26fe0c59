"""From a plan to a campaign that can run: leftovers swept, all prepared, earlier records read, a session written."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from harness.flows.base_logits import LogitsMaker
from harness.flows.campaign import Campaign, make_groups
from harness.flows.console import Display
from harness.flows.engines import LOCK_LABEL, OpenEngine
from harness.flows.gatekeeper import Gatekeeper
from harness.flows.interrupts import Interrupts
from harness.flows.journalling import JournalledImages, journalled_probe
from harness.flows.listing import Lister
from harness.flows.measure_request import MeasureRequest
from harness.flows.model_sizes import size_of
from harness.flows.new_session import new_session
from harness.flows.powered import power_limits
from harness.flows.prepare import prepare
from harness.flows.read_matrix import Plan
from harness.flows.roofs import Prober
from harness.flows.run_once import model_identities
from harness.flows.setting import Setting
from harness.flows.stale import find_stale
from harness.flows.strategy import choose_strategy, context_limits
from harness.flows.workspace import Workspace, shown_path
from harness.machine.locks import lock_folder
from harness.machine.watch import Watch
from harness.matrix.foresight import Foresight, measured_rates
from harness.matrix.rounds import group_cells
from harness.store.history import History
from harness.store.records import RecordStore
from harness.store.sessions import Session, read_sessions
from harness.values.facts import MachineFacts, ModelFacts
from harness.values.matrix import Matrix
from harness.values.plan import Group
from harness.values.protocols import Engine

MEMORY_SHARE = 0.9
"""Of the machine's memory that a container may have, unless the matrix says; harness and engine need the rest."""


def new_campaign(
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
    """Everything up to the first run; with the store that the records go to.

    Args:
        local: facts of the model files that the matrix names.

    Raises:
        InputError: what is here is not what was locked, or a hash is not the promised one.
        MachineError: the engine went away, or nothing can be written.
    """
    matrix, engine = plan.matrix, opened.engine
    lock = str(lock_folder(os.environ))
    _sweep(engine, lock, display)
    power = power_limits(workspace.state, display, allowed=request.set_power_limit)
    engine_facts = engine.facts()
    memory_bytes = memory_bytes_of(matrix, machine)

    def journal(event: str, fields: Mapping[str, object]) -> None:
        store.journal(machine.machine, event, fields)

    prepared = prepare(
        matrix,
        plan.cells,
        devices=machine.devices,
        engine=engine_facts,
        store=JournalledImages(opened.images, journal),
        probe=journalled_probe(opened.probe(lock=lock), journal),
        lister=Lister(
            engine=engine,
            memory_bytes=memory_bytes,
            kernel_caches=workspace.cache / "kernels",
            cancel=interrupts.cancel,
            journal=journal,
            lock=lock,
        ),
        logits_maker=LogitsMaker(
            engine=engine,
            text=workspace.text,
            cache=workspace.cache,
            memory_bytes=memory_bytes,
            cancel=interrupts.cancel,
            journal=journal,
            lock=lock,
        ),
        local=local,
        workspace=workspace,
        display=display,
    )
    if prepared.simulated:
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
    if repaired := store.repair(machine.machine):
        display.say(repaired)
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
            limits=context_limits(plan.cells, prepared),
        ),
        timeouts=plan.timeouts,
        setting=setting,
        store=store.append,
        history=history,
        foresight=Foresight(
            repetitions=matrix.preset.repetitions,
            sizes={name: size_of(found) for name, found in prepared.models.items() if isinstance(found, ModelFacts)},
            rates=measured_rates(plan.cells, history),
        ),
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
        lock=lock,
    )
    if not setting.simulated:  # what this processor can do is nothing that a made-up card is held against
        cells = [cell for group in groups if not group.failure for cell in group.cells]
        session = replace(session, roofs=prober.roofs(cells))
    campaign.setting = replace(setting, session_sha256=store.session_sha256(session))
    store.write_matrix(matrix.path.read_bytes())
    store.write_session(session)
    return campaign, store


def memory_bytes_of(matrix: Matrix, machine: MachineFacts) -> int:
    """What a container may have."""
    return matrix.memory_bytes or int(machine.memory_bytes * MEMORY_SHARE)


def _sweep(engine: Engine, lock: str, display: Display) -> None:
    """We hold the lock: whatever container under it is left, of a run or a probe, belongs to a harness that died."""
    for name in engine.sweep(labels={LOCK_LABEL: lock}):
        display.say(f"removed what an earlier start left behind: container {name}")


def _stale_only(
    groups: tuple[Group, ...], session: Session, store: RecordStore, display: Display
) -> tuple[tuple[Group, ...], Session]:
    """The groups to be run again, and the session with the keys under which everything else is kept."""
    records = store.read(session.machine.machine)
    stale = find_stale(groups, records, read_sessions(store.folder), session)
    for cell, why in stale.why.items():
        display.say(f"stale: {cell}: {'; '.join(why)}")
    return stale.groups, replace(session, keys=stale.keys, only_stale=True)


def _history(store: RecordStore, machine: str, *, retry_failed: bool) -> History:
    history = History()
    for record in store.read(machine):
        kept = tuple(outcome for outcome in record.outcomes if outcome.ok or not retry_failed)
        history.take(replace(record, outcomes=kept), earlier=True)
    return history
