"""What a cell has to move and to compute for a token: bytes of weights and of KV cache, operations. From the header.

Generating a token reads every weight that it uses once, and the whole KV cache before it. A prompt is multiplied with
the same weights, of which many tokens share one reading; the output matrix is needed for its last token only.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.analysis.results import CellResult
from harness.values.cell import Cell
from harness.values.facts import ModelFacts

CACHE_BYTES_PER_VALUE = {
    "f16": 2.0,
    "bf16": 2.0,
    "f32": 4.0,
    "q8_0": 34 / 32,
    "q4_0": 18 / 32,
    "q4_1": 20 / 32,
    "q5_0": 22 / 32,
    "q5_1": 24 / 32,
    "iq4_nl": 18 / 32,
}
"""Blocks of 32 values with their scales, as `formats/gguf_types.py` has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What one token of a cell needs on average.

    Attributes:
        weight_bytes: of weights that generating it reads; of a prompt's token None, since many share one reading.
        cache_bytes: of KV cache that it reads; None where the header does not say how large that is.
        operations: multiplications and additions with weights and cache; None where they cannot be counted.
        active: share of all weights that a token uses: less than 1 for a mixture of experts.
    """

    weight_bytes: int | None = None
    cache_bytes: int | None = None
    operations: float | None = None
    active: float | None = None

    @property
    def bytes(self) -> int | None:
        """All that is read for it; without the cache where that is not known."""
        return None if self.weight_bytes is None else self.weight_bytes + (self.cache_bytes or 0)


def traffic(result: CellResult) -> Traffic:
    """The traffic of a cell; without a model's facts nothing is known."""
    model, cell = result.model, result.cell
    if model is None:
        return Traffic()
    generating = cell.test.kind == "tg"
    context = cell.test.n_depth + (cell.test.n_gen if generating else cell.test.n_prompt) / 2
    return Traffic(
        weight_bytes=model.bytes_per_token if generating else None,
        cache_bytes=_cache_bytes(model, cell, context) if generating else None,
        operations=_operations(model, cell, context),
        active=model.bytes_per_token / model.size_bytes if model.bytes_per_token and model.size_bytes else None,
    )


def _cache_bytes(model: ModelFacts, cell: Cell, context: float) -> int | None:
    if model.cache_k is None or model.cache_v is None:
        return None
    if model.attention_window is not None and context > model.attention_window:
        # How many layers look that far is not in the header.
        return None
    types = (str(cell.params.get(name, "f16")) for name in ("type_k", "type_v"))
    k, v = (CACHE_BYTES_PER_VALUE.get(kind) for kind in types)
    return None if k is None or v is None else round(context * (model.cache_k * k + model.cache_v * v))


def _operations(model: ModelFacts, cell: Cell, context: float) -> float | None:
    if model.weights_multiplied is None or model.output_weights is None:
        return None
    with_weights = float(model.weights_multiplied)
    if cell.test.kind == "pp":
        with_weights -= model.output_weights * (1 - 1 / cell.test.n_prompt)
    # Attention multiplies with every key and adds up every value before it. With grouped heads each is used by several:
    # the header's cache counts one of the group, so this is a lower bound.
    attention = context * ((model.cache_k or 0) + (model.cache_v or 0))
    return 2 * (with_weights + attention)
