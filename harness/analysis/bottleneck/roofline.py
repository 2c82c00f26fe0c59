"""Memory or arithmetic, by the shares of what was measured; of the data sheet where nothing was."""

from __future__ import annotations

from harness.analysis.bottleneck.seen import Seen
from harness.analysis.limit_words import percent
from harness.analysis.shares import COMPUTE_BOUND, MEMORY_BOUND
from harness.values.limit import Diagnosis, Limit

_FEWER_BYTES = (
    "Only fewer bytes a token or faster memory help: a smaller quantization, a KV cache of fewer bits, a model with "
    "fewer active weights; several requests at once share one reading."
)
_LESS_WORK = "A quantization that is cheaper to unpack (Q4_0, Q8_0), more cores, or a GPU."
_FASTER_PROMPT = "More cores or a faster device; other micro-batches (n_ubatch) and a cached prefix save work."


def roofline(seen: Seen) -> Diagnosis:
    """Memory or arithmetic, by the shares of what was measured; of the data sheet where nothing was."""
    found = seen.shares
    memory = found.measured_bandwidth if found.measured_bandwidth is not None else found.sheet_bandwidth
    measured = found.measured_bandwidth is not None
    against = "the bandwidth measured in the same container" if measured else "the data sheet's bandwidth"
    if seen.generating and memory is not None and memory >= MEMORY_BOUND:
        return Diagnosis(
            limit=Limit.MEMORY_BANDWIDTH,
            decided_by=f"bytes read for a token, against {against}",
            because=f"a token's weights and cache are read at {percent(memory, MEMORY_BOUND)} of {against}",
            todo=_FEWER_BYTES,
        )
    if found.arithmetic is not None and found.arithmetic >= COMPUTE_BOUND:
        return Diagnosis(
            limit=Limit.COMPUTE,
            decided_by=f"operations a token, against {found.peak_name}",
            because=f"it computes at {percent(found.arithmetic, COMPUTE_BOUND)} of the {found.peak_name}",
            todo=_LESS_WORK if seen.generating else _FASTER_PROMPT,
        )
    if memory is None and found.arithmetic is None:
        return Diagnosis(
            limit=Limit.UNKNOWN,
            decided_by="nothing",
            because="neither bandwidth nor arithmetic of this device was measured, and no data sheet of it is here",
        )
    if not seen.generating and found.arithmetic is None:
        return Diagnosis(
            limit=Limit.UNKNOWN, decided_by="nothing", because="the peak of this device's arithmetic is not known"
        )
    told = [
        f"{percent(share, bound)} of {name}"
        for share, bound, name in (
            (memory if seen.generating else None, MEMORY_BOUND, against),
            (found.arithmetic, COMPUTE_BOUND, found.peak_name),
        )
        if share is not None
    ]
    return Diagnosis(
        limit=Limit.OVERHEAD,
        decided_by="shares of bandwidth and of arithmetic",
        because=f"it uses only {' and '.join(told)}",
        todo="Try another backend, flash attention, other batches and thread numbers: invoke compare --setting.",
    )
