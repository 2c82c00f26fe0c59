"""What llama-server says: pieces of a stream, properties, counters. Read with bounds; never raises for what it says."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

MOST_BYTES = 4 * 1024 * 1024
"""Of one answer, or of one line of a stream: properties with a chat template are tens of kilobytes."""

_COUNTER = re.compile(r"^llamacpp:([a-z_]+)(?:\{[^}]*\})? +([0-9.eE+-]+)\s*$")
_MOST = 1 << 63
_MOST_CHARS = 300
_KEPT_TIMINGS = (
    "cache_n",
    "prompt_n",
    "prompt_ms",
    "prompt_per_second",
    "predicted_n",
    "predicted_ms",
    "predicted_per_second",
    "draft_n",
    "draft_n_accepted",
)


def read_event(line: bytes) -> Mapping[str, object] | None:
    """The object of a line `data: {...}` of a stream; None for other lines and for what is no object."""
    if not line.startswith(b"data:"):
        return None
    try:
        found = _parsed(line[5:])
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def read_object(body: bytes) -> Mapping[str, object]:
    """The object that an answer is; an empty one where it is another value.

    Raises:
        ValueError: it is no JSON.
    """
    found = _parsed(body)
    return found if isinstance(found, dict) else {}


def read_tokens(body: bytes) -> tuple[int, ...]:
    """What `/tokenize` answers; empty where it is no list of numbers."""
    try:
        tokens = read_object(body).get("tokens")
    except ValueError:
        return ()
    numbers = tokens if isinstance(tokens, list) else []
    return tuple(numbers) if all(type(n) is int and 0 <= n < _MOST for n in numbers) else ()


def token_count(event: Mapping[str, object]) -> int:
    """How many tokens a piece of a stream holds: those it lists; builds that list none send one a piece."""
    tokens = event.get("tokens")
    if isinstance(tokens, list):
        return len(tokens)
    return 1 if event.get("content") else 0


def timings(final: Mapping[str, object]) -> dict[str, float]:
    """The server's own times of a request; empty where it does not tell."""
    found = final.get("timings")
    if not isinstance(found, dict):
        return {}
    numbers = {name: _number(found.get(name)) for name in _KEPT_TIMINGS}
    return {name: value for name, value in numbers.items() if value is not None}


def about(props: Mapping[str, object], models: Mapping[str, object]) -> dict[str, object]:
    """Of `/props` and `/v1/models` what matters here: build, slots, context, size of the vocabulary."""
    settings = props.get("default_generation_settings")
    listed = models.get("data")
    meta = listed[0].get("meta") if isinstance(listed, list) and listed and isinstance(listed[0], dict) else None
    found = {
        "build_info": props.get("build_info"),
        "total_slots": props.get("total_slots"),
        "n_ctx": settings.get("n_ctx") if isinstance(settings, dict) else None,
        "n_vocab": meta.get("n_vocab") if isinstance(meta, dict) else None,
    }
    texts = {name: value[:_MOST_CHARS] for name, value in found.items() if isinstance(value, str) and value}
    numbers = {name: value for name, value in found.items() if isinstance(value, int) and -_MOST <= value < _MOST}
    return {**texts, **numbers}


def counters(text: str) -> dict[str, float]:
    """The numbers of `/metrics`, by name without the prefix `llamacpp:`; of several with one name the sum."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if match := _COUNTER.match(line):
            try:
                value = float(match[2])
            except ValueError:
                continue
            if math.isfinite(value):
                found[match[1]] = found.get(match[1], 0.0) + value
    return found


def _parsed(text: bytes) -> object:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("the server's answer is nested too deeply") from None


def _number(value: object) -> float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not -_MOST <= value < _MOST:
        return None
    return float(value)
