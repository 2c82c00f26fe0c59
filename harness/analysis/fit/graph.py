"""The compute graph of a transformer, tensor by tensor, as llama.cpp b11312 builds it (`llama-graph.cpp`).

Exact for the architectures that `ModelShape.graph_known` names; for others the same graph stands for theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.analysis.fit.allocator import Graph
from harness.analysis.fit.context import Context, window_cells
from harness.values.model_shape import Block, ModelShape

F32, I32, I64, F16 = 4, 4, 8, 2
ROTATED = 64
"""Quantized caches of heads of such a width are rotated before they are stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Inputs of a graph, by their places; those of the sliding window where the layers have one."""

    positions: int
    outputs: int
    keys: int
    values: int
    mask: int
    keys_window: int
    values_window: int
    mask_window: int
    rotation_k: int | None
    rotation_v: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a run does within what was reserved: so many tokens at once, and so many outputs."""

    tokens: int
    outputs: int = 1


def transformer(shape: ModelShape, context: Context, work: Work | None = None, *, embedded: bool = True) -> Graph:
    """The graph for `context.tokens` tokens.

    Args:
        work: what is really computed; None for all that is reserved.
        embedded: whether the embedding is looked up here; on GPUs the host does it.
    """
    return _Builder(shape, context, work).build(embedded=embedded)


