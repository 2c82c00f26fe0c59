"""The memory of a model in a context, part by part, and what fits into a given memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.analysis.fit.context import PAD, Context, cache_bytes, padded, window_cells
from harness.analysis.fit.graph import Work
from harness.analysis.fit.parts import MIB, cache, compute, device_extra, output_buffer, weights, work_buffer
from harness.values.backend import BACKENDS
from harness.values.model_shape import ModelShape

PROGRAM_BYTES = 14 * MIB
"""Of llama-bench with its libraries before a model is loaded."""

VOCABULARY = 7.0
"""Bytes in memory for each byte of a header: tokens are kept as text, as numbers and in tables by both."""

LONGEST = 1 << 24
"""Tokens; no context is looked for beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the memory, in bytes on the device and on the host."""

    name: str
    device: int = 0
    host: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The memory of one model in one context.

    Attributes:
        parts: what has to be there while it runs.
        dropped: mapped pages of weights that were copied elsewhere: resident at first, and dropped when memory is
            short. They are in `resident`, not in `host`.
        untouched: reserved and never written: in `host`, not in `resident`.
    """

    parts: tuple[Part, ...]
    dropped: int = 0
    untouched: int = 0

    @property
    def device(self) -> int:
        """Bytes on the device."""
        return sum(part.device for part in self.parts)

    @property
    def host(self) -> int:
        """Bytes in the host's memory that must be there."""
        return sum(part.host for part in self.parts)

    @property
    def resident(self) -> int:
        """The peak of what is resident of the process on the host, where memory is plenty."""
        return self.host + self.dropped - self.untouched


def predict(
    shape: ModelShape,
    context: Context,
    *,
    backend: str,
    cpu: str = "avx2",
    work: Work | None = None,
    mapped: bool = True,
) -> Prediction:
    """What a model takes.

    Args:
        backend: a name of `BACKENDS`.
        cpu: what the host's processor can do, a key of `parts.REPACKED`.
        work: what is computed, for the peak; None for a whole micro-batch.
        mapped: whether the file is mapped (`load_mode: mmap`); else weights are read into memory of their own.
    """
    gpu = BACKENDS[backend].is_gpu
    context = context if gpu else replace(context, n_gpu_layers=0)
    lie = weights(shape, context, cpu="none" if gpu else cpu)
    kv_device, kv_host = cache(shape, context)
    reserved = compute(shape, context)
    work = work or Work(tokens=context.tokens)
    touched = compute(shape, context, work).touched_bytes
    inputs = context.cells * context.tokens * (2 if context.flash_attn else 4) + 4 * shape.n_embd * context.tokens
    offloaded = context.n_gpu_layers > 0
    partly = offloaded and lie.host > shape.embedding_bytes
    parts = (
        Part(name="weights", device=lie.device, host=_kept(lie.host, lie.repacked) + lie.repacked),
        Part(name="KV cache", device=kv_device, host=kv_host),
        Part(
            name="compute buffer",
            device=reserved.size_bytes + device_extra(shape, context) if offloaded else 0,
            host=inputs if offloaded and not partly else reserved.size_bytes,
        ),
        Part(
            name="work buffer", host=0 if offloaded and not partly else work_buffer(shape, context, tokens=work.tokens)
        ),
        Part(name="logits", host=output_buffer(shape, context)),
        Part(name="program", device=BACKENDS[backend].overhead_bytes, host=program_bytes(shape)),
    )
    return Prediction(
        parts=parts,
        dropped=min(lie.repacked, lie.host) if mapped else 0,
        untouched=0 if offloaded and not partly else reserved.size_bytes - min(touched, reserved.size_bytes),
    )


def _kept(host: int, repacked: int) -> int:
    """Of the host's weights, those that were not copied into another order."""
    return max(0, host - repacked)


def program_bytes(shape: ModelShape) -> int:
    """The program itself with the vocabulary."""
    return PROGRAM_BYTES + round(VOCABULARY * shape.header_bytes)


def depth_state(shape: ModelShape, context: Context, *, depth: int) -> int:
    """What llama-bench keeps of a depth, to come back to it in each repetition: a copy of the cells that are filled."""
    total = 0
    for block in shape.blocks:
        if not depth or not block.n_kv_heads:
            continue
        cells = window_cells(shape, context) if block.windowed else context.cells
        total += block.count * cache_bytes(shape, context, block) * min(depth, cells) // cells
    return total


def fits(prediction: Prediction, memory: int, *, backend: str, beside: int = 0) -> bool:
    """Whether a prediction and what else is there lie within a memory: the device's, on a CPU the host's."""
    return needed(prediction, backend=backend) + beside <= memory


def needed(prediction: Prediction, *, backend: str) -> int:
    """Of the memory that is asked about: the device's, on a CPU the host's."""
    return prediction.device if BACKENDS[backend].is_gpu else prediction.host


def largest(fit: Callable[[int], bool], low: int, high: int) -> int | None:
    """The largest number in the range for which `fit` holds, if it holds for all below; None where for none."""
    if low > high or not fit(low):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fit(middle) else (low, middle - 1)
    return low


def largest_context(
    shape: ModelShape, context: Context, memory: int, *, backend: str, cpu: str = "avx2", beside: int = 0
) -> int | None:
    """The longest context that fits, in whole steps of `PAD` tokens and no longer than the model was trained for."""
    longest = shape.context_length or LONGEST

    def fit(steps: int) -> bool:
        asked = replace(context, n_ctx=steps * PAD)
        return fits(predict(shape, asked, backend=backend, cpu=cpu), memory, backend=backend, beside=beside)

    found = largest(fit, 1, max(1, padded(longest) // PAD))
    return None if found is None else min(found * PAD, longest)


def largest_offload(
    shape: ModelShape, context: Context, memory: int, *, backend: str, cpu: str = "avx2", beside: int = 0
) -> int | None:
    """The most layers that fit on the device, the output counted as one; None where not even the context does."""

    def fit(layers: int) -> bool:
        asked = replace(context, n_gpu_layers=layers)
        return fits(predict(shape, asked, backend=backend, cpu=cpu), memory, backend=backend, beside=beside)

    return largest(fit, 0, shape.n_layers + 1)


def bytes_per_context_token(shape: ModelShape, context: Context) -> int:
    """What another token of context adds to the cache; layers with a window add nothing."""
    one, two = (replace(context, n_ctx=n * (padded(context.n_ctx) + PAD)) for n in (1, 2))
    longer = sum(b.count * (cache_bytes(shape, two, b) - cache_bytes(shape, one, b)) for b in shape.blocks)
    return longer // one.n_ctx
