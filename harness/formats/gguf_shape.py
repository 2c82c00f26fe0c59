"""From a GGUF header to what decides the memory of a model. The keys and their defaults are llama.cpp's (b11312).

Headers come from strangers: every number is held against a limit before anything is computed from it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from types import MappingProxyType

from harness.errors import InputError
from harness.formats.gguf_header import ArraySummary, GgufHeader, Tensor
from harness.values.model_shape import Block, ModelShape

MOST_LAYERS = 512
"""llama.cpp's own limit."""
MOST = 1 << 28
"""No width, vocabulary or context length is larger."""

_LAYER = re.compile(r"blk\.(\d{1,4})\.(.+)")
_LOOKED_UP = ("token_embd.", "per_layer_token_embd.", "position_embd.", "token_types.")
_EXPERTS = re.compile(r"_(?:ch)?exps\b")
_MATRIX = re.compile(
    r"(?:attn_(?:q|k|v|qkv|output|q_a|q_b|kv_a_mqa|kv_b)|ffn_(?:up|gate|down|gate_up)\w*|ssm_(?:in|out))\.weight"
)
_GROUP_OF_ROWS = 8

WINDOW_PATTERNS: Mapping[str, tuple[int, bool]] = MappingProxyType(
    {
        "afmoe": (4, False),
        "cohere2": (4, False),
        "cohere2moe": (4, True),
        "exaone-moe": (4, False),
        "exaone4": (4, False),
        "gemma2": (2, False),
        "gemma3": (6, False),
        "gemma3n": (5, False),
        "gpt-oss": (2, False),
        "llama4": (4, False),
        "mellum": (4, False),
        "olmo2": (4, False),
        "plamo3": (8, False),
        "smallthinker": (4, True),
    }
)
"""Every so many layers one attends to everything, the last of them or (True) the first: where the header has no
pattern of its own. Architectures that are neither here nor have one are taken to attend to everything: the safe side.
phi3 is left out, since llama.cpp does not use its window."""

_DEFAULT_WINDOW = MappingProxyType({"gemma2": 4096, "exaone4": 4096, "exaone-moe": 128, "llama4": 8192})
_ALL_RECURRENT = frozenset({"falcon-h1", "mamba", "mamba2", "rwkv6", "rwkv7", "arwkv7", "rwkv6qwen2"})
_WITHOUT_ATTENTION = _ALL_RECURRENT - {"falcon-h1"}
_BY_INTERVAL = MappingProxyType({"qwen3next": 4, "qwen35": 4, "qwen35moe": 4, "minimax-01": 8})
_PREDICTED_GRAPHS = frozenset({"llama", "qwen2", "qwen3", "qwen3moe", "gemma3"})


