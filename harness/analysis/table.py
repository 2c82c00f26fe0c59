"""The results table: one row for each metric of each cell on each machine, from whatever its numbers are read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from harness.analysis.comparability import comparability_key, kind, proof_of
from harness.analysis.energy import token_energy
from harness.analysis.hardware import data_sheet_of
from harness.analysis.imported import imported_rows
from harness.analysis.metrics import METRICS
from harness.analysis.names import short_hash
from harness.analysis.results import CellResult, MachineResults, read_results
from harness.stats.intervals import Interval
from harness.store.imports import read_imports
from harness.store.reproductions import Conclusion, Reproduction, read_reproductions
from harness.values.backend import BACKENDS
from harness.values.cell import POWER_LIMIT, Cell
from harness.values.facts import Device, MachineFacts
from harness.values.failure import Failure
from harness.values.measurement import MEASUREMENTS
from harness.values.record import Proof, Record
from harness.values.result_row import ResultRow
from harness.values.telemetry import DeviceSummary, ThrottleKind

_SEVERAL = re.compile(r"^\d+ x ")


def read_rows(folder: Path, *, simulated: bool = False) -> tuple[ResultRow, ...]:
    """The results table of a report's folder, in the order of machines and of the matrix; imported rows come last.

    Raises:
        InputError: there are neither records nor imported results, or they are damaged.
    """
    imported = imported_rows(folder.name, read_imports(folder))
    if imported and not any((folder / "records").glob("*.jsonl")):
        return imported
    machines = read_results(folder, simulated=simulated)
    return rows_of(folder.name, machines, read_reproductions(folder)) + imported


def rows_of(
    report: str,
    machines: Iterable[MachineResults],
    reproductions: Sequence[Reproduction] = (),
    *,
    within: bool = True,
) -> tuple[ResultRow, ...]:
    """The table of results that were read already.

    Args:
        within: with the variation within runs, for which every sample is looked at, and which only exports show.
    """
    rows = []
    for machine in machines:
        records = {record.id: record for record in machine.records}
        rows += [_row(report, machine, result, records, reproductions, within=within) for result in machine.cells]
    return tuple(rows)


def why_not_ranked(result: CellResult, key: Mapping[str, object] | None = None) -> str:
    """Why a result may not be put in an order, in a few words; empty where it may.

    Args:
        key: its comparability key, where it is known.
    """
    for holds, why in (
        (result.simulated, "simulated"),
        (not result.runs, "no number"),
        (result.software, "a software device"),
        (result.screening, "screening"),
        (not MEASUREMENTS[result.cell.test.measurement].timed, "no speed, but a figure of quality"),
    ):
        if holds:
            return why
    if (dict(comparability_key(result)) if key is None else key).get("flash_attn") == "auto":
        return "flash attention was left to llama.cpp, and nothing says what it chose"
    proof = proof_of(result)
    return "" if proof is Proof.PROVEN else f"proof is {proof}"


def _row(
    report: str,
    machine: MachineResults,
    result: CellResult,
    records: Mapping[str, Record],
    reproductions: Sequence[Reproduction],
    *,
    within: bool,
) -> ResultRow:
    cell, model, image, facts = result.cell, result.model, result.image, machine.machine
    metric = cell.test.kind
    key = dict(comparability_key(result))
    figure, why_not, proof = _figure(result), why_not_ranked(result, key), proof_of(result)
    device = device_facts(facts, result.device, cell.backend)
    session = machine.latest
    counted = [records[run.record] for run in result.runs if run.record in records]
    failure = last_failure(result)
    observed, energy = telemetry_figures(result), token_energy(result, machine)
    attempts = [
        found.conclusion
        for attempt in reproductions
        if attempt.first_machine == facts.machine
        for found in attempt.cells
        if found.cell == cell.id
    ]
    return ResultRow(
        row=short_hash(session.matrix, facts.machine, cell.id, metric),
        report=report,
        matrix=session.matrix,
        machine=facts.machine,
        cell=cell.id,
        metric=metric,
        unit=figure.unit,
        higher_is_better=figure.higher_is_better,
        group=short_hash(metric, sorted(key.items())),
        key=key,
        kind=kind(result),
        rankable=not why_not,
        why_not=why_not,
        model=cell.model,
        model_title=model.title if model else cell.model,
        model_sha256=model.sha256 if model else "",
        model_size_bytes=model.size_bytes if model else None,
        model_params=model.n_params if model else None,
        model_type=(model.file_type or "") if model else "",
        bytes_per_token=model.bytes_per_token if model else None,
        test=cell.test.name,
        n_prompt=cell.test.n_prompt,
        n_gen=cell.test.n_gen,
        n_depth=cell.test.n_depth,
        backend=cell.backend,
        label=cell.label,
        device=result.device,
        n_devices=result.n_devices,
        vendor=vendor_of(device, result.device, cell.backend),
        device_memory_bytes=device.memory_bytes if device else None,
        driver=(device.driver or "") if device else "",
        power_limit_w=_power_limit_w(cell, device),
        image=cell.image,
        image_id=image.id if image else "",
        build_number=image.build_number if image else None,
        build_commit=(image.build_commit or "") if image else "",
        params=cell.params,
        environment=facts.environment,
        cpu=facts.cpu_model,
        os=facts.os,
        kernel=facts.kernel,
        engine=f"{session.engine.name} {session.engine.version}",
        value=figure.value,
        low=figure.interval.low if figure.interval else None,
        high=figure.interval.high if figure.interval else None,
        ns_per_token=result.ns_per_token if MEASUREMENTS[cell.test.measurement].timed else None,
        rounds=len(result.runs),
        rounds_planned=result.rounds_planned,
        between_cv=result.between_runs,
        within_cv=result.within_runs if within else None,
        screening=result.screening,
        complete=result.complete,
        simulated=result.simulated,
        proof=str(proof),
        confidence=result.confidence,
        run_rounds=tuple(run.round for run in result.runs),
        run_sessions=tuple(run.session for run in result.runs),
        run_values_ns=tuple(run.ns_per_token for run in result.runs),
        run_records=tuple(run.record for run in result.runs),
        not_quiet=sum(not run.gate_passed for run in result.runs),
        invalid=len(result.invalid),
        failure_phase=str(failure.phase) if failure else "",
        failure_reason=str(failure.reason) if failure else "",
        failure_detail=failure.detail if failure else "",
        remedy=failure.remedy if failure else "",
        memory_bytes=None if observed["memory_bytes"] is None else round(observed["memory_bytes"]),
        power_w=observed["power_w"],
        temperature_c=observed["temperature_c"],
        energy_j_per_token=energy.net_j if energy else None,
        throttled=observed["throttled"],
        argv=result.argv,
        sessions=result.sessions,
        first_utc=min((record.started_utc for record in counted), default=""),
        last_utc=max((record.ended_utc for record in counted), default=""),
        harness=f"{session.harness_version} ({session.harness_source or 'no git'})",
        matrix_sha256=session.matrix_sha256,
        reproduced=sum(found is Conclusion.REPRODUCED for found in attempts),
        not_reproduced=sum(found is Conclusion.NOT_REPRODUCED for found in attempts),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figure:
    value: float | None
    interval: Interval | None
    unit: str = "tokens/s"
    higher_is_better: bool = True


def _figure(result: CellResult) -> _Figure:
    """What stands for a cell: its rate; where no tokens are processed at one, its first metric in the unit of that."""
    kind = MEASUREMENTS[result.cell.test.measurement]
    if kind.tokens:
        return _Figure(value=result.tokens_per_s, interval=result.interval)
    metric = METRICS[kind.name][0]
    found = result.metric(metric.name)
    return _Figure(
        value=found.median if found else None,
        interval=found.interval if found else None,
        unit=metric.unit,
        higher_is_better=bool(metric.higher_is_better),
    )


def last_failure(result: CellResult) -> Failure | None:
    """The failure of the last round that has one, of a cell that lacks a number; None else."""
    return result.failures[-1][1] if result.failures and not result.complete else None


def device_facts(machine: MachineFacts, name: str, backend: str) -> Device | None:
    """The device of this name that can serve the backend; of several equal ones the first."""
    bare = _SEVERAL.sub("", name)
    vendors = BACKENDS[backend].vendors if backend in BACKENDS else ()
    fitting = [device for device in machine.devices if device.name == bare]
    return next((d for d in fitting if d.vendor in vendors), fitting[0] if fitting else None)


def vendor_of(device: Device | None, name: str, backend: str) -> str:
    """The device's vendor: as discovered, else by its data sheet, else the only one that serves the backend."""
    if device is not None:
        return device.vendor
    sheet = data_sheet_of(_SEVERAL.sub("", name))
    if sheet is not None:
        return sheet.vendor
    vendors = BACKENDS[backend].vendors if backend in BACKENDS else ()
    return vendors[0] if len(vendors) == 1 else ""


