"""JSON, read strictly: duplicate keys, NaN and infinities, lone surrogates, too much depth or size are refused.

For lines that other programs or an interrupted write may have left behind: bounded, and never a RecursionError.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 64

# Strings are passed over whole, an open one to the end of the text: one linear pass, whatever the text is.
_BRACKETS = re.compile(r'[\[\]{}]|"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_INTEGER_DIGITS = 400


class JsonError(ValueError):
    """Text that is not strict JSON.

    Attributes:
        what: what is wrong. line, column: 1-based place; 0 where the whole text is meant.
    """

    def __init__(self, what: str, *, line: int = 0, column: int = 0) -> None:
        super().__init__(f"line {line}, column {column}: {what}" if line else what)
        self.what = what
        self.line = line
        self.column = column


def loads(text: str | bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """Read one JSON value (RFC 8259).

    Args:
        text: one value, as text or as UTF-8.
        max_bytes: refuse longer input before reading it.
        max_depth: refuse deeper nesting of lists and objects.

    Raises:
        JsonError: the text is not strict JSON.
    """
    if len(text) > max_bytes:
        raise JsonError(f"longer than {max_bytes} bytes")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise JsonError(f"byte {error.start} (0x{text[error.start]:02x}) is not UTF-8") from None
    check_depth(text, max_depth)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise JsonError(_words(error, text), line=error.lineno, column=error.colno) from None
    if _has_surrogate(value):
        raise JsonError("half a surrogate pair")
    return value


def check_depth(text: str, max_depth: int) -> None:
    """Refuse what is nested too deeply before anything reads it.

    Raises:
        JsonError: it is.
    """
    depth = 0
    for match in _BRACKETS.finditer(text):
        first = match.group()[0]
        if first in "[{":
            depth += 1
            if depth > max_depth:
                raise JsonError(f"nested deeper than {max_depth} levels")
        elif first in "]}":
            depth -= 1


def _words(error: json.JSONDecodeError, text: str) -> str:
    if not text.strip():
        return "empty"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return "cut off"
    if error.msg == "Extra data":
        return "more text after the value"
    return f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonError(f"the key {key[:80]!r} stands twice in one object")
            seen.add(key)
    for key, item in pairs:
        if _SURROGATE.search(key) or _has_surrogate(item):
            raise JsonError(f"half a surrogate pair in or at the key {key[:80]!a}")
    return value


def _has_surrogate(item: Any) -> bool:
    """Whether text is half a character, here or in a list; objects within were looked at before."""
    if isinstance(item, str):
        return _SURROGATE.search(item) is not None
    return isinstance(item, list) and any(_has_surrogate(each) for each in item if isinstance(each, str | list))


def _constant(name: str) -> NoReturn:
    raise JsonError(f"{name} is not JSON")


def _integer(text: str) -> int:
    if len(text) > _INTEGER_DIGITS:
        raise JsonError("a number with too many digits")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise JsonError(f"the number {text[:40]} is too large")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_number
)