class _Keys:
    """The metadata of one architecture, each number within its bounds."""

    def __init__(self, header: GgufHeader) -> None:
        self.header = header
        self.architecture = header.architecture or ""

    def fail(self, what: str) -> InputError:
        return InputError(
            what,
            where=f"header of a {self.architecture or 'model'}",
            remedy="Fetch the file again, or make it again with llama.cpp's converter.",
        )

    def _bounded(self, key: str, value: object, most: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise self.fail(f"{key} is {value!r}; it must be a whole number up to {most}")
        return value

    def number(self, name: str, default: int = 0, *, most: int = MOST) -> int:
        """A number of this architecture; the default where it is absent."""
        key = f"{self.architecture}.{name}"
        value = self.header.metadata.get(key)
        return default if value is None else self._bounded(key, value, most)

    def needed(self, name: str, *, most: int = MOST) -> int:
        """A number that must be there, and not 0."""
        found = self.number(name, most=most)
        if not found:
            raise self.fail(f"{self.architecture}.{name} is missing or 0")
        return found

    def by_layer(self, name: str, n_layers: int, default: int = 0, *, most: int = MOST) -> tuple[int, ...]:
        """A number, or an array of one for each layer."""
        key = f"{self.architecture}.{name}"
        value = self.header.metadata.get(key)
        if isinstance(value, ArraySummary):
            raise self.fail(f"{key} has {value.length} entries for {n_layers} layers")
        if not isinstance(value, tuple):
            return (self.number(name, default, most=most),) * n_layers
        if len(value) < n_layers:
            raise self.fail(f"{key} has {len(value)} entries for {n_layers} layers")
        return tuple(self._bounded(key, int(v) if isinstance(v, bool) else v, most) for v in value[:n_layers])


def read_shape(header: GgufHeader) -> ModelShape:
    """The memory side of a model.

    Raises:
        InputError: a number that everything else follows from is missing, or is one that no model has.
    """
    keys = _Keys(header)
    n_layers = keys.needed("block_count", most=MOST_LAYERS) - len(header.unused_layers)
    n_embd = keys.needed("embedding_length")
    layers, rest = _by_layer(header.loaded_tensors, n_layers)
    embedding = next((t for t in rest if t.name == "token_embd.weight"), None)
    output = next((t for t in rest if t.name == "output.weight"), None)
    looked_up = sum(t.size_bytes for t in rest if t.name.startswith(_LOOKED_UP))
    largest = output or embedding
    return ModelShape(
        architecture=keys.architecture,
        n_embd=n_embd,
        n_vocab=_n_vocab(keys, embedding),
        context_length=keys.number("context_length"),
        window=_window(keys),
        blocks=_blocks(keys, layers, n_embd),
        embedding_bytes=looked_up,
        output_bytes=largest.size_bytes if largest else 0,
        output_type=largest.type if largest else "",
        other_bytes=sum(t.size_bytes for t in rest) - looked_up - (output.size_bytes if output else 0),
        tied=output is None,
        header_bytes=header.data_offset,
        n_experts=keys.number("expert_count", most=1 << 16),
        n_experts_used=keys.number("expert_used_count", most=1 << 16),
        n_ff_expert=_n_ff_expert(keys, layers),
        latent=bool(keys.number("attention.key_length_mla") and keys.number("attention.value_length_mla")),
        head_norms=any("attn_q_norm" in t.name for t in layers[0]),
        post_norms=any("post_ffw_norm" in t.name or "post_ffn_norm" in t.name for t in layers[0]),
        scaled_embedding=keys.architecture.startswith("gemma"),
        matrix_types=tuple(sorted({t.type for layer in layers for t in layer if _is_matrix(t)})),
        state_bytes=4 * _state_elements(keys, n_embd),
        graph_known=keys.architecture in _PREDICTED_GRAPHS,
    )


def _by_layer(tensors: Sequence[Tensor], n_layers: int) -> tuple[list[list[Tensor]], list[Tensor]]:
    """The tensors of each layer, and those of none."""
    layers: list[list[Tensor]] = [[] for _ in range(n_layers)]
    rest = []
    for tensor in tensors:
        match = _LAYER.fullmatch(tensor.name)
        if match and int(match[1]) < n_layers:
            layers[int(match[1])].append(tensor)
        else:
            rest.append(tensor)
    return layers, rest


def _is_matrix(tensor: Tensor) -> bool:
    match = _LAYER.fullmatch(tensor.name)
    return bool(match and _MATRIX.fullmatch(match[2]))


def _n_vocab(keys: _Keys, embedding: Tensor | None) -> int:
    if embedding is not None and len(embedding.shape) > 1:
        return min(embedding.shape[1], MOST)
    tokens = keys.header.metadata.get("tokenizer.ggml.tokens")
    return keys.number("vocab_size", tokens.length if isinstance(tokens, ArraySummary) else 0)


def _window(keys: _Keys) -> int:
    if keys.architecture == "phi3":
        return 0
    return keys.number("attention.sliding_window", _DEFAULT_WINDOW.get(keys.architecture, 0))


def _windowed(keys: _Keys, n_layers: int) -> tuple[bool, ...]:
    """Which layers attend to the window only."""
    if not _window(keys):
        return (False,) * n_layers
    name = "attention.sliding_window_pattern"
    if isinstance(keys.header.metadata.get(f"{keys.architecture}.{name}"), tuple):
        return tuple(bool(value) for value in keys.by_layer(name, n_layers, most=1))
    known = WINDOW_PATTERNS.get(keys.architecture)
    period = keys.number(name, known[0] if known else 1, most=MOST_LAYERS)
    if known is None or period == 0:
        return (False,) * n_layers
    if known[1]:
        return tuple(layer % period != 0 for layer in range(n_layers))
    return tuple(layer % period < period - 1 for layer in range(n_layers))


def _recurrent(keys: _Keys, kv_heads: Sequence[int], n_ff: Sequence[int]) -> tuple[bool, ...]:
    """Which layers keep a state."""
    if keys.architecture in _ALL_RECURRENT:
        return (True,) * len(kv_heads)
    interval = keys.number("full_attention_interval", _BY_INTERVAL.get(keys.architecture, 0), most=MOST_LAYERS)
    if interval:
        return tuple((layer + 1) % interval != 0 for layer in range(len(kv_heads)))
    if not any(kv_heads) or not _state_elements(keys, keys.number("embedding_length")):
        return (False,) * len(kv_heads)
    # In nemotron_h a layer without attention may be a feed-forward one.
    plain = "nemotron_h" in keys.architecture
    return tuple(heads == 0 and not (plain and ff) for heads, ff in zip(kv_heads, n_ff, strict=True))


def _state_elements(keys: _Keys, n_embd: int) -> int:
    """Elements of the convolution's and the recurrence's state of one layer and one sequence."""
    if wkv := keys.number("wkv.head_size"):
        return keys.number("token_shift_count", 2) * n_embd + n_embd * wkv
    if short := keys.number("shortconv.l_cache"):
        return n_embd * (short - 1)
    if kda := keys.number("kda.head_dim"):
        inner = max(keys.by_layer("attention.head_count", 1)) * kda
        return 3 * max(keys.number("ssm.conv_kernel", 4) - 1, 0) * inner + kda * inner
    kernel, inner = keys.number("ssm.conv_kernel"), keys.number("ssm.inner_size")
    state, groups = keys.number("ssm.state_size"), keys.number("ssm.group_count")
    return max(kernel - 1, 0) * (inner + 2 * groups * state) + state * inner


def _n_ff_expert(keys: _Keys, layers: Sequence[Sequence[Tensor]]) -> int:
    experts = [t for layer in layers for t in layer if "ffn_down_exps" in t.name and t.shape]
    return keys.number("expert_feed_forward_length", experts[0].shape[0] if experts else 0)


def _blocks(keys: _Keys, layers: Sequence[Sequence[Tensor]], n_embd: int) -> tuple[Block, ...]:
    n_layers = len(layers)
    attention = keys.architecture not in _WITHOUT_ATTENTION
    heads = keys.by_layer("attention.head_count", n_layers, most=1 << 16)
    kv_heads = (
        keys.by_layer("attention.head_count_kv", n_layers, max(heads), most=1 << 16) if attention else (0,) * n_layers
    )
    width = n_embd // max(*heads, 1)
    key_width, value_width = keys.number("attention.key_length", width), keys.number("attention.value_length", width)
    key_window = keys.number("attention.key_length_swa", key_width)
    value_window = keys.number("attention.value_length_swa", value_width)
    n_ff = keys.by_layer("feed_forward_length", n_layers)
    windowed, recurrent = _windowed(keys, n_layers), _recurrent(keys, kv_heads, n_ff)
    shared_from = n_layers - keys.number("attention.shared_kv_layers", most=MOST_LAYERS)
    if keys.architecture == "gemma3n":
        shared_from = min(20, n_layers)
    found = []
    for layer, tensors in enumerate(layers):
        matrices: Counter[str] = Counter()
        for tensor in tensors:
            if _is_matrix(tensor) and tensor.shape[1:2] and tensor.shape[1] % _GROUP_OF_ROWS == 0:
                matrices[tensor.type] += tensor.size_bytes
        dense = any("ffn_down.weight" in t.name for t in tensors)
        found.append(
            Block(
                weight_bytes=sum(t.size_bytes for t in tensors),
                expert_bytes=sum(t.size_bytes for t in tensors if _EXPERTS.search(t.name)),
                matrix_bytes=dict(sorted(matrices.items())),
                n_heads=heads[layer],
                n_kv_heads=0 if layer >= shared_from or (recurrent[layer] and not _both(keys)) else kv_heads[layer],
                key_width=key_window if windowed[layer] else key_width,
                value_width=value_window if windowed[layer] else value_width,
                n_ff=n_ff[layer] if dense else 0,
                windowed=windowed[layer],
                recurrent=recurrent[layer],
            )
        )
    return tuple(replace(block, count=len(list(same))) for block, same in groupby(found))


def _both(keys: _Keys) -> bool:
    """Whether recurrent layers attend too."""
    return keys.architecture == "falcon-h1"
