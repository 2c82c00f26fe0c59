"""How large a model is, before it is verified: from the file's header, or roughly from its bytes."""

from __future__ import annotations

from pathlib import Path

from harness.errors import InputError
from harness.formats.gguf import read_header
from harness.matrix.estimate import ModelSize

BYTES_PER_PARAMETER = 0.6
"""Of a four-bit model, for files that are not there yet."""


def model_size(path: Path | None, size_bytes: int | None) -> ModelSize | None:
    """Parameters and bytes; None where neither file nor size is known."""
    if path is not None and path.is_file():
        try:
            header = read_header(path)
        except InputError:
            return None
        return ModelSize(n_params=header.n_params, size_bytes=header.size_bytes)
    if size_bytes:
        return ModelSize(n_params=round(size_bytes / BYTES_PER_PARAMETER), size_bytes=size_bytes)
    return None
