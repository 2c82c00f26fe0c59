"""Small parts that all forms share: numbers with units, names of tests, rates with deviations."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

MAX_TEXT = 2000
_RATE = re.compile(r"(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?:\s*(?:±|\+/-)\s*(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?))?")
_TEST = re.compile(r"(?:pp ?(\d+))? ?\+? ?(?:tg ?(\d+))?(?: ?@ ?d ?(\d+))?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) (MiB|GiB|M|B|K)")
_UNITS = {"MiB": 1024**2, "GiB": 1024**3, "K": 1e3, "M": 1e6, "B": 1e9}
_MOST_TOKENS = 10**9
_MOST_RATE = 1e9


class FieldError(ValueError):
    """A value that is not what its place says; the message says why."""


def rate(text: str) -> tuple[float, float | None]:
    """`2368.80 ± 93.24`: tokens a second, and their deviation.

    Raises:
        FieldError: it is none, or not positive.
    """
    match = _RATE.fullmatch(text.strip().replace("**", ""))
    if match is None:
        raise FieldError(f"{text[:40]!r} is no rate")
    return positive(float(match[1])), float(match[2]) if match[2] else None


def positive(value: object) -> float:
    """A rate that can be one.

    Raises:
        FieldError: it is no number, not finite, not positive, or beyond all reason.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError(f"{str(value)[:40]!r} is no number")
    if not math.isfinite(value) or not 0 < value < _MOST_RATE:
        raise FieldError(f"a rate of {str(value)[:40]} tokens/s is none")
    return float(value)


def tokens(value: object) -> int:
    """A number of tokens.

    Raises:
        FieldError: it is none.
    """
    if isinstance(value, str) and value.strip().isdigit() and len(value) < 12:  # noqa: PLR2004 - no longer than a count
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MOST_TOKENS:
        raise FieldError(f"{str(value)[:40]!r} is no number of tokens")
    return value


def test(text: str) -> tuple[int, int, int]:
    """`pp512`, `pp 512`, `tg128 @ d4096`, `pp512+tg128`: prompt, generated tokens and depth.

    Raises:
        FieldError: it is none.
    """
    match = _TEST.fullmatch(" ".join(text.split()))
    if match is None or not (match[1] or match[2]):
        raise FieldError(f"{text[:40]!r} is no test of llama-bench")
    return tokens(match[1] or "0"), tokens(match[2] or "0"), tokens(match[3] or "0")


def metric(n_prompt: int, n_gen: int) -> str:
    """`pp`, `tg` or `pg`.

    Raises:
        FieldError: there are no tokens.
    """
    if not n_prompt and not n_gen:
        raise FieldError("a test without tokens")
    return "pg" if n_prompt and n_gen else "pp" if n_prompt else "tg"


def size(text: str) -> int | None:
    """`11.27 GiB` or `20.91 B` as a number; None where it is neither."""
    match = _SIZE.fullmatch(text.strip())
    return round(float(match[1]) * _UNITS[match[2]]) if match else None


def whole(value: object) -> int | None:
    """A whole number, also as text; None where it is none or too large to be meant."""
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,18}", text):
        return None
    return int(text)


def text_of(value: object) -> str:
    """Any value as text of bounded length, on one line."""
    shown = value if isinstance(value, str) else str(value)
    return " ".join("".join(c if c.isprintable() else " " for c in shown[:MAX_TEXT]).split())


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Everything that was printed, as texts."""
    return {text_of(key)[:100]: text_of(value) for key, value in list(values.items())[:200]}
