"""What a plan should say about cells that are allowed but will probably disappoint."""

from __future__ import annotations

from collections.abc import Sequence

from harness.values.backend import BACKENDS
from harness.values.cell import Cell

_PLAIN_TYPES = frozenset({"f16", "bf16"})


def remarks(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Sentences for `invoke plan`; empty where nothing is to be said."""
    quantized = [c.id for c in cells if c.params["type_v"] not in _PLAIN_TYPES and c.params["flash_attn"] == 0]
    automatic = [c.id for c in cells if c.params["flash_attn"] == "auto"]
    found = []
    if quantized:
        found.append(
            f"{_cells(quantized)} will fail: llama.cpp creates no context with a quantized type_v and flash_attn 0. "
            "Set flash_attn: 1."
        )
    if automatic:
        found.append(
            f"{_cells(automatic)} cannot be ranked: with flash_attn auto the output does not say what was chosen. "
            "Set flash_attn: 0 or 1."
        )
    gpus = sorted({BACKENDS[c.backend].title for c in cells if BACKENDS[c.backend].is_gpu})
    if len(gpus) > 1 and not any(c.test.n_depth for c in cells):
        found.append(
            f"{', '.join(gpus)} are compared in an empty context only, and a ranking can turn with the depth. "
            "Add n_depth: [0, 4096]."
        )
    return tuple(found)


def _cells(ids: Sequence[str]) -> str:
    return ids[0] if len(ids) == 1 else f"{len(ids)} cells ({ids[0]}, ...)"
