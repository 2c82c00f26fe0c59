"""`invoke reproduce`: the same images, models and cells again, into a folder of its own, and are the numbers the same?

Needs the report's folder and this repository; everything else is fetched or made by its hash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from harness import __version__
from harness.analysis.audit import audit
from harness.analysis.environment import environment_differences
from harness.analysis.reproduction import (
    DAY_SD,
    device_reasons,
    image_reasons,
    in_words,
    judge,
    model_reasons,
    overall,
    unfit,
)
from harness.analysis.results import CellResult, MachineResults, read_results
from harness.errors import CellsFailedError, InputError
from harness.flows.console import Display
from harness.flows.interrupts import Interrupts
from harness.flows.measure import look, measure_plan
from harness.flows.measure_request import MeasureRequest
from harness.flows.prepare import Prepared
from harness.flows.publish import find_report
from harness.flows.read_matrix import Plan, read_matrix
from harness.flows.run_once import utc_now
from harness.flows.source_version import source_version
from harness.flows.workspace import CHECKOUT, Workspace, find_workspace, shown_path
from harness.report.report import write_report
from harness.store.files import check_writable
from harness.store.reproductions import (
    Conclusion,
    ReproducedCell,
    Reproduction,
    read_reproductions,
    write_reproduction,
)
from harness.values.cell import Cell
from harness.values.facts import MachineFacts
from harness.values.matrix import ImageSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproduceRequest:
    """What the user asked for on the command line.

    Attributes:
        folder: of the report. record: id of one record, or its beginning, whose cells alone are meant.
        of: the machine of the original, where the folder holds several.
        only: globs on cell ids. into: the folder of the new records.
    """

    folder: str
    record: str = ""
    of: str = ""
    only: tuple[str, ...] = ()
    into: str = ""
    machine: str = ""
    gate_wait_s: float = 300.0


def reproduce(
    request: ReproduceRequest, *, workspace: Workspace | None = None, display: Display | None = None
) -> Reproduction:
    """Measure the cells of a report again and hold the numbers against each other.

    Raises:
        InputError: there is no such report, it was changed, or nothing in it is meant.
        MachineError: no engine, or the machine cannot be used.
        CellsFailedError: it was measured, and not everything was reproduced.
        InterruptedByUserError: the same command continues.
    """
    workspace, display = workspace or find_workspace(), display or Display()
    folder = find_report(request.folder, workspace, where=request.folder)
    original = _original(folder, request)
    results = _wanted(original, folder, request)
    check_writable(folder)
    into = _into(folder, request, workspace)
    plan = _plan(folder, original, results, workspace)
    measure_request = MeasureRequest(file="", machine=request.machine, gate_wait_s=request.gate_wait_s)
    prepared, machine = look(plan, measure_request, workspace=workspace, display=display)
    reasons, remarks = _comparable(results, original.machine, machine, prepared)
    for result in results:
        for reason in reasons[result.cell.id]:
            display.say(f"not comparable: {result.cell.id}: {reason}")
    plan = replace(plan, cells=tuple(cell for cell in plan.cells if not reasons[cell.id]))
    if plan.cells:
        _measure(plan, measure_request, into=into, workspace=workspace, display=display)
    made = _judged(results, reasons, remarks, original=original, into=into, machine=machine, folder=folder)
    made = write_reproduction(folder, made)
    report = write_report(folder, cache=workspace.cache)
    for cell in made.cells:
        display.say(f"{cell.cell}: {in_words(cell)}")
    display.say(f"{made.conclusion}: {made.count(Conclusion.REPRODUCED)} of {len(made.cells)} cells")
    records = f"; new records: {shown_path(into, workspace)}" if plan.cells else ""
    display.say(f"report: {shown_path(report, workspace)}{records}")
    if made.conclusion is not Conclusion.REPRODUCED:
        raise CellsFailedError(str(made.conclusion), where=folder.name, remedy=_remedy(made, original))
    return made


def _remedy(made: Reproduction, original: MachineResults) -> str:
    """What to do about cells that were not reproduced: an image that is built here follows from recipes and a base."""
    reasons = [reason for cell in made.cells for reason in cell.reasons]
    source = (original.latest.harness_source or "").removesuffix("-dirty")
    if source and any(reason.startswith(("recipe: ", "build: ", "image: ")) for reason in reasons):
        return (
            f"Images are built from images/ of a checkout: `git checkout {source} -- images` brings that of the "
            "original into this one, `git checkout HEAD -- images` takes it back."
        )
    if any(reason.startswith("base image: ") for reason in reasons):
        return "Debian's packages have moved on: `docker save` and `docker load` bring the image from where it is."
    return "`invoke diff-env` shows what is not the same."


def _original(folder: Path, request: ReproduceRequest) -> MachineResults:
    """The machine whose numbers are to be reproduced, in a folder that was not changed."""
    if folder.name == "simulated":
        raise InputError("simulated results are no numbers", where=str(folder), remedy="Name a real report.")
    changed = audit(folder).findings
    if changed:
        raise InputError(
            f"is not as it was measured: {changed[0]}",
            where=str(folder),
            remedy="`invoke verify` shows everything that is wrong; a changed report cannot be reproduced.",
        )
    machines = {results.machine.machine: results for results in read_results(folder)}
    if request.of:
        if request.of not in machines:
            raise InputError(
                f"has no machine {request.of!r}", where=str(folder), remedy=f"It has {', '.join(machines)}."
            )
        return machines[request.of]
    if len(machines) > 1 and not request.record:
        raise InputError(
            f"holds several machines: {', '.join(machines)}", where=str(folder), remedy="Say which one with --of."
        )
    for results in machines.values():
        if not request.record or any(record.id.startswith(request.record) for record in results.records):
            return results
    raise InputError(f"has no record {request.record!r}", where=str(folder), remedy="Ids stand in records/*.jsonl.")


def _wanted(original: MachineResults, folder: Path, request: ReproduceRequest) -> tuple[CellResult, ...]:
    cells = original.cells
    if request.record:
        found = [record for record in original.records if record.id.startswith(request.record)]
        if len(found) != 1:
            what = f"{len(found)} records begin with {request.record!r}"
            raise InputError(what, where=str(folder), remedy="Give more of the id; ids stand in records/*.jsonl.")
        named = {cell.id for cell in found[0].run.cells}
        cells = tuple(result for result in cells if result.cell.id in named)
    if request.only:
        cells = tuple(r for r in cells if any(fnmatchcase(r.cell.id, glob) for glob in request.only))
    if not cells:
        raise InputError("none of its cells is meant", where=str(folder), remedy="See the cell ids in report.md.")
    return cells


def _into(folder: Path, request: ReproduceRequest, workspace: Workspace) -> Path:
    """The folder of the new records: one that was begun and not finished, or a new one."""
    if request.into:
        return workspace.cwd / request.into
    taken = {found.folder for found in read_reproductions(folder)}
    stem = re.sub(r"[^A-Za-z0-9._-]", "-", folder.name)[:40]
    number = 1
    while f"{stem}.reproduction-{number}" in taken:
        number += 1
    return workspace.reports / f"{stem}.reproduction-{number}"


def _plan(folder: Path, original: MachineResults, results: Sequence[CellResult], workspace: Workspace) -> Plan:
    """The matrix file's copy with the plan of the session: cells, rounds, repetitions, seed; images by digest."""
    session = original.latest
    own = folder / "matrices" / f"{session.matrix_sha256[:12]}.yaml"
    # Of several machines each may have measured another matrix; the newest one is the folder's.
    plan = read_matrix(str(own if own.is_file() else folder / "matrix.yaml"), workspace)
    matrix = plan.matrix
    preset = replace(
        matrix.preset,
        rounds=max(session.rounds, *(len(result.runs) for result in results)),
        repetitions=session.repetitions,
        until=None,
    )
    images = {name: _pinned(source, results) for name, source in matrix.images.items()}
    matrix = replace(matrix, name=session.matrix, preset=preset, seed=session.seed, images=images)
    cells = tuple(result.cell for result in results if not unfit(result))
    known = {cell.id for cell in cells}
    return Plan(matrix=matrix, cells=cells, timeouts={i: s for i, s in plan.timeouts.items() if i in known})


