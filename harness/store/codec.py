"""Values to JSON and back, by the annotations of the dataclasses. Sessions and records use nothing else."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

T = TypeVar("T")


class CodecError(ValueError):
    """JSON that is not the value it should be; the message says which field."""


def encode(value: Any) -> Any:
    """A value of the house as plain JSON: mappings, lists, text, numbers, booleans, null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, str | Path):
        # Half a surrogate pair, from bytes that were no text, would make the file unreadable.
        return str(value).encode("utf-8", errors="backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def decode(kind: type[T], data: Any, where: str = "$") -> T:
    """The value of this type that `data` is the JSON of. Fields that are missing take their defaults.

    Raises:
        CodecError: a field has another type than its annotation, is unknown, or is missing without a default.
    """
    return typing.cast("T", _decode(kind, data, where))


def _decode(kind: Any, data: Any, where: str) -> Any:
    if kind is Any or kind is object:
        return data
    if get_origin(kind) is not None:
        return _decode_generic(kind, data, where)
    if is_dataclass(kind):
        return _decode_dataclass(kind, data, where)
    return _decode_scalar(kind, data, where)


def _decode_generic(kind: Any, data: Any, where: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        return _decode_union(arguments, data, where)
    if origin is tuple:
        return _decode_tuple(arguments, data, where)
    _expect(data, dict, where)
    return {key: _decode(arguments[1], value, f"{where}.{key}") for key, value in data.items()}


def _decode_scalar(kind: Any, data: Any, where: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, StrEnum | Path):
        _expect(data, str, where)
        try:
            return kind(data)
        except ValueError:
            raise CodecError(f"{where}: {data!r} is no {kind.__name__.lower()} that is known") from None
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        try:
            return float(data)
        except OverflowError:
            raise CodecError(f"{where}: the number is too large") from None
    _expect(data, kind, where)
    return data


def _decode_union(kinds: tuple[Any, ...], data: Any, where: str) -> Any:
    if data is None and type(None) in kinds:
        return None
    problem = None
    for kind in kinds:
        if kind is type(None):
            continue
        try:
            return _decode(kind, data, where)
        except CodecError as error:
            problem = error
    raise problem or CodecError(f"{where}: null is not allowed")


def _decode_tuple(kinds: tuple[Any, ...], data: Any, where: str) -> tuple[Any, ...]:
    _expect(data, list, where)
    if len(kinds) == 2 and kinds[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
        return tuple(_decode(kinds[0], item, f"{where}[{index}]") for index, item in enumerate(data))
    if len(kinds) != len(data):
        raise CodecError(f"{where}: {len(data)} items instead of {len(kinds)}")
    return tuple(_decode(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, data, strict=True)))


def _decode_dataclass(kind: Any, data: Any, where: str) -> Any:
    _expect(data, dict, where)
    hints = _hints(kind)
    strangers = set(data) - set(hints)
    if strangers:
        raise CodecError(f"{where}: unknown field {min(strangers)!r}")
    try:
        return kind(**{name: _decode(hints[name], value, f"{where}.{name}") for name, value in data.items()})
    except TypeError as error:
        raise CodecError(f"{where}: {error}") from None


def _expect(data: Any, kind: type, where: str) -> None:
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise CodecError(f"{where}: {type(data).__name__} instead of {kind.__name__}")
