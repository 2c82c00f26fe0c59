"""One run: gate, container, reading, judging. Whatever happens inside it, what comes out is a complete record."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from threading import Event

from harness.artifacts.hashing import file_identity
from harness.flows.observe import observed
from harness.flows.prepare import Prepared
from harness.flows.residents import residents
from harness.flows.run_container import container_of, in_container, isolation
from harness.flows.setting import Setting
from harness.machine.devices import DEFAULT, SOFTWARE
from harness.machine.gate import GateResult
from harness.machine.sampler import Sampler
from harness.measure.diagnosis import explained, relevant_stderr
from harness.measure.measurements import MEASURERS
from harness.measure.proof import ran_on_software
from harness.measure.validity import violations
from harness.values.bench import LogFacts
from harness.values.cell import Cell
from harness.values.facts import ModelFacts
from harness.values.failure import Failure, Phase, Reason
from harness.values.measured import Asked
from harness.values.measurement import BENCH
from harness.values.record import FIRST_PROTOCOL, PROTOCOL, Outcome, Record, Run

WARM_UP_REPETITIONS = 1
"""The warm-up round reads the model into the page cache, compiles what is compiled at run time, and is looked at with
`-v`; its samples do not count, so one of each test is enough."""

DEFAULT_TIMEOUT_S = 600.0


def utc_now() -> str:
    """The time as RFC 3339 with milliseconds, for people; durations are taken from the monotonic clock."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def command(cells: Sequence[Cell], prepared: Prepared, *, repetitions: int, verbose: bool) -> tuple[str, ...] | Failure:
    """The argv of the process in the container, or why this build cannot be asked for these cells."""
    return MEASURERS[cells[0].test.measurement].argv(
        cells,
        prepared.image(cells[0]),
        passthrough=prepared.target(cells[0]).passthrough,
        repetitions=repetitions,
        verbose=verbose,
    )


def run_key(cells: Sequence[Cell], prepared: Prepared) -> str:
    """Names what these cells share whatever the round: image, model, device, driver, protocol and every parameter.

    The tests are not in it.

    Resuming and reading go by it: samples under another key are of another thing.
    """
    first, target = cells[0], prepared.target(cells[0])
    identity: dict[str, object] = {
        "backend": first.backend,
        "device": target.title,
        "environment": dict(target.passthrough.environment),
        "image": prepared.image(first).id,
        "label": first.label,
        "model": prepared.model(first).sha256,
        "params": dict(first.params),
    }
    if first.device not in {DEFAULT, SOFTWARE}:
        # Several cards of one name are told apart by their places.
        identity["places"] = [device.pci or device.index for device in target.devices]
    drivers = sorted({device.driver for device in target.devices if device.driver})
    if drivers:
        # Another driver is another thing under the same numbers. A CPU has none.
        identity["drivers"] = drivers
    if first.beside:
        hashes = [found.sha256 for name in first.beside if isinstance(found := prepared.models[name], ModelFacts)]
        identity["beside"] = (hashes, first.beside_busy)
    if first.test.measurement != BENCH:
        against = prepared.models.get(first.test.against)
        base = against.sha256 if isinstance(against, ModelFacts) else ""
        identity["measurement"] = (first.test.measurement, first.test.n_parallel, base)
        if first.test.draft:
            draft = prepared.models.get(first.test.draft)
            identity["draft"] = draft.sha256 if isinstance(draft, ModelFacts) else ""
    if PROTOCOL != FIRST_PROTOCOL:
        identity["protocol"] = PROTOCOL
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def failed_without_container(run: Run, failure: Failure, setting: Setting) -> Record:
    """The record of a run that could not even be started: no device, no image, no model, an unknown option."""
    now = utc_now()
    first = run.cells[0]
    image = setting.prepared.images.get(first.image)
    model = setting.prepared.models.get(first.model)
    return Record(
        matrix=setting.matrix,
        matrix_sha256=setting.matrix_sha256,
        machine=setting.machine,
        session=setting.session,
        session_sha256=setting.session_sha256,
        run=run,
        backend=first.backend,
        device=first.device,
        image="" if image is None or isinstance(image, Failure) else image.id,
        model_sha256="" if model is None or isinstance(model, Failure) else model.sha256,
        argv=(),
        outcomes=tuple(Outcome(cell=cell.id, failure=failure) for cell in run.cells),
        started_utc=now,
        ended_utc=now,
        duration_ns=0,
        simulated=setting.simulated,
    )


def _not_quiet(gate: GateResult) -> Failure:
    return Failure(
        phase=Phase.PREPARE,
        reason=Reason.NOT_QUIET,
        detail=f"{'; '.join(condition.value for condition in gate.closed)} (waited {gate.waited_s:.0f} s)"[:300],
        remedy="See to that, or run without --strict: the run is then flagged instead.",
    )


def model_identities(prepared: Prepared) -> dict[str, str | None]:
    """What names each model file as it is now: hashing tens of gigabytes before every run would disturb the runs."""
    found = {name: model for name, model in prepared.models.items() if isinstance(model, ModelFacts)}
    return {name: file_identity(model.path) for name, model in found.items()}


def _exchanged(run: Run, setting: Setting) -> Failure | None:
    """A model's file is no longer the one whose hash was checked: the record would carry a wrong hash."""
    first = run.cells[0]
    for name in first.loaded:
        path = setting.prepared.model(replace(first, model=name)).path
        if name in setting.identities and file_identity(path) != setting.identities[name]:
            return Failure(
                phase=Phase.PREPARE,
                reason=Reason.MODEL,
                detail=f"model {name}: {path.name} was changed, exchanged or removed after its hash was checked",
                remedy="Leave model files alone while a matrix is measured; start again: it is then verified anew.",
            )
    return None


