"""Dataclasses read by msgspec: their JSON is checked by the annotations, and nothing unknown is let through.

`codec` does the same in a hundred times the time, and says which field is wrong: what is refused here is read there.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from harness.store.schema_types import type_of

T = TypeVar("T")
_KEPT, _LARGE = 16, 1024**2
_ODD_NUMBER = re.compile(rb"[\[\s]-?(?:0\.0000|[0-9.]+e|[0-9]{19})")
"""Numbers that `json` spells otherwise than msgspec, or that are too large for some reader."""
_SORTED = msgspec.json.Encoder(order="sorted")


def built(kind: type[T], data: Any) -> T | None:
    """The value of this dataclass that `data` is the JSON of; None where it is not, which `codec.decode` explains."""
    try:
        msgspec.convert(data, strict(cast("Any", kind)), dec_hook=other_types)
        return msgspec.convert(data, kind, dec_hook=other_types)
    except (msgspec.ValidationError, OverflowError):
        return None


def read_indented(data: bytes, *, max_bytes: int, max_depth: int) -> Any:
    """The JSON of a file that is, byte for byte, as `json.dumps(indent=1)` writes it; None where it is not.

    So nothing stands twice in it, and every reader reads the same: `strict_json` says the same in ten times the time.
    """
    if len(data) > max_bytes or b"\n" + b" " * max_depth in data or _ODD_NUMBER.search(data):
        return None
    try:
        value = msgspec.json.decode(data)
        again = msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
        return None
    return value if again == data else None


def plain_json(value: Any) -> bytes:
    """JSON without spaces, keys in the order that they have."""
    return msgspec.json.encode(value)


def sorted_json(value: Any) -> bytes:
    """JSON with sorted keys and no spaces."""
    return _SORTED.encode(value)


def built_once(kind: Any, data: bytes) -> Any:
    """The value of an annotation that this JSON is, the same object for the same bytes; None where it is not.

    For what many files repeat: it takes no memory the second time.
    """
    return _built_kept(kind, data) if len(data) < _LARGE else _built_now(kind, data)


def _built_now(kind: Any, data: bytes) -> Any:
    try:
        msgspec.json.decode(data, type=strict(kind), dec_hook=other_types)
        return msgspec.json.decode(data, type=kind, dec_hook=other_types)
    except (msgspec.MsgspecError, OverflowError):
        return None


_built_kept = lru_cache(_KEPT)(_built_now)


def other_types(kind: type, value: Any) -> Any:
    """Types that msgspec does not know: paths, and whatever JSON can be."""
    if kind is Path and not isinstance(value, str):
        raise ValueError("no path")
    return Path(value) if kind is Path else value


@cache
def strict(kind: Any) -> Any:
    """The type of an annotation with a structure for each dataclass in it, which refuses unknown fields."""
    return type_of(kind, {}, {})