def telemetry_figures(result: CellResult) -> dict[str, float | None]:
    """Of the timed part, summed over the devices that computed: medians over runs of memory and power.

    The temperature is the most of any device, `throttled` the largest share of readings with heat or hardware slowdown.
    """
    runs = [
        [run.summary.devices[i] for i, trace in enumerate(run.traces) if trace.asked and i < len(run.summary.devices)]
        for run in result.observed
    ]
    runs = [run for run in runs if run]
    hottest = [d.temperature_max_c for run in runs for d in run if d.temperature_max_c is not None]
    held = [
        max(d.throttled.get(ThrottleKind.THERMAL, 0.0), d.throttled.get(ThrottleKind.HARDWARE, 0.0))
        for run in runs
        for d in run
        if d.throttled is not None
    ]
    return {
        "memory_bytes": _median_of_sums(runs, "memory_max_bytes"),
        "power_w": _median_of_sums(runs, "power_mean_w"),
        "temperature_c": max(hottest, default=None),
        "throttled": max(held, default=None),
    }


def _median_of_sums(runs: Sequence[Sequence[DeviceSummary]], name: str) -> float | None:
    """The median over runs of the sum over devices; runs in which one of them did not tell are left out."""
    sums = []
    for run in runs:
        values = [getattr(device, name) for device in run]
        if None not in values:
            sums.append(float(sum(values)))
    return median(sums) if sums else None


def _power_limit_w(cell: Cell, device: Device | None) -> float | None:
    """The one that was set for the cell; else the one that the device had when it was found."""
    asked = cell.params.get(POWER_LIMIT)
    return float(asked) if isinstance(asked, int) else device.power_limit_w if device else None
