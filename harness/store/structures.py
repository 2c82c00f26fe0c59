"""Dataclasses read by msgspec: their JSON is checked by the annotations, and nothing unknown is let through.

`codec` does the same in a hundred times the time, and says which field is wrong: what is refused here is read there.
"""

from __future__ import annotations

import re
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec

T = TypeVar("T")
_KEPT, _LARGE = 16, 1024**2
_ODD_NUMBER = re.compile(rb"[\[\s]-?(?:0\.0000|[0-9.]+e|[0-9]{19})")
"""Numbers that `json` spells otherwise than msgspec, or that are too large for some reader."""
_SORTED = msgspec.json.Encoder(order="sorted")


def built(kind: type[T], data: Any) -> T | None:
    """The value of this dataclass that `data` is the JSON of; None where it is not, which `codec.decode` explains."""
    try:
        msgspec.convert(data, structure(typing.cast("Any", kind)), dec_hook=other_types)
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
        msgspec.json.decode(data, type=converted(kind), dec_hook=other_types)
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
def structure(kind: type, extra: tuple[tuple[str, type], ...] = ()) -> type:
    """A msgspec structure with the fields of a dataclass; unknown fields are refused."""
    hints = typing.get_type_hints(kind)
    members: list[Any] = list(extra)
    for field in fields(kind):
        if field.default is not MISSING:
            members.append((field.name, converted(hints[field.name]), field.default))
        elif field.default_factory is not MISSING:
            members.append((field.name, converted(hints[field.name]), msgspec.field(default_factory=dict)))
        else:
            members.append((field.name, converted(hints[field.name])))
    return msgspec.defstruct(kind.__name__, members, forbid_unknown_fields=True, kw_only=True, gc=False)


def converted(kind: Any) -> Any:
    """The annotation with the structure of each dataclass in it instead of the dataclass."""
    if kind is object or kind is Any:
        return Any
    if is_dataclass(kind):
        return structure(typing.cast("type", kind))
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is None:
        return kind
    if origin in {Union, types.UnionType}:
        return Union[tuple(converted(argument) for argument in arguments)]  # noqa: UP007 - of what is known at run time
    if origin is tuple:
        return tuple[converted(arguments[0]), ...]  # type: ignore[misc] # likewise
    return dict[str, converted(arguments[1])]  # type: ignore[misc] # likewise
