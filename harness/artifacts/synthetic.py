"""Synthetic models: GGUF files of seeded noise in any supported shape, the same bytes for the same recipe.

They let a 7B Q4_0 be benchmarked without a download or a licence. They say in their own metadata what they are, have
no vocabulary, and are never ranked with trained models: power and expert routing depend on the data.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from gguf import GGUFWriter
from gguf.constants import GGMLQuantizationType

from harness.artifacts.hashing import Progress, quiet
from harness.artifacts.synthetic_recipe import ARCHITECTURES, SyntheticRecipe, planned_tensors
from harness.artifacts.synthetic_tensors import tensor_data

MARK = "llama_bench_harness.synthetic"
"""Metadata key that is true in every synthetic model."""
RECIPE_KEY = "llama_bench_harness.recipe"
_ALIGNMENT = 32


def write_synthetic(recipe: SyntheticRecipe, path: Path, *, progress: Progress = quiet) -> None:
    """Write the model of a recipe to `path`, whatever is there now. Memory stays below a few hundred MiB.

    Raises:
        OSError: the file cannot be written, for want of space among others.
    """
    _write_header(recipe, path)
    total = recipe.size_bytes
    done = 0
    with path.open("ab") as file:
        file.write(bytes(-file.tell() % _ALIGNMENT))
        for tensor in planned_tensors(recipe):
            written = 0
            for piece in tensor_data(tensor, seed=recipe.seed):
                file.write(piece)
                written += len(piece)
                progress("writing synthetic weights", done + written, total)
            file.write(bytes(-written % _ALIGNMENT))
            done += written
        file.flush()
        os.fsync(file.fileno())


def title_of(recipe: SyntheticRecipe) -> str:
    """A name that nobody takes for a trained model: `synthetic llama 6.74B Q4_0`."""
    billion = 1_000_000_000
    n = recipe.n_params
    size = f"{n / billion:.2f}B" if n >= billion else f"{n / 1_000_000:.1f}M"
    return f"synthetic {recipe.architecture} {size} {recipe.quantization}"


def _write_header(recipe: SyntheticRecipe, path: Path) -> None:
    writer = GGUFWriter(path, recipe.architecture)
    writer.add_type("model")
    writer.add_name(title_of(recipe))
    writer.add_description("Seeded noise for benchmarks, not a trained model")
    writer.add_bool(MARK, val=True)
    writer.add_string(RECIPE_KEY, recipe.canonical)
    writer.add_file_type(recipe.file_type)
    writer.add_quantization_version(2)
    writer.add_vocab_size(recipe.n_vocab)
    writer.add_context_length(recipe.n_ctx)
    writer.add_embedding_length(recipe.n_embd)
    writer.add_block_count(recipe.n_layers)
    writer.add_feed_forward_length(recipe.n_ff)
    writer.add_head_count(recipe.n_heads)
    writer.add_head_count_kv(recipe.n_kv_heads)
    writer.add_key_length(recipe.head_dim)
    writer.add_value_length(recipe.head_dim)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(recipe.head_dim)
    writer.add_rope_freq_base(ARCHITECTURES[recipe.architecture].rope_base)
    if recipe.n_experts:
        writer.add_expert_count(recipe.n_experts)
        writer.add_expert_used_count(recipe.n_experts_used)
        writer.add_expert_feed_forward_length(recipe.n_ff)
    writer.add_tokenizer_model("no_vocab")
    for tensor in planned_tensors(recipe):
        writer.add_tensor_info(
            tensor.name,
            tensor.shape[::-1],
            np.dtype(np.float32),
            tensor.size_bytes,
            raw_dtype=GGMLQuantizationType[tensor.type],
        )
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
    finally:
        writer.close()
