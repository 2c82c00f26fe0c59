"""The parts that the memory of a model is made of, on the device and on the host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.analysis.fit.allocator import Allocated, allocate
from harness.analysis.fit.context import Context, device_cache_bytes, host_cache_bytes, on_device
from harness.analysis.fit.graph import Work, transformer
from harness.values.model_shape import Block, ModelShape

MIB = 1 << 20

REPACKED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "avx512": frozenset({"Q4_0", "Q4_K", "IQ4_NL", "MXFP4", "Q2_K"}),
        "avx2": frozenset({"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"}),
        "neon": frozenset({"Q4_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "MXFP4", "Q8_0"}),
        "none": frozenset(),
    }
)
"""Storage types that the CPU backend copies into another order, by what the processor can do (`repack.cpp`)."""

CONVERTED: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"F16": (1, 2), "BF16": (1, 2), "Q4_1": (32, 36), "Q5_1": (32, 36), "F32": (1, 0)}
)
"""Elements and bytes of what inputs are converted to, by the type of the matrix; K-quants and 32-blocks below."""
_BY_K, _BY_32 = (256, 292), (32, 34)

TILE = 64
"""Queries and keys that flash attention takes at once on a CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Where the bytes of a file lie.

    Attributes:
        device: on the device. host: in the host's memory, as mapped or read. repacked: copies of some of the host's.
    """

    device: int
    host: int
    repacked: int


def weights(shape: ModelShape, context: Context, *, cpu: str) -> Weights:
    """Weights on the device and on the host.

    Args:
        cpu: a key of `REPACKED`; matters where weights are multiplied with on the host and no device serves it.
    """
    kinds = REPACKED[cpu]
    device, host, repacked = 0, shape.embedding_bytes, 0
    for layer, block in enumerate(shape.layers):
        if on_device(shape, context, layer):
            stays = block.expert_bytes if layer < context.n_cpu_moe else 0
            device, host = device + block.weight_bytes - stays, host + stays
        else:
            host += block.weight_bytes
            repacked += sum(size for kind, size in block.matrix_bytes.items() if kind in kinds)
    output = shape.output_bytes + shape.other_bytes
    if context.n_gpu_layers > 0:
        device += output
    else:
        host += shape.other_bytes + (0 if shape.tied else shape.output_bytes)
        repacked += shape.output_bytes if shape.output_type in kinds and shape.n_vocab % 8 == 0 else 0
    return Weights(device=device, host=host, repacked=repacked)


def compute(shape: ModelShape, context: Context, work: Work | None = None) -> Allocated:
    """The compute buffer of a context."""
    return allocate(transformer(shape, context, work, embedded=True))


def device_extra(shape: ModelShape, context: Context) -> int:
    """Room on the device for weights of the host that are copied to it for large batches."""
    stay = [
        block.weight_bytes if not on_device(shape, context, layer) else block.expert_bytes
        for layer, block in enumerate(shape.layers)
        if not on_device(shape, context, layer) or layer < context.n_cpu_moe
    ]
    largest = max((max(b.expert_bytes // 3, _widest(shape, b)) for b in shape.blocks), default=0)
    return largest if any(stay) and context.n_gpu_layers > 0 else 0


def _widest(shape: ModelShape, block: Block) -> int:
    """The largest matrix of a dense layer, by the share of its weights."""
    attention = shape.n_embd * (block.n_heads * block.key_width * 2 + block.n_kv_heads * 2 * block.value_width)
    total = attention + 3 * shape.n_embd * block.n_ff
    return (block.weight_bytes - block.expert_bytes) * shape.n_embd * block.n_ff // total if total else 0


def work_buffer(shape: ModelShape, context: Context, *, tokens: int) -> int:
    """What the CPU backend needs besides: inputs converted to the type that a product wants.

    Args:
        tokens: that are computed together.
    """
    tokens = min(tokens, context.tokens)
    widest = 0
    for block in shape.blocks:
        inputs = max(shape.n_embd, block.n_ff, block.n_heads * block.value_width) * tokens
        if block.expert_bytes:
            inputs = max(inputs, shape.n_ff_expert * shape.n_experts_used * tokens)
        widest = max(widest, *(_converted(inputs, kind) for kind in shape.matrix_types or ("F16",)))
        if not block.n_kv_heads:
            continue
        if context.flash_attn:
            tiles = TILE * block.key_width + 2 * TILE * TILE + TILE * block.value_width
            tiles += TILE * (block.value_width + block.key_width)
            widest = max(widest, 4 * tiles * context.n_threads)
        else:
            scores = context.cells * tokens * block.n_heads
            # Scores are converted to the 16 bits of the values that they are multiplied with.
            widest = max(widest, 2 * scores, 4 * context.cells * context.n_threads)
    return widest


def _converted(elements: int, kind: str) -> int:
    block, size = CONVERTED.get(kind, _BY_K if kind.endswith(("_K", "XS", "_S", "XXS", "_M")) else _BY_32)
    return elements // block * size


def cache(shape: ModelShape, context: Context) -> tuple[int, int]:
    """KV cache and recurrent states: on the device, and on the host."""
    return device_cache_bytes(shape, context), host_cache_bytes(shape, context)


def output_buffer(shape: ModelShape, context: Context) -> int:
    """Logits as the program reads them, on the host."""
    return 4 * shape.n_vocab * context.n_sequences
