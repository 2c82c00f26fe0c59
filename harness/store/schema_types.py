"""Types for msgspec from the annotations of a dataclass and the JSON schema: together they refuse what the schema does.

The annotations say what a field is, the schema which fields have to be there and what bounds they keep. What is refused
here is read again by the schema itself, which has the words.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

Node = Mapping[str, Any]
_NUMBERS = {"minimum": "ge", "maximum": "le"}
_TEXTS = {"minLength": "min_length", "maxLength": "max_length", "pattern": "pattern"}
_LISTS = {"minItems": "min_length", "maxItems": "max_length"}


def type_of(hint: Any, node: Any, root: Node) -> Any:
    """The type of a value.

    Args:
        hint: its annotation.
        node: what the schema says of it; nothing where there is none. root: the schema, which references are looked up
            in.
    """
    node = _meant(node, root)
    if is_dataclass(hint):
        return structure_of(typing.cast("type", hint), node, root)
    if get_origin(hint) is not None:
        return _several(hint, node, root)
    if hint is str and "enum" in node:
        return Literal[tuple(value for value in node["enum"] if value is not None)]
    bounds = {str: _TEXTS, int: _NUMBERS, float: _NUMBERS}.get(hint, {})
    return _bounded(Any if hint is object else hint, node, bounds)


def _several(hint: Any, node: Node, root: Node) -> Any:
    """Of alternatives, lists and mappings."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        return Union[tuple(type_of(each, node, root) for each in arguments)]  # noqa: UP007 - known at run time only
    if origin is tuple:
        return _bounded(tuple[type_of(arguments[0], node.get("items"), root), ...], node, _LISTS)  # type: ignore[misc]
    return dict[arguments[0], type_of(arguments[1], node.get("additionalProperties"), root)]  # type: ignore[misc,valid-type]


def structure_of(kind: type, node: Any, root: Node, extra: tuple[tuple[str, type], ...] = ()) -> type:
    """A structure with the fields of a dataclass: unknown ones are refused, and those that the schema requires needed.

    Args:
        extra: fields that only the stored form has.
    """
    node = _meant(node, root)
    known, required, hints = node.get("properties", {}), set(node.get("required", ())), typing.get_type_hints(kind)
    members: list[Any] = list(extra)
    for field in fields(kind):
        own = type_of(hints[field.name], known.get(field.name), root)
        if field.name in required or (field.default is MISSING and field.default_factory is MISSING):
            members.append((field.name, own))
        elif field.default is not MISSING:
            members.append((field.name, own, field.default))
        else:
            members.append((field.name, own, msgspec.field(default_factory=dict)))
    return msgspec.defstruct(kind.__name__, members, forbid_unknown_fields=True, kw_only=True, gc=False)


def _meant(node: Any, root: Node) -> Node:
    """What a part of the schema says, of a value that is there: behind references, and beside `null`."""
    while isinstance(node, Mapping):
        if "$ref" in node:
            node = root["$defs"][node["$ref"].rpartition("/")[2]]
        elif "anyOf" in node:
            node = next(each for each in node["anyOf"] if each != {"type": "null"})
        else:
            return node
    return {}


def _bounded(kind: Any, node: Node, names: Mapping[str, str]) -> Any:
    bounds = {ours: node[theirs] for theirs, ours in names.items() if theirs in node}
    return Annotated[kind, msgspec.Meta(**bounds)] if bounds else kind
