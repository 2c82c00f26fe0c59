"""Models of any size in a few kilobytes: the header of a GGUF file and no weights, for the stub to measure its file by.

A matrix names models of up to 42 GB, which a machine without a card need not have on its disk. The stand-in is not the
model: its hash is its own, and its facts say that it is simulated.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from harness.artifacts import synthetic
from harness.artifacts.synthetic_recipe import SyntheticRecipe, parse_recipe
from harness.values.facts import ModelFacts
from harness.values.matrix import ModelSource

LIKE_GEMMA_3_270M = {
    "architecture": "llama",
    "n_layers": 18,
    "n_embd": 768,
    "n_ff": 2048,
    "n_heads": 4,
    "n_kv_heads": 1,
    "n_vocab": 98304,
    "n_ctx": 32768,
    "quantization": "Q4_K_M",
    "seed": 1,
}
"""Of about as many parameters, in the place of every model that is no synthetic one."""


def stand_in(source: ModelSource, folder: Path) -> ModelFacts:
    """Have the header of a model's shape as a file.

    Args:
        source: as the matrix or the registry has it; nothing is fetched.
        folder: where the file lies; named by its recipe.

    Returns:
        Facts with the size of the whole model, the hash of the header, and `simulated`.
    """
    recipe = parse_recipe(source.recipe or LIKE_GEMMA_3_270M, where=f"model {source.name}")
    path = folder / f"{recipe.sha256[:16]}.stand-in.gguf"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        synthetic._write_header(recipe, partial)
        partial.chmod(0o644)
        partial.rename(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return ModelFacts(
        name=source.name,
        title=source.title or source.name,
        source=f"stand-in of {source.kind}",
        path=path,
        sha256=sha256,
        size_bytes=path.stat().st_size + recipe.size_bytes,
        synthetic=True,
        tensors_sha256=sha256,
        architecture=recipe.architecture,
        file_type=recipe.quantization,
        bytes_per_token=_bytes_per_token(recipe),
        n_params=recipe.n_params,
        n_layers=recipe.n_layers,
        context_length=recipe.n_ctx,
        licence=source.licence,
        simulated=True,
    )


def _bytes_per_token(recipe: SyntheticRecipe) -> int:
    """All weights but the token embeddings, of which a token reads one row."""
    return recipe.size_bytes - next(t.size_bytes for t in synthetic.planned_tensors(recipe) if "token_embd" in t.name)
