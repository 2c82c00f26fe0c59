"""What a GGUF file says about itself, and how it is refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError
from harness.formats.gguf_types import FILE_TYPES

_LOOKED_UP = ("per_layer_token_embd.", "position_embd.", "token_types.")
"""Embeddings that are never multiplied with: a token reads one row of them."""
_EXPERTS = "_exps."
_LAYER = re.compile(r"blk\.(\d{1,4})\.")
_OTHER_USE = frozenset({"granite-switch"})
"""Here the last block is counted as one that predicts further tokens, and computes each token all the same."""


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
        metadata: by key; arrays of more than 512 elements, and all arrays of strings, as `ArraySummary`.
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
    def unused_layers(self) -> range:
        """The last blocks where they only predict further tokens: llama.cpp loads them for speculation alone."""
        count, extra = self.n_layers, self._integer(self._key("nextn_predict_layers"))
        if count is None or extra is None or not 0 < extra < count or self.architecture in _OTHER_USE:
            return range(0)
        return range(count - extra, count)

    @property
    def loaded_tensors(self) -> tuple[Tensor, ...]:
        """All tensors but those of `unused_layers`."""
        unused = self.unused_layers
        if not unused:
            return self.tensors
        layers = ((tensor, _LAYER.match(tensor.name)) for tensor in self.tensors)
        return tuple(tensor for tensor, layer in layers if layer is None or int(layer[1]) not in unused)

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
        return self._used(lambda tensor: tensor.size_bytes)

    @property
    def weights_multiplied(self) -> int | None:
        """Elements of the matrices that one token is multiplied with, of experts those that it uses."""
        return self._used(lambda tensor: tensor.n_elements if len(tensor.shape) > 1 else 0)

    @property
    def output_weights(self) -> int | None:
        """Elements of the output matrix, be it the token embedding; None where there is neither."""
        by_name = {tensor.name: tensor.n_elements for tensor in self.tensors}
        return by_name.get("output.weight", by_name.get("token_embd.weight"))

    def cache_values(self, which: str) -> int | None:
        """Values that one token leaves in the KV cache, in all layers; None where the header does not say.

        Args:
            which: `key` or `value`.
        """
        layers, heads = self.n_layers, self._integer(self._key("attention.head_count"))
        if self._key("attention.kv_lora_rank") in self.metadata or layers is None:
            return None
        kept = self.metadata.get(self._key("attention.head_count_kv"), heads)
        known = not isinstance(kept, tuple) or len(kept) == layers
        layers -= len(self.unused_layers)
        if isinstance(kept, tuple):
            kept = sum(kept[:layers]) if known and all(isinstance(n, int) for n in kept) else None
        elif isinstance(kept, int):
            kept *= layers
        width = self._integer(self._key(f"attention.{which}_length"))
        if width is None and heads and (embedding := self._integer(self._key("embedding_length"))):
            width = embedding // heads
        return kept * width if isinstance(kept, int) and width else None

    @property
    def attention_window(self) -> int | None:
        """Tokens beyond which some layers look at nothing; None where all look at everything."""
        return self._integer(self._key("attention.sliding_window")) or None

    def _key(self, name: str) -> str:
        return f"{self.architecture}.{name}"

    def _used(self, size: Callable[[Tensor], int]) -> int | None:
        """The sum of what a token alone uses; None where it uses experts and the header does not say how many."""
        tied = not any(tensor.name == "output.weight" for tensor in self.tensors)
        dense, experts = 0, 0
        for tensor in self.loaded_tensors:
            if tensor.name.startswith(_LOOKED_UP) or (tensor.name == "token_embd.weight" and not tied):
                continue
            if _EXPERTS in tensor.name:
                experts += size(tensor)
            else:
                dense += size(tensor)
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
