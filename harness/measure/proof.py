"""Is this number the number that was asked for? Pure: everything is read from what the run printed.

Each statement about a cell is proven, contradicted or unobservable. One contradiction, and the cell has a failure
instead of samples. See `docs/proof.md`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from harness.formats import llama_log
from harness.measure import during, placement
from harness.measure.device_match import SeenDevice, compare, is_software
from harness.measure.diagnosis import diagnose
from harness.measure.llama_bench import match
from harness.measure.parameters import differences
from harness.measure.placement import Finding, contradicted, proven, unobservable
from harness.values.backend import BACKENDS, Backend
from harness.values.bench import BenchOutput, BenchRow, LogFacts
from harness.values.cell import Cell
from harness.values.container import ContainerExit, ExpectedDevice, Passthrough
from harness.values.facts import ImageFacts, ModelFacts
from harness.values.failure import Failure, Phase, Reason
from harness.values.record import Outcome, Proof
from harness.values.telemetry import Telemetry

RATE_TOLERANCE = 1e-4
"""Relative. `samples_ts` are printed with six digits."""

PARAMETERS_TOLERANCE = 0.01
"""Relative difference in the number of parameters within which a model is taken to be the same one."""

_BETWEEN_DEVICES = re.compile(r", (?![^()]*\))")
"""A comma within brackets belongs to a name: `llvmpipe (LLVM 19.1.7, 256 bits)`."""

_REMEDIES = {
    Reason.CPU_FALLBACK: "See that the container gets the device: driver, container toolkit, and the image's backend.",
    Reason.WRONG_DEVICE: "Name the device in the matrix, and see which ones the image lists with --list-devices.",
    Reason.DEBUG_BUILD: "Build the image with CMAKE_BUILD_TYPE=Release.",
    Reason.WRONG_PARAMETERS: "This build did not do what it was asked for; choose another value or another image.",
    Reason.MISSING_ROWS: "Run it again; if it stays so, run this cell alone.",
}


def ran_on_software(rows: Iterable[Mapping[str, object]]) -> bool:
    """Whether a row was made with a software device; one that is only visible (`-dev none`) does not count."""
    return any(row.get("devices") != "none" and is_software(str(row.get("gpu_info") or "")) for row in rows)


def judge(
    run_cells: Sequence[Cell],
    ended: ContainerExit,
    output: BenchOutput,
    log: LogFacts | None,
    *,
    passthrough: Passthrough,
    backend: str,
    image: ImageFacts,
    model: ModelFacts,
    repetitions: int,
    telemetry: Telemetry | None = None,
    placed: LogFacts | None = None,
) -> tuple[Outcome, ...]:
    """Samples with their proofs, or a failure, for each cell in the order given.

    A row that was printed before a later test failed is judged by itself and kept.

    Args:
        log: of a run with `-v`; None leaves the checks out that need it.
        backend: name in `BACKENDS`.
        repetitions: samples that were asked for of each test.
        telemetry: how the devices were meanwhile; None leaves what it would prove unobservable.
        placed: the log of the warm-up of the same key, for runs without one of their own.
    """
    said = log or llama_log.read(line.text for line in ended.stderr)
    debug = llama_log.not_a_release_build(said.warnings)
    outcomes: list[Outcome] = []
    culprit: str | None = None
    for cell, row in zip(run_cells, match(run_cells, output.rows), strict=True):
        if row is None:
            failure = _without_row(run_cells, ended, output, backend)
            if culprit is not None:
                failure = replace(failure, detail=f"not reached after {culprit}: {failure.detail}"[:300])
            culprit = culprit or cell.id
            outcomes.append(Outcome(cell=cell.id, failure=failure))
            continue
        findings = [
            _release_build(debug),
            _samples(row, repetitions),
            _rates(row),
            *_device(row, said, log, passthrough, BACKENDS[backend]),
            _parameters(cell, row),
            _build(row, image),
            _model(row, model),
        ]
        if log is not None:
            findings += placement.findings(cell, log, device=passthrough.device, is_gpu=BACKENDS[backend].is_gpu)
        if BACKENDS[backend].is_gpu:
            software = any(device.software for device in passthrough.expected)
            findings += during.findings(cell, row, telemetry, log=log or placed, model=model, software=software)
        outcomes.append(_outcome(cell, row, findings))
    return tuple(outcomes)


def _outcome(cell: Cell, row: BenchRow, findings: Sequence[Finding]) -> Outcome:
    checks = tuple(finding.check for finding in findings)
    against = next((finding for finding in findings if finding.contradicted), None)
    if against is None:
        return Outcome(cell=cell.id, samples_ns=row.samples_ns, row=row.raw, checks=checks)
    reason = against.reason or Reason.INCONSISTENT
    failure = Failure(
        phase=Phase.PROOF,
        reason=reason,
        detail=f"{against.check.name}: {against.check.evidence}"[:300],
        remedy=_REMEDIES.get(reason, ""),
    )
    return Outcome(cell=cell.id, row=row.raw, checks=checks, failure=failure)


def _without_row(cells: Sequence[Cell], ended: ContainerExit, output: BenchOutput, backend: str) -> Failure:
    failure = diagnose(ended, backend=backend)
    if failure.reason is not Reason.MISSING_ROWS:
        return failure
    if output.problems or ended.stdout_truncated:
        detail = output.problems[0] if output.problems else "the output was cut off at the limit for standard output"
        return Failure(phase=Phase.READ, reason=Reason.MALFORMED, detail=detail)
    have = sum(row is not None for row in match(cells, output.rows))
    return replace(failure, detail=f"{have} of {len(cells)} rows were printed; {failure.detail}")


def _release_build(debug: str | None) -> Finding:
    if debug is not None:
        return contradicted("release_build", debug, Reason.DEBUG_BUILD)
    return proven("release_build", "no warning of a debug build, asserts or a sanitizer")


def _samples(row: BenchRow, repetitions: int) -> Finding:
    count = len(row.samples_ns)
    if any(sample <= 0 for sample in row.samples_ns):
        return contradicted("samples", f"{min(row.samples_ns)} ns is no duration", Reason.INCONSISTENT)
    if count == repetitions:
        return proven("samples", f"{count} of {repetitions}")
    reason = Reason.MISSING_ROWS if count < repetitions else Reason.INCONSISTENT
    return contradicted("samples", f"{count} samples, asked for {repetitions}", reason)


def _rates(row: BenchRow) -> Finding:
    """The printed rates against those from the samples: `avg_ts` is their arithmetic mean."""
    rates = [1e9 * row.n_tokens / sample for sample in row.samples_ns if sample > 0]
    mean = math.fsum(rates) / len(rates) if rates else 0.0
    if not _close(mean, row.avg_ts):
        return contradicted("rates", f"avg_ts is {row.avg_ts}, the samples give {mean:.6f}", Reason.INCONSISTENT)
    printed = row.raw.get("samples_ts")
    if isinstance(printed, list) and not (
        len(printed) == len(rates) and all(_close(rate, float(p)) for rate, p in zip(rates, printed, strict=True))
    ):
        return contradicted("rates", "samples_ts are not the rates of samples_ns", Reason.INCONSISTENT)
    return proven("rates", f"avg_ts {row.avg_ts} agrees with the samples")


def _close(computed: float, printed: float) -> bool:
    return math.isclose(computed, printed, rel_tol=RATE_TOLERANCE, abs_tol=1e-6)


def _device(
    row: BenchRow, said: LogFacts, log: LogFacts | None, passthrough: Passthrough, backend: Backend
) -> tuple[Finding, ...]:
    if not backend.is_gpu:
        return (_only_cpu(row),)
    return _backend(row, backend), _identity(row, said, log, passthrough), _requested(row, passthrough)


def _only_cpu(row: BenchRow) -> Finding:
    if row.backends == ("CPU",):
        return proven("device", "only the CPU backend is loaded")
    if row.devices == "none":
        return proven("device", f"devices: none (loaded: {_joined(row)})")
    if row.backends is None:
        return unobservable("device", "this build does not say which backends are loaded")
    if not row.gpu_info:
        return proven("device", f"no GPU is visible (loaded: {_joined(row)})")
    return contradicted("device", f"backends: {_joined(row)}, gpu_info: {row.gpu_info}", Reason.WRONG_DEVICE)


def _backend(row: BenchRow, backend: Backend) -> Finding:
    if row.backends is None:
        return unobservable("backend", "this build does not say which backends are loaded")
    if backend.registry_name in row.backends:
        return proven("backend", f"backends: {_joined(row)}")
    reason = Reason.CPU_FALLBACK if row.backends in ((), ("CPU",)) else Reason.WRONG_DEVICE
    return contradicted("backend", f"backends: {_joined(row)}, asked for {backend.registry_name}", reason)


def _identity(row: BenchRow, said: LogFacts, log: LogFacts | None, passthrough: Passthrough) -> Finding:
    """Each device against what was expected of it.

    A backend is listed even if it found no device, and then the CPU does the work: an empty `gpu_info` tells.
    """
    if not row.gpu_info:
        return contradicted("device", f"gpu_info is empty (backends: {_joined(row)})", Reason.CPU_FALLBACK)
    found = [(compare(expected, _seen(expected, row, said, log))) for expected in passthrough.expected]
    evidence = "; ".join(text for _, text in found)
    proofs = {proof for proof, _ in found}
    if Proof.CONTRADICTED in proofs:
        against = "; ".join(text for proof, text in found if proof is Proof.CONTRADICTED)
        return contradicted("device", against, Reason.WRONG_DEVICE)
    return unobservable("device", evidence) if Proof.UNOBSERVABLE in proofs else proven("device", evidence)


def _seen(expected: ExpectedDevice, row: BenchRow, said: LogFacts, log: LogFacts | None) -> SeenDevice:
    """What the log of a `-v` run says it uses; else what `gpu_info` has at the device's number."""
    listed = _BETWEEN_DEVICES.split(row.gpu_info)
    number = int(re.sub(r"\D", "", expected.name) or 0)
    text = listed[number] if number < len(listed) else f"{expected.name} is not among {row.gpu_info}"
    detail = said.device_details.get(expected.name, "")
    if log is None or expected.name not in log.devices:
        return SeenDevice(text=text, detail=detail)
    return SeenDevice(text=log.devices[expected.name], detail=detail, pci=log.device_pci.get(expected.name))


