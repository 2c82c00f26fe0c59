"""What llama-perplexity prints: perplexity, and with base logits how far a model's choices are from the base's."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

_NUMBER = r"(-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)"
_WITH_ERROR = rf"{_NUMBER} *(?:\+/-|±) *{_NUMBER}"
_LINES = {
    "perplexity": re.compile(rf"(?:Final estimate: PPL *=|^Mean PPL\(Q\) *:) *{_WITH_ERROR}"),
    "base_perplexity": re.compile(rf"^Mean PPL\(base\) *: *{_WITH_ERROR}"),
    "perplexity_ratio": re.compile(rf"^Mean PPL\(Q\)/PPL\(base\) *: *{_WITH_ERROR}"),
    "kl_divergence": re.compile(rf"^Mean +KLD: *{_WITH_ERROR}"),
    "same_top_percent": re.compile(rf"^Same top p: *{_WITH_ERROR}"),
}
_CHUNKS = re.compile(r"over ([0-9]+) chunks")
_ROWS = re.compile(r"^ *([0-9]+) +[0-9.]+ ±")


def read(lines: Iterable[str]) -> dict[str, float]:
    """The figures by name, each with its standard error under the name with `_error`; and `chunks`.

    Never raises: what is not printed, or is no number, is not in it.
    """
    found: dict[str, float] = {}
    for line in lines:
        text = line.strip()[:500]
        for name, pattern in _LINES.items():
            if match := pattern.search(text):
                _put(found, name, match[1])
                _put(found, f"{name}_error", match[2])
        if (match := _CHUNKS.search(text)) or (match := _ROWS.match(text)):
            _put(found, "chunks", match[1])
    return found


def _put(found: dict[str, float], name: str, text: str) -> None:
    value = float(text)
    if math.isfinite(value):
        found[name] = value
