"""How large a model is, before it is verified: from the file's header, or roughly from its bytes."""

from __future__ import annotations

from pathlib import Path

from harness.errors import InputError
from harness.formats.gguf import read_header
from harness.formats.gguf_shape import read_shape
from harness.matrix.estimate import ModelSize
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
            return ModelSize(n_params=header.n_params, size_bytes=header.size_bytes)
        return ModelSize(
            n_params=header.n_params,
            size_bytes=header.size_bytes,
            context_length=shape.context_length or None,
            attention_flops=_attention_flops(shape),
        )
    if size_bytes:
        return ModelSize(n_params=round(size_bytes / BYTES_PER_PARAMETER), size_bytes=size_bytes)
    return None


def _attention_flops(shape: ModelShape) -> float:
    """Of a token for each position before it: a product with a key and one with a value, in each head."""
    full = (layer for layer in shape.layers if not (layer.windowed or layer.recurrent))
    return 2.0 * sum(layer.n_heads * (layer.key_width + layer.value_width) for layer in full)
