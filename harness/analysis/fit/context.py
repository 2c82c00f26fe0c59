"""What is asked of a context: its length, its cache, its batches, where its layers lie."""

from __future__ import annotations

from dataclasses import dataclass

from harness.values.model_shape import Block, ModelShape

PAD = 256
"""llama.cpp rounds context lengths up to it, and caches of sliding windows."""

STORED = {
    "f32": (1, 4),
    "f16": (1, 2),
    "bf16": (1, 2),
    "q8_0": (32, 34),
    "q4_0": (32, 18),
    "q4_1": (32, 20),
    "q5_0": (32, 22),
    "q5_1": (32, 24),
    "iq4_nl": (32, 18),
}
"""Elements and bytes of a block, by the type of a KV cache."""

ALL_LAYERS = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A context of a model on a device.

    Attributes:
        n_ctx: tokens in all, over all sequences.
        n_ubatch: tokens that are computed together in prompt processing.
        type_k, type_v: of the KV cache.
        n_gpu_layers: from the last layer on, the output counted as one; 0 on a CPU.
        n_cpu_moe: of so many first layers the experts stay on the host.
        kv_offload: whether the cache of a layer lies with it.
        n_sequences: that have a state or a window of their own.
        n_outputs: tokens whose logits a graph has room for; None for as many as it computes (llama-bench; a server
            needs one for each sequence).
        n_threads: of the CPU.
    """

    n_ctx: int
    n_ubatch: int = 512
    flash_attn: bool = False
    type_k: str = "f16"
    type_v: str = "f16"
    n_gpu_layers: int = ALL_LAYERS
    n_cpu_moe: int = 0
    kv_offload: bool = True
    n_sequences: int = 1
    n_outputs: int | None = None
    n_threads: int = 4

    @property
    def cells(self) -> int:
        """Tokens that the cache has room for."""
        return padded(self.n_ctx)

    @property
    def tokens(self) -> int:
        """Tokens that are computed together at most."""
        return min(self.n_ubatch, self.cells)

    @property
    def outputs(self) -> int:
        """Tokens whose logits the graph has room for."""
        return self.tokens if self.n_outputs is None else min(self.tokens, self.n_outputs)


def padded(tokens: int) -> int:
    """Rounded up as llama.cpp does."""
    return -(-tokens // PAD) * PAD


def window_cells(shape: ModelShape, context: Context) -> int:
    """Tokens that the cache of a sliding window has room for."""
    return min(context.cells, padded(min(context.cells, shape.window * context.n_sequences + context.tokens)))


def on_device(shape: ModelShape, context: Context, layer: int) -> bool:
    """Whether a layer is offloaded: the last ones are, and the output is one more than the last layer."""
    return layer >= shape.n_layers + 1 - context.n_gpu_layers


def row_bytes(elements: int, kind: str) -> int:
    """Bytes of a row of a cache."""
    block, size = STORED[kind]
    return -(-elements // block) * size


def cache_bytes(shape: ModelShape, context: Context, block: Block) -> int:
    """Keys and values of one layer, and its state where it is recurrent."""
    state = shape.state_bytes * context.n_sequences if block.recurrent else 0
    if not block.n_kv_heads:
        return state
    cells = window_cells(shape, context) if block.windowed else context.cells
    keys = row_bytes(block.n_kv_heads * block.key_width, context.type_k)
    values = 0 if shape.latent else row_bytes(_value_elements(shape, context, block), context.type_v)
    return cells * (keys + values) + state


def _value_elements(shape: ModelShape, context: Context, block: Block) -> int:
    """Without flash attention values are stored transposed, and every layer is as wide as the widest."""
    if context.flash_attn:
        return block.n_kv_heads * block.value_width
    return max(b.n_kv_heads * b.value_width for b in shape.blocks)


def host_cache_bytes(shape: ModelShape, context: Context) -> int:
    """What of the cache lies in the host's memory."""
    return sum(
        cache_bytes(shape, context, block)
        for layer, block in enumerate(shape.layers)
        if not (context.kv_offload and on_device(shape, context, layer))
    )


def device_cache_bytes(shape: ModelShape, context: Context) -> int:
    """What of it lies on the device."""
    everything = sum(block.count * cache_bytes(shape, context, block) for block in shape.blocks)
    return everything - host_cache_bytes(shape, context)