def _pinned(source: ImageSource, results: Sequence[CellResult]) -> ImageSource:
    """A pulled image by the digest that was measured, since its tag may have moved."""
    digest = next((r.image.digest for r in results if r.image and r.image.name == source.name and r.image.digest), None)
    if not source.ref or digest is None:
        return source
    repository = source.ref.partition("@")[0]
    repository = repository if "@" in source.ref else re.sub(r":[^/:]+$", "", repository)
    return replace(source, ref=f"{repository}@{digest.rpartition('@')[2]}")


def _comparable(
    results: Sequence[CellResult], then: MachineFacts, now: MachineFacts, prepared: Prepared
) -> tuple[dict[str, list[str]], list[str]]:
    """By cell, why it cannot be compared (empty where it can); and what is not the same all the same."""
    reasons: dict[str, list[str]] = {}
    remarks: list[str] = []
    for result in results:
        cell = result.cell
        why = unfit(result)
        failure = prepared.failure(cell) if not why else None
        if failure is not None:
            why = [f"{failure.reason}: {failure.detail}"]
        if not why:
            target = prepared.target(cell)
            parts = (
                device_reasons(result, then, now, target.title, target.devices),
                image_reasons(result.image, prepared.image(cell)),
                model_reasons(result.model, prepared.model(cell)),
            )
            why = [reason for forbidden, _ in parts for reason in forbidden]
            remarks += [remark for _, remarked in parts for remark in remarked]
        reasons[cell.id] = why
    return reasons, list(dict.fromkeys(remarks))


