"""Recipes of synthetic models: what may be asked for, and which tensors follow from it.

The mix of storage types is what llama-quantize chooses without an importance matrix, so that a synthetic model has the
size and the memory traffic of the real one of the same shape.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from harness.errors import InputError
from harness.formats.gguf_types import FILE_TYPES, TENSOR_TYPES
from harness.values.cell import ParameterValue

GENERATOR = "synthetic/1"
"""Version of everything that decides the bytes. Part of every recipe's hash: a change of the bytes needs a new one."""

ALIASES = MappingProxyType({"Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"})
"""As in llama-quantize."""

QUANTIZATIONS: Mapping[str, str] = MappingProxyType(
    {
        "F32": "F32",
        "F16": "F16",
        "BF16": "BF16",
        "Q8_0": "Q8_0",
        "Q6_K": "Q6_K",
        "Q5_K_M": "Q5_K",
        "Q5_K_S": "Q5_K",
        "Q5_1": "Q5_1",
        "Q5_0": "Q5_0",
        "Q4_K_M": "Q4_K",
        "Q4_K_S": "Q4_K",
        "Q4_1": "Q4_1",
        "Q4_0": "Q4_0",
    }
)
"""What most tensors are, by the quantization's name."""

_FLOATS = frozenset({"F32", "F16", "BF16"})
_BLOCK = {stored.name: stored.block for stored in TENSOR_TYPES.values()}
_BLOCK_BYTES = {stored.name: stored.size_bytes for stored in TENSOR_TYPES.values()}
_FILE_TYPE = {name: number for number, name in FILE_TYPES.items()}
_MIXTRAL_EXPERTS = 8  # llama-quantize keeps the attention of 8-expert models in more bits
_LAYERS_70B = 80  # and the values of Llama 70B, which eight heads share


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """How a transformer differs from plain llama.

    Attributes:
        experts: `no`, `optional` or `needed`.
        qk_norm: whether queries and keys are normalised for each head.
        rope_base: base of the rotary embedding's frequencies.
    """

    experts: str
    qk_norm: bool
    rope_base: float


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "llama": Architecture(experts="optional", qk_norm=False, rope_base=10_000.0),
        "qwen3": Architecture(experts="no", qk_norm=True, rope_base=1_000_000.0),
        "qwen3moe": Architecture(experts="needed", qk_norm=True, rope_base=1_000_000.0),
    }
)

_LIMITS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "n_layers": (1, 1024),
        "n_embd": (32, 1 << 16),
        "n_ff": (32, 1 << 18),
        "n_heads": (1, 1024),
        "n_kv_heads": (1, 1024),
        "n_vocab": (32, 1 << 20),
        "n_ctx": (1, 1 << 24),
        "seed": (0, (1 << 63) - 1),
        "n_experts": (0, 512),
        "n_experts_used": (0, 512),
    }
)
"""Smallest and largest value of each integer."""

