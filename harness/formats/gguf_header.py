"""What a GGUF file says about itself, and how it is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError
from harness.formats.gguf_types import FILE_TYPES

_LOOKED_UP = ("per_layer_token_embd.", "position_embd.", "token_types.")
"""Embeddings that are never multiplied with: a token reads one row of them."""
_EXPERTS = "_exps."


class GgufError(InputError):
    """A file is no GGUF that llama.cpp would load.

    Args:
        what: what is wrong.
        path: the file.
        offset: where in the file, in bytes from its start.
    """

    def __init__(self, what: str, *, path: Path, offset: int, remedy: str = "") -> None:
        super().__init__(
            what,
            where=f"{path.name}, byte {offset}",
            remedy=remedy or "fetch the file again, or make it again with llama.cpp's converter",
        )
        self.offset = offset


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySummary:
    """An array that was walked over and not kept: type of its elements and their number."""

    element_type: str
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One tensor.

    Attributes:
        shape: elements in each dimension, the contiguous one first, as in the file.
        type: ggml's name of the storage type.
        offset: of its data from the start of the data section, in bytes.
        size_bytes: of its data, without padding.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    size_bytes: int

    @property
    def n_elements(self) -> int:
        """Product of the shape."""
        product = 1
        for extent in self.shape:
            product *= extent
        return product


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """What a GGUF file says about itself.

    Attributes:
        metadata: by key; arrays of more than 64 elements, and all arrays of strings, as `ArraySummary`.
        alignment: of tensor data, in bytes.
        data_offset: where the data section begins, in bytes from the start of the file.
        size_bytes: of the file.
    """

    version: int
    metadata: Mapping[str, object]
    tensors: tuple[Tensor, ...]
    alignment: int
    data_offset: int
    size_bytes: int

    @property
    def architecture(self) -> str | None:
        """Such as `llama`."""
        value = self.metadata.get("general.architecture")
        return value if isinstance(value, str) else None

    @property
    def file_type(self) -> str | None:
        """Quantization as llama-quantize names it, such as `Q4_K_M`; None where the file does not say."""
        value = self._integer("general.file_type")
        return None if value is None else FILE_TYPES.get(value, f"type {value}")

    @property
    def n_params(self) -> int:
        """Sum of the elements of all tensors."""
        return sum(tensor.n_elements for tensor in self.tensors)

    @property
    def n_layers(self) -> int | None:
        """Transformer blocks."""
        return self._integer(f"{self.architecture}.block_count")

    @property
    def context_length(self) -> int | None:
        """Tokens that the model was trained for."""
        return self._integer(f"{self.architecture}.context_length")

    @property
    def type_bytes(self) -> Mapping[str, int]:
        """Bytes of tensor data by storage type, the largest first."""
        total: Counter[str] = Counter()
        for tensor in self.tensors:
            total[tensor.type] += tensor.size_bytes
        return dict(total.most_common())

    @property
    def bytes_per_token(self) -> int | None:
        """Bytes of weights that generating one token alone reads.

        Of an embedding only one row is read, unless it is the output matrix too; of the experts those that a token
        uses. None where there are experts and the header does not say how many are used.
        """
        tied = not any(tensor.name == "output.weight" for tensor in self.tensors)
        dense, experts = 0, 0
        for tensor in self.tensors:
            if tensor.name.startswith(_LOOKED_UP) or (tensor.name == "token_embd.weight" and not tied):
                continue
            if _EXPERTS in tensor.name:
                experts += tensor.size_bytes
            else:
                dense += tensor.size_bytes
        if not experts:
            return dense
        count = self._integer(f"{self.architecture}.expert_count")
        used = self._integer(f"{self.architecture}.expert_used_count")
        if not count or not used or used > count:
            return None
        return dense + experts * used // count

    def _integer(self, key: str) -> int | None:
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None