def _measure(plan: Plan, request: MeasureRequest, *, into: Path, workspace: Workspace, display: Display) -> None:
    interrupts = Interrupts()
    with interrupts.installed():
        try:
            measure_plan(plan, request, folder=into, workspace=workspace, display=display, interrupts=interrupts)
        except CellsFailedError as error:
            # Which, and that they are not reproduced, is told below.
            display.say(error.what)


def _judged(
    results: Sequence[CellResult],
    reasons: Mapping[str, list[str]],
    remarks: Sequence[str],
    *,
    original: MachineResults,
    into: Path,
    machine: MachineFacts,
    folder: Path,
) -> Reproduction:
    again = _again(into, machine)
    comparable = [result for result in results if not reasons[result.cell.id]]
    cells = []
    for result in results:
        why = reasons[result.cell.id]
        if why:
            first = tuple(run.ns_per_token for run in result.runs)
            cells.append(
                ReproducedCell(
                    cell=result.cell.id,
                    conclusion=Conclusion.NOT_COMPARABLE,
                    reasons=tuple(why),
                    first_ns_per_token=first,
                )
            )
        else:
            cells.append(_cell(result, again, len(comparable)))
    others = list(remarks)
    if again is not None:
        others += [
            f"{d.field}: {d.first} then, {d.second} here"
            for d in environment_differences(original.latest, again.latest)
            if d.known and d.weight in {"clocks and memory", "system", "engine"} and d.field != "up_s"
        ]
    return Reproduction(
        created_utc=utc_now(),
        report=folder.name,
        matrix_sha256=original.latest.matrix_sha256,
        first_machine=original.machine.machine,
        second_machine=machine.machine,
        first_sessions=tuple(sorted({run.session for result in results for run in result.runs})),
        second_sessions=tuple(session.id for session in again.sessions) if again else (),
        harness_version=__version__,
        harness_source=source_version(CHECKOUT),
        folder=into.name,
        day_sd=DAY_SD,
        conclusion=overall(cells),
        cells=tuple(cells),
        remarks=tuple(dict.fromkeys(others)),
    )


def _again(into: Path, machine: MachineFacts) -> MachineResults | None:
    """What was measured now; None where nothing was."""
    if not (into / "records").is_dir():
        return None
    return next((r for r in read_results(into) if r.machine.machine == machine.machine), None)


def _cell(result: CellResult, again: MachineResults | None, comparable: int) -> ReproducedCell:
    cell: Cell = result.cell
    now = next((found for found in again.cells if found.cell.id == cell.id), None) if again else None
    first = tuple(run.ns_per_token for run in result.runs)
    if now is None or not now.runs:
        failures = [f"{failure.reason}: {failure.detail}" for _, failure in now.failures] if now else []
        why = tuple(dict.fromkeys(failures)) or ("it has no number here",)
        return ReproducedCell(cell=cell.id, conclusion=Conclusion.NOT_REPRODUCED, reasons=why, first_ns_per_token=first)
    return judge(cell.id, first, tuple(run.ns_per_token for run in now.runs), cells=comparable)
