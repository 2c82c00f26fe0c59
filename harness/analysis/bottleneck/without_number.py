"""Cells without a number: what kept them from having one is what limits them."""

from __future__ import annotations

from harness.analysis.bottleneck.seen import COOLER, MORE_MEMORY, Seen
from harness.analysis.limit_words import gb
from harness.values.failure import Reason
from harness.values.limit import Diagnosis, Limit

_RULES = {
    "refaults": (Limit.PAGING, MORE_MEMORY),
    "major_faults": (Limit.PAGING, MORE_MEMORY),
    "swap": (Limit.PAGING, MORE_MEMORY),
    "thermal_slowdown": (Limit.THERMAL, COOLER),
    "hardware_slowdown": (Limit.THERMAL, COOLER),
    "foreign_process": (Limit.NEIGHBOUR_DEVICE, "End the other program on this device."),
}
"""Rules of validity, the most telling first."""

_LESS_ON_THE_DEVICE = (
    "Take a smaller quantization, a shorter context or a KV cache of fewer bits, or leave layers on the host "
    "(n_gpu_layers, n_cpu_moe)."
)


def without_number(seen: Seen) -> Diagnosis | None:
    """The limit of a cell that has no number; None where its failure is of another kind, or nothing failed."""
    return _invalid(seen) or _failed(seen)


def _invalid(seen: Seen) -> Diagnosis | None:
    rules = {rule.rule: rule.evidence for run in seen.result.invalid for rule in run.rules}
    for name, (limit, todo) in _RULES.items():
        if name in rules:
            kept = "the model did not stay in memory: " if limit is Limit.PAGING else ""
            return Diagnosis(
                limit=limit,
                decided_by=f"the rule {name}",
                because=f"no run counts: {kept}{rules[name]}",
                figures=_sizes(seen) if limit is Limit.PAGING else (),
                todo=todo,
            )
    return None


def _failed(seen: Seen) -> Diagnosis | None:
    failure = next((failure for _, failure in seen.result.failures), None)
    if failure is None:
        return None
    if failure.reason in {Reason.OOM_DEVICE, Reason.OOM_HOST}:
        where = "device" if failure.reason is Reason.OOM_DEVICE else "host or of the container"
        return Diagnosis(
            limit=Limit.MEMORY_SIZE,
            decided_by=f"the failure {failure.reason}",
            because=f"it ran out of the memory of the {where}: {failure.detail}",
            figures=_sizes(seen),
            todo=_LESS_ON_THE_DEVICE if failure.reason is Reason.OOM_DEVICE else MORE_MEMORY,
        )
    if failure.reason in {Reason.CPU_FALLBACK, Reason.WRONG_DEVICE}:
        return Diagnosis(
            limit=Limit.NOT_ON_DEVICE,
            decided_by=f"the failure {failure.reason}",
            because=f"it did not run where it was asked to: {failure.detail}",
            todo=failure.remedy or "See what invoke doctor says of this device.",
        )
    return None


def _sizes(seen: Seen) -> tuple[str, ...]:
    model = seen.result.model
    if model is None:
        return ()
    return (f"The model's file has {gb(model.size_bytes)}.",)