class _Builder:
    def __init__(self, shape: ModelShape, context: Context, work: Work | None) -> None:
        self.shape = shape
        self.context = context
        self.graph = Graph()
        self.tokens = context.tokens
        self.work = work or Work(tokens=context.tokens, outputs=context.outputs)
        self.n_outputs = context.outputs

    def rows(self, width: int) -> tuple[int, int]:
        """Bytes of so many float32 for each token: reserved, and used."""
        return width * self.tokens * F32, width * min(self.work.tokens, self.tokens) * F32

    def out_rows(self, width: int) -> tuple[int, int]:
        """The same for each output."""
        return width * self.n_outputs * F32, width * min(self.work.outputs, self.n_outputs) * F32

    def put(self, size: tuple[int, int], *inputs: int, over: bool = False) -> int:
        return self.graph.put(size[0], *inputs, over=over, used=size[1])

    def given(self, elements: int, size: int) -> int:
        used = elements * size * self.work.tokens // self.tokens
        return self.graph.given(elements * size, used=used)

    def build(self, *, embedded: bool) -> Graph:
        shape, graph = self.shape, self.graph
        tokens = self.given(self.tokens, I32)
        # Room for embeddings that are given in the place of tokens; nothing uses it, so it is never freed.
        instead = graph.given(self.rows(shape.n_embd)[0], used=0)
        given = self._inputs()
        stream = self.put(self.rows(shape.n_embd), tokens) if embedded else instead
        if shape.scaled_embedding:
            stream = self.put(self.rows(shape.n_embd), stream, over=True)
        layers = shape.layers
        for index, block in enumerate(layers):
            stream = self._layer(block, stream, given, last=index == len(layers) - 1)
        normed = self.put(self.out_rows(shape.n_embd), stream, over=True)
        normed = self.put(self.out_rows(shape.n_embd), normed, over=True)
        graph.nodes[normed].is_output = True
        logits = self.put(self.out_rows(shape.n_vocab), normed)
        graph.nodes[logits].is_output = True
        return graph

    def _inputs(self) -> Given:
        context, shape = self.context, self.shape
        positions = self.given(self.tokens, I32)
        mask_element = F16 if context.flash_attn else F32
        # Values that are stored transposed are placed one by one.
        width = 1 if context.flash_attn else max((b.n_kv_heads * b.value_width for b in shape.blocks), default=1)
        has_full = any(not b.windowed for b in shape.blocks)
        has_window = any(b.windowed for b in shape.blocks)
        keys = self.given(self.tokens, I64)
        values = self.given(self.tokens * width, I64) if not shape.latent else keys
        mask = self.given(context.cells * self.tokens, mask_element) if has_full or not has_window else keys
        keys_w, values_w, mask_w = keys, values, mask
        if has_window:
            keys_w = self.given(self.tokens, I64)
            values_w = self.given(self.tokens * width, I64)
            mask_w = self.given(window_cells(shape, context) * self.tokens, mask_element)
        outputs = self.graph.given(self.n_outputs * I32)
        return Given(
            positions=positions,
            outputs=outputs,
            keys=keys,
            values=values,
            mask=mask,
            keys_window=keys_w,
            values_window=values_w,
            mask_window=mask_w,
            rotation_k=self._rotation(context.type_k, keys=True),
            rotation_v=self._rotation(context.type_v, keys=False),
        )

    def _rotation(self, kind: str, *, keys: bool) -> int | None:
        widths = {b.key_width if keys else b.value_width for b in self.shape.blocks if b.n_kv_heads}
        if kind in {"f16", "bf16", "f32"} or len(widths) != 1 or self.shape.latent:
            return None
        width = widths.pop()
        if width % ROTATED:
            return None
        side = ROTATED
        while keys and width % (2 * side) == 0:
            side *= 2
        return self.graph.given(side * side * F32)

    def _layer(self, block: Block, stream: int, given: Given, *, last: bool) -> int:
        n_embd, put, rows = self.shape.n_embd, self.put, self.rows
        normed = self._norm(stream, n_embd)
        attended = self._attention(block, normed, given) if block.n_kv_heads else put(rows(n_embd), normed)
        rows_of = self.out_rows if last else rows
        if last:
            attended = put(rows_of(n_embd), attended, given.outputs)
            stream = put(rows_of(n_embd), stream, given.outputs)
        if self.shape.post_norms:
            attended = put(rows_of(n_embd), put(rows_of(n_embd), attended, over=True), over=True)
        joined = put(rows_of(n_embd), attended, stream, over=True)
        normed = put(rows_of(n_embd), joined)
        normed = put(rows_of(n_embd), normed, over=True)
        if block.expert_bytes and self.shape.n_experts_used:
            out = self._experts(normed, last=last)
        else:
            wide = rows_of(block.n_ff)
            # The gate is computed first, since it is the first input of what joins them.
            gate = put(wide, normed)
            up = put(wide, normed)
            out = put(rows_of(n_embd), put(wide, gate, up))
        if self.shape.post_norms:
            out = put(rows_of(n_embd), put(rows_of(n_embd), out, over=True), over=True)
        return put(rows_of(n_embd), out, joined, over=True)

    def _norm(self, stream: int, width: int) -> int:
        normed = self.put(self.rows(width), stream, over=True)
        return self.put(self.rows(width), normed, over=True)

    def _heads(self, normed: int, width: int, positions: int | None) -> int:
        """One of queries, keys, values: a product, a look at it by heads, norms, rotation by position."""
        graph, size = self.graph, self.rows(width)
        found = graph.view(self.put(size, normed))
        if self.shape.head_norms and positions is not None:
            found = self.put(size, self.put(size, found, over=True), over=True)
        return found if positions is None else self.put(size, found, positions, over=True)

    def _attention(self, block: Block, normed: int, given: Given) -> int:
        graph, put, context = self.graph, self.put, self.context
        q_width = block.n_heads * block.key_width
        query = self._heads(normed, q_width, given.positions)
        if self.shape.scaled_embedding:
            query = put(self.rows(q_width), query, over=True)
        if given.rotation_k is not None:
            query = graph.view(put(self.rows(q_width), graph.view(query), given.rotation_k))
        value = self._heads(normed, block.n_kv_heads * block.value_width, None)
        if given.rotation_v is not None:
            value = graph.view(put(self.rows(block.n_kv_heads * block.value_width), value, given.rotation_v))
        key = self._heads(normed, block.n_kv_heads * block.key_width, given.positions)
        if given.rotation_k is not None:
            key = graph.view(put(self.rows(block.n_kv_heads * block.key_width), graph.view(key), given.rotation_k))
        graph.write(graph.view(key), given.keys_window if block.windowed else given.keys)
        graph.write(graph.view(value), given.values_window if block.windowed else given.values)
        mask = given.mask_window if block.windowed else given.mask
        cells = window_cells(self.shape, context) if block.windowed else context.cells
        out_width = block.n_heads * block.value_width
        query = graph.view(graph.view(query), same_layout=False)
        if context.flash_attn:
            mixed = graph.view(put(self.rows(out_width), query, mask))
        else:
            scores = put(self.rows(cells * block.n_heads), query)
            scores = put(self.rows(cells * block.n_heads), scores, mask, over=True)
            mixed = put(self.rows(out_width), scores)
            mixed = put(self.rows(out_width), graph.view(mixed, same_layout=False))
        if given.rotation_v is not None:
            mixed = graph.view(put(self.rows(out_width), graph.view(mixed), given.rotation_v))
        return put(self.rows(self.shape.n_embd), mixed)

    def _experts(self, normed: int, *, last: bool) -> int:
        graph, put, shape = self.graph, self.put, self.shape
        rows = self.out_rows if last else self.rows
        used = shape.n_experts_used
        probabilities = put(rows(shape.n_experts), put(rows(shape.n_experts), normed), over=True)
        chosen = graph.view(put(rows(shape.n_experts), probabilities), same_layout=False)
        weights = put(rows(used), graph.view(probabilities), chosen)
        weights = graph.view(weights)
        total = put(rows(1), weights)
        total = put(rows(1), total, over=True)
        weights = graph.view(put(rows(used), weights, total, over=True))
        looked = graph.view(normed)
        wide = rows(shape.n_ff_expert * used)
        gate = put(wide, looked, chosen)
        up = put(wide, looked, chosen)
        joined = put(wide, gate, up)
        results = put(rows(shape.n_embd * used), joined, chosen)
        results = put(rows(shape.n_embd * used), results, weights, over=True)
        views = [graph.view(results, same_layout=False) for _ in range(used)]
        total = views[0]
        for view in views[1:]:
            total = put(rows(shape.n_embd), total, view, over=True)
        return put(rows(shape.n_embd), total) if used == 1 else total