def _timeout_s(run: Run, timeouts: Mapping[str, float]) -> float:
    return max((timeouts.get(cell.id, _usual_s(cell)) for cell in run.cells), default=DEFAULT_TIMEOUT_S)


def _usual_s(cell: Cell) -> float:
    """Half as long again as a sustained test goes on, in case it becomes slower by that."""
    return DEFAULT_TIMEOUT_S + 1.5 * cell.test.sustained_s


def run_once(
    run: Run,
    setting: Setting,
    *,
    gate: GateResult,
    timeouts: Mapping[str, float],
    cancel: Event,
    sampler: Sampler | None = None,
    placed: LogFacts | None = None,
    repetitions: int | None = None,
) -> Record:
    """Start the container of a run, wait for it, and judge what came out of it.

    Args:
        gate: how the machine was just before.
        timeouts: seconds by cell id, where the matrix gives one.
        cancel: ends the container at once.
        sampler: looks at devices and host since before the gate; it is stopped here. None for no telemetry.
        placed: the log of the warm-up of the same key, where it is known.
        repetitions: of a counted run; the preset's where left out.

    Returns:
        The record, not yet stored.
    """
    prepared, first = setting.prepared, run.cells[0]
    warm_up = run.round == 0
    repetitions = WARM_UP_REPETITIONS if warm_up else repetitions or setting.repetitions
    argv = command(run.cells, prepared, repetitions=repetitions, verbose=warm_up)
    if isinstance(argv, Failure):
        return failed_without_container(run, argv, setting)
    if setting.strict and not gate.passed:
        return failed_without_container(run, _not_quiet(gate), setting)
    if exchanged := _exchanged(run, setting):
        return failed_without_container(run, exchanged, setting)
    measurement = MEASURERS[first.test.measurement]
    client = measurement.client(run.cells, repetitions=repetitions, text=prepared.text)
    spec = container_of(run, argv, setting, client)
    setting.journal("creating", {"container": spec.name, "run": run.key, "round": run.round, "attempt": run.attempt})
    started_utc, timeout_s = utc_now(), _timeout_s(run, timeouts)
    with residents(spec, first, setting, timeout_s=timeout_s, cancel=cancel, sampler=sampler) as neighbours:
        if (missing := neighbours.trouble()) is not None:
            if client is not None:
                client.close()
            failed = failed_without_container(run, missing, setting)
            return replace(failed, started_utc=started_utc, beside=neighbours.told())
        begin = time.monotonic_ns()
        ended, heard = in_container(setting.engine, spec, client, timeout_s=timeout_s, cancel=cancel, sampler=sampler)
        duration_ns = time.monotonic_ns() - begin
        beside = neighbours.told()
    target, image, model = prepared.target(first), prepared.image(first), prepared.model(first)
    log = measurement.log(ended, verbose=warm_up)
    telemetry = None
    if sampler:
        telemetry = observed(
            sampler.stop(),
            ended,
            lambda begin_ns: measurement.windows(run.cells, ended, heard, begin_ns=begin_ns),
            heard,
        )
    asked = Asked(
        passthrough=target.passthrough,
        backend=first.backend,
        image=image,
        model=model,
        repetitions=repetitions,
        verbose=warm_up,
        telemetry=telemetry,
        placed=placed,
    )
    outcomes = measurement.judge(run.cells, ended, heard, asked)
    before = prepared.checks_before(first)
    outcomes = tuple(replace(o, checks=(*before, *o.checks)) if o.checks else o for o in outcomes)
    outcomes = tuple(explained(outcome, ended) for outcome in outcomes)
    if (gone := neighbours.trouble()) is not None:
        outcomes = tuple(replace(o, samples_ns=(), series={}, failure=o.failure or gone) for o in outcomes)
    if exchanged := _exchanged(run, setting):
        outcomes = tuple(replace(o, samples_ns=(), series={}, failure=exchanged) for o in outcomes)
    return Record(
        matrix=setting.matrix,
        matrix_sha256=setting.matrix_sha256,
        machine=setting.machine,
        session=setting.session,
        session_sha256=setting.session_sha256,
        run=run,
        backend=first.backend,
        device=target.title,
        devices=tuple(device.name for device in target.devices),
        image=image.id,
        model_sha256=model.sha256,
        argv=argv,
        environment=dict(spec.environment),
        container=isolation(spec),
        outcomes=outcomes,
        started_utc=started_utc,
        ended_utc=utc_now(),
        duration_ns=duration_ns,
        exit_code=ended.exit_code,
        kill_stage=ended.kill_stage,
        oom_killed=ended.oom_killed,
        load_before=gate.foreign_cpu,
        gate=asdict(gate),
        log=log if warm_up else None,
        diagnosis="" if all(o.ok for o in outcomes) else relevant_stderr([line.text for line in ended.stderr]),
        software=ran_on_software(outcome.row or {} for outcome in outcomes)
        or any(device.kind == SOFTWARE for device in target.devices),
        simulated=setting.simulated
        or setting.engine.simulated
        or image.simulated
        or model.simulated
        or any(device.simulated for device in target.devices),
        telemetry=telemetry,
        invalid=violations(telemetry, run.cells),
        beside=beside,
    )
