"""How large a model is, before it is verified: from the file's header, or roughly from its bytes."""

from __future__ import annotations

from pathlib import Path

from harness.errors import InputError
from harness.formats.gguf import read_header
from harness.formats.gguf_shape import read_shape
from harness.matrix.estimate import ModelSize
from harness.values.facts import ModelFacts
from harness.values.model_shape import ModelShape

BYTES_PER_PARAMETER = 0.6
"""Of a four-bit model, for files that are not there yet."""


def model_size(path: Path | None, size_bytes: int | None) -> ModelSize | None:
    """Parameters and bytes; None where neither file nor size is known."""
    if path is not None and path.is_file():
        try:
            header = read_header(path)
        except InputError:
            return None
        try:
            shape = read_shape(header)
        except InputError:
            shape = None
        return _sized(header.n_params, header.size_bytes, shape)
    return _sized(None, size_bytes, None) if size_bytes else None


def size_of(model: ModelFacts) -> ModelSize:
    """The same of a model whose header was read before."""
    return _sized(model.n_params, model.size_bytes, model.shape)


def _sized(n_params: int | None, size_bytes: int, shape: ModelShape | None) -> ModelSize:
    return ModelSize(
        n_params=round(size_bytes / BYTES_PER_PARAMETER) if n_params is None else n_params,
        size_bytes=size_bytes,
        context_length=shape.context_length or None if shape else None,
        attention_flops=_attention_flops(shape) if shape else 0.0,
    )


def _attention_flops(shape: ModelShape) -> float:
    """Of a token for each position before it: a product with a key and one with a value, in each head."""
    full = (layer for layer in shape.layers if not (layer.windowed or layer.recurrent))
    return 2.0 * sum(layer.n_heads * (layer.key_width + layer.value_width) for layer in full)