_OPTIONAL = frozenset({"n_experts", "n_experts_used"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticRecipe:
    """Everything that decides the bytes of a synthetic model.

    Attributes:
        n_ff: width of the feed-forward layer; of one expert where there are experts.
        n_ctx: context length that the header claims, in tokens.
        n_experts, n_experts_used: of mixtures of experts; 0 for dense models.
    """

    architecture: str
    n_layers: int
    n_embd: int
    n_ff: int
    n_heads: int
    n_kv_heads: int
    n_vocab: int
    n_ctx: int
    quantization: str
    seed: int
    n_experts: int = 0
    n_experts_used: int = 0

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.n_embd // self.n_heads

    @property
    def file_type(self) -> int:
        """Number of `general.file_type`."""
        return _FILE_TYPE[self.quantization]

    @property
    def canonical(self) -> str:
        """JSON with sorted keys: equal for equal recipes."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps({"generator": GENERATOR, **values}, sort_keys=True, separators=(",", ":"))

    @property
    def sha256(self) -> str:
        """Names the recipe together with the generator's version."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @property
    def n_params(self) -> int:
        """Sum of the elements of all tensors."""
        return sum(tensor.n_elements for tensor in planned_tensors(self))

    @property
    def size_bytes(self) -> int:
        """Of the tensor data; the file is a few KiB larger."""
        return sum(tensor.size_bytes for tensor in planned_tensors(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTensor:
    """One tensor to be written.

    Attributes:
        shape: contiguous dimension first, as ggml counts.
        type: ggml's storage type.
        constant: the value of every element; None for noise.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    constant: float | None = None

    @property
    def n_elements(self) -> int:
        """Product of the shape."""
        product = 1
        for extent in self.shape:
            product *= extent
        return product

    @property
    def size_bytes(self) -> int:
        """Of the data, without padding."""
        return self.n_elements // _BLOCK[self.type] * _BLOCK_BYTES[self.type]


def parse_recipe(values: Mapping[str, ParameterValue] | None, *, where: str) -> SyntheticRecipe:
    """Check a recipe as it stands in a matrix or the registry.

    Args:
        where: shown as the place of what is wrong.

    Raises:
        InputError: with all that is wrong with it.
    """
    given = dict(values or {})
    wrong: list[str] = []
    known = {field.name for field in fields(SyntheticRecipe)}
    wrong += [f"{key!r} is not a key of a recipe" for key in given if key not in known]
    wrong += [f"{key} is missing" for key in sorted(known - _OPTIONAL) if key not in given]
    wrong += _wrong_names(given) if not wrong else []
    wrong += _wrong_numbers(given) if not wrong else []
    if not wrong:
        quantization = str(given["quantization"])
        numbers = {key: int(given.get(key, 0)) for key in _LIMITS}
        recipe = SyntheticRecipe(
            architecture=str(given["architecture"]),
            quantization=ALIASES.get(quantization, quantization),
            **numbers,
        )
        wrong = _wrong_shape(recipe)
        if not wrong:
            return recipe
    raise InputError("; ".join(wrong), where=where, remedy="correct the recipe; docs/models.md lists its keys")


def planned_tensors(recipe: SyntheticRecipe) -> Iterator[PlannedTensor]:
    """The tensors of the model in the order of the file."""
    kv_width = recipe.n_kv_heads * recipe.head_dim

    def matrix(name: str, *shape: int) -> PlannedTensor:
        return PlannedTensor(name=f"{name}.weight", shape=shape, type=_storage(recipe, name, shape[0]))

    def norm(name: str, width: int) -> PlannedTensor:
        return PlannedTensor(name=f"{name}.weight", shape=(width,), type="F32", constant=1.0)

    yield matrix("token_embd", recipe.n_embd, recipe.n_vocab)
    yield norm("output_norm", recipe.n_embd)
    yield matrix("output", recipe.n_embd, recipe.n_vocab)
    for layer in range(recipe.n_layers):
        block = f"blk.{layer}."
        yield norm(block + "attn_norm", recipe.n_embd)
        yield matrix(block + "attn_q", recipe.n_embd, recipe.n_embd)
        yield matrix(block + "attn_k", recipe.n_embd, kv_width)
        yield matrix(block + "attn_v", recipe.n_embd, kv_width)
        yield matrix(block + "attn_output", recipe.n_embd, recipe.n_embd)
        if ARCHITECTURES[recipe.architecture].qk_norm:
            yield norm(block + "attn_q_norm", recipe.head_dim)
            yield norm(block + "attn_k_norm", recipe.head_dim)
        yield norm(block + "ffn_norm", recipe.n_embd)
        experts = (recipe.n_experts,) if recipe.n_experts else ()
        suffix = "_exps" if experts else ""
        if experts:
            yield matrix(block + "ffn_gate_inp", recipe.n_embd, recipe.n_experts)
        yield matrix(block + "ffn_gate" + suffix, recipe.n_embd, recipe.n_ff, *experts)
        yield matrix(block + "ffn_down" + suffix, recipe.n_ff, recipe.n_embd, *experts)
        yield matrix(block + "ffn_up" + suffix, recipe.n_embd, recipe.n_ff, *experts)


def _storage(recipe: SyntheticRecipe, name: str, width: int) -> str:
    """The storage type that llama-quantize gives to a matrix."""
    base = QUANTIZATIONS[recipe.quantization]
    layer, _, kind = name.removeprefix("blk.").rpartition(".")
    kind = kind.removesuffix("_exps")
    if kind == "ffn_gate_inp":
        return "F32"
    if base in _FLOATS or kind == "token_embd":
        return base
    if kind == "output":
        return "Q8_0" if base == "Q8_0" or width % _BLOCK["Q6_K"] else "Q6_K"
    if recipe.n_experts == _MIXTRAL_EXPERTS:
        if kind in ("attn_k", "attn_v"):
            return "Q8_0"
        if kind == "attn_output" and base == "Q4_K":
            return "Q5_K"
    return _k_mix(recipe, kind, int(layer)) if kind in ("attn_v", "ffn_down") else base


def _k_mix(recipe: SyntheticRecipe, kind: str, layer: int) -> str:
    """The type of the two matrices that the K-quantizations store in more bits in some layers."""
    base = QUANTIZATIONS[recipe.quantization]
    n = recipe.n_layers
    if recipe.quantization in ("Q4_K_M", "Q5_K_M") and (
        layer < n // 8 or layer >= 7 * n // 8 or (layer - n // 8) % 3 == 2  # noqa: PLR2004 - llama-quantize's rule
    ):
        return "Q6_K"
    if recipe.quantization == "Q4_K_S" and layer < (4 if kind == "attn_v" else n // 8):
        return "Q5_K"
    is_70b = recipe.architecture == "llama" and n == _LAYERS_70B and recipe.n_heads != recipe.n_kv_heads
    return "Q5_K" if is_70b and kind == "attn_v" and base == "Q4_K" else base


def _wrong_names(given: Mapping[str, ParameterValue]) -> list[str]:
    wrong = []
    if given["architecture"] not in ARCHITECTURES:
        wrong.append(f"architecture {given['architecture']!r} is not one of {', '.join(ARCHITECTURES)}")
    if given["quantization"] not in {*QUANTIZATIONS, *ALIASES}:
        wrong.append(f"quantization {given['quantization']!r} is not one of {', '.join((*QUANTIZATIONS, *ALIASES))}")
    return wrong


def _wrong_numbers(given: Mapping[str, ParameterValue]) -> list[str]:
    wrong = []
    for key, (least, most) in _LIMITS.items():
        value = given.get(key, 0)
        if key in given and (not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most):
            wrong.append(f"{key} is {value!r}; it must be a whole number from {least} to {most}")
    return wrong


def _wrong_shape(recipe: SyntheticRecipe) -> list[str]:
    wrong = []
    if recipe.n_embd % recipe.n_heads or recipe.head_dim % 2:
        wrong.append(f"n_embd {recipe.n_embd} over n_heads {recipe.n_heads} is not an even whole number")
    if recipe.n_heads % recipe.n_kv_heads:
        wrong.append(f"n_heads {recipe.n_heads} is not a multiple of n_kv_heads {recipe.n_kv_heads}")
    block = _BLOCK[QUANTIZATIONS[recipe.quantization]]
    wrong += [
        f"{key} {getattr(recipe, key)} is not a multiple of {block}, the block of {recipe.quantization}"
        for key in ("n_embd", "n_ff")
        if getattr(recipe, key) % block
    ]
    experts = ARCHITECTURES[recipe.architecture].experts
    if experts == "no" and recipe.n_experts:
        wrong.append(f"{recipe.architecture} has no experts, but n_experts is {recipe.n_experts}")
    if experts == "needed" and not recipe.n_experts:
        wrong.append(f"{recipe.architecture} needs n_experts and n_experts_used")
    if recipe.n_experts and not 0 < recipe.n_experts_used <= recipe.n_experts:
        wrong.append(f"n_experts_used is {recipe.n_experts_used}; it must be from 1 to n_experts {recipe.n_experts}")
    if recipe.n_experts_used and not recipe.n_experts:
        wrong.append("n_experts_used is given without n_experts")
    return wrong