def _requested(row: BenchRow, passthrough: Passthrough) -> Finding:
    if row.devices is None:
        return unobservable("requested_device", "this build does not say which device it was asked for")
    if row.devices == passthrough.device:
        return proven("requested_device", row.devices)
    reason = Reason.CPU_FALLBACK if row.devices == "none" else Reason.WRONG_DEVICE
    return contradicted("requested_device", f"{row.devices}, asked for {passthrough.device}", reason)


def _parameters(cell: Cell, row: BenchRow) -> Finding:
    different, silent = differences(cell.params, row.raw)
    if different:
        return contradicted("parameters", "; ".join(different), Reason.WRONG_PARAMETERS)
    evidence = f"{len(cell.params) - len(silent)} of {len(cell.params)} equal"
    if cell.params and len(silent) == len(cell.params):
        return unobservable("parameters", "the row reports none of them")
    return proven("parameters", f"{evidence}; not reported: {', '.join(silent)}" if silent else evidence)


def _build(row: BenchRow, image: ImageFacts) -> Finding:
    printed = f"b{row.build_number} ({row.build_commit})"
    if image.build_number is None and image.build_commit is None:
        return unobservable("build", f"{printed}; the image does not tell its build")
    known = f"b{image.build_number} ({image.build_commit})"
    if image.build_number not in (None, row.build_number) or not _same_commit(row.build_commit, image.build_commit):
        return contradicted("build", f"{printed}, the image's is {known}", Reason.INCONSISTENT)
    return proven("build", printed)


def _same_commit(one: str, other: str | None) -> bool:
    """Builds shorten the hash differently."""
    length = min(len(one), len(other)) if other else 0
    return not other or "unknown" in (one, other) or (length >= 1 and one[:length] == other[:length])


def _model(row: BenchRow, model: ModelFacts) -> Finding:
    found = f"{row.model_n_params} parameters in {row.model_size} bytes"
    if row.model_size > model.size_bytes or row.model_size == 0:
        return contradicted("model", f"{found}, the file has {model.size_bytes} bytes", Reason.INCONSISTENT)
    if model.n_params is None:
        return unobservable("model", f"{found}; the number in the file is not known")
    if not math.isclose(row.model_n_params, model.n_params, rel_tol=PARAMETERS_TOLERANCE):
        return contradicted("model", f"{found}, the file has {model.n_params} parameters", Reason.INCONSISTENT)
    return proven("model", found)


def _joined(row: BenchRow) -> str:
    return ", ".join(row.backends or ()) or "not reported"
