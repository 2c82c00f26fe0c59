"""`invoke matrix`: the main job, from a matrix file to a report. Read this file first.

    matrix file -> cells -> devices, images, models -> runs in containers -> records -> report

What is wrong is looked for in this order: the input (exit 2), the machine and its engine (exit 3), then what single
cells need (exit 1, recorded as their failure).
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from harness.errors import CellsFailedError, InterruptedByUserError
from harness.flows.base_logits import LogitsMaker
from harness.flows.campaign import Campaign
from harness.flows.console import Display
from harness.flows.engines import open_engine
from harness.flows.interrupts import Interrupts, interruption
from harness.flows.listing import Lister
from harness.flows.measure_request import MeasureRequest
from harness.flows.new_campaign import memory_bytes_of, new_campaign
from harness.flows.prepare import Prepared, local_models, prepare
from harness.flows.progress import causes
from harness.flows.read_matrix import Plan, read_matrix
from harness.flows.workspace import Workspace, find_workspace, shown_path
from harness.machine.facts import cpu_model, physical_cores, read_machine_facts
from harness.machine.identity import checked_name, machine_name
from harness.machine.locks import lock_folder, measuring_lock
from harness.machine.vendors import discover_devices
from harness.store.records import RecordStore
from harness.values.facts import MachineFacts


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
        campaign, store = new_campaign(
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
        # A quarter of what a start has to import, and not needed before its first container.
        from harness.report.report import write_report  # noqa: PLC0415

        report = write_report(store.folder, simulated=store.simulated, cache=workspace.cache)
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
                memory_bytes=memory_bytes_of(plan.matrix, machine),
                kernel_caches=workspace.cache / "kernels",
            ),
            logits_maker=LogitsMaker(
                engine=opened.engine,
                text=workspace.text,
                cache=workspace.cache,
                memory_bytes=memory_bytes_of(plan.matrix, machine),
            ),
            local=local,
            workspace=workspace,
            display=display,
        )
    return prepared, machine


def this_machine(request: MeasureRequest, workspace: Workspace) -> MachineFacts:
    """The machine that the harness runs on, under the name that its records have."""
    devices = discover_devices()
    if request.machine:
        name = checked_name(request.machine)
    else:
        name = machine_name(cpu=cpu_model(), cores=physical_cores(), devices=devices, state=workspace.state)
    return read_machine_facts(machine=name, devices=devices, environment=os.environ)


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
