"""What the log of other programs than llama-bench proves, which print no rows with backends and devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.formats.llama_log import not_a_release_build
from harness.measure import during, placement
from harness.measure.device_match import SeenDevice, compare
from harness.measure.placement import Finding, contradicted, proven, unobservable
from harness.values.backend import BACKENDS, Backend
from harness.values.bench import LogFacts
from harness.values.cell import Cell
from harness.values.container import Passthrough
from harness.values.facts import ImageFacts, build_words
from harness.values.failure import Failure, Phase, Reason
from harness.values.measured import Asked
from harness.values.record import Outcome, Proof

_REMEDIES = {
    Reason.CPU_FALLBACK: "See that the container gets the device: driver, container toolkit, and the image's backend.",
    Reason.WRONG_DEVICE: "Name the device in the matrix, and see which ones the image lists with --list-devices.",
    Reason.DEBUG_BUILD: "Build the image with CMAKE_BUILD_TYPE=Release.",
    Reason.UNSUPPORTED: "This build, or this model, cannot do it: choose another, or leave it out of the matrix.",
}


def release_build(log: LogFacts) -> Finding:
    """That it is no debug build, as far as the log says."""
    debug = not_a_release_build(log.warnings)
    if debug is not None:
        return contradicted("release_build", debug, Reason.DEBUG_BUILD)
    return proven("release_build", "no warning of a debug build, asserts or a sanitizer")


def program_build(program: str, image: ImageFacts) -> Finding:
    """That a program which prints no rows is of the image's build: by its own answer, which the same image repeats."""
    said, known = image.program_builds.get(program), build_words(image.build_number, image.build_commit)
    if said is None:
        return unobservable("build", f"{program} does not tell its build")
    if known is None:
        return unobservable("build", f"{said}; the image does not tell its build")
    if said != known:
        return contradicted("build", f"{program} is {said}, the image's is {known}", Reason.INCONSISTENT)
    return proven("build", f"{said}, as {program} --version says")


def loaded_backend(log: LogFacts, passthrough: Passthrough, backend: Backend) -> Finding:
    """That the backend's library was loaded; on the CPU that no device was used."""
    loaded = ", ".join(log.libraries) or "not said"
    if not backend.is_gpu:
        if log.devices:
            used = ", ".join(log.devices)
            return contradicted("device", f"the log says that it uses {used}", Reason.WRONG_DEVICE)
        if not log.libraries and not log.model_buffers:
            return unobservable("device", "the log says neither what was loaded nor where the weights lie")
        return proven("device", f"-dev {passthrough.device}, and the log names no device (loaded: {loaded})")
    if backend.registry_name in log.libraries:
        return proven("backend", f"loaded: {loaded}")
    if not log.libraries:
        return unobservable("backend", "the log does not say what was loaded")
    return contradicted("backend", f"loaded: {loaded}, asked for {backend.registry_name}", Reason.CPU_FALLBACK)


def asked_device(log: LogFacts, passthrough: Passthrough) -> Finding:
    """That each device it says it uses is the one that was asked for."""
    if not log.devices:
        return unobservable("device", "the log does not name the device that it uses")
    found = []
    for expected in passthrough.expected:
        if expected.name not in log.devices:
            used = ", ".join(log.devices)
            return contradicted("device", f"it uses {used}, asked for {expected.name}", Reason.WRONG_DEVICE)
        seen = SeenDevice(
            text=log.devices[expected.name],
            detail=log.device_details.get(expected.name, ""),
            pci=log.device_pci.get(expected.name),
        )
        found.append(compare(expected, seen))
    evidence = "; ".join(text for _, text in found)
    proofs = {proof for proof, _ in found}
    if Proof.CONTRADICTED in proofs:
        return contradicted("device", evidence, Reason.WRONG_DEVICE)
    return unobservable("device", evidence) if Proof.UNOBSERVABLE in proofs else proven("device", evidence)


def log_findings(cell: Cell, log: LogFacts | None, asked: Asked) -> list[Finding]:
    """What the log of a verbose run proves; of the others only that it is no debug build is seen elsewhere.

    Counted runs do not log what they do, which would cost time: they are the same command in a new container of the
    same image, as with llama-bench.
    """
    backend = BACKENDS[asked.backend]
    found: list[Finding] = []
    if log is not None:
        found += [release_build(log), loaded_backend(log, asked.passthrough, backend)]
        found += [asked_device(log, asked.passthrough)] if backend.is_gpu else []
        found += placement.findings(cell, log, device=asked.passthrough.device, is_gpu=backend.is_gpu)
    if backend.is_gpu:
        software = any(device.software for device in asked.passthrough.expected)
        placed = log or asked.placed
        found += during.findings(cell, None, asked.telemetry, log=placed, model=asked.model, software=software)
    return found


def outcome_of(
    cell: Cell,
    samples_ns: tuple[int, ...],
    series: Mapping[str, tuple[int | float, ...]],
    row: Mapping[str, object],
    findings: Sequence[Finding],
) -> Outcome:
    """Samples with their checks, or the failure of the first check that is contradicted."""
    checks = tuple(finding.check for finding in findings)
    against = next((finding for finding in findings if finding.contradicted), None)
    if against is None:
        return Outcome(cell=cell.id, samples_ns=samples_ns, row=row, checks=checks, series=series)
    reason = against.reason or Reason.INCONSISTENT
    failure = Failure(
        phase=Phase.PROOF,
        reason=reason,
        detail=f"{against.check.name}: {against.check.evidence}"[:300],
        remedy=_REMEDIES.get(reason, ""),
    )
    return Outcome(cell=cell.id, row=row, checks=checks, failure=failure)
