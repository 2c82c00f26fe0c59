"""Telemetry without its readings: results are computed from what they came to, which is the smaller part."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from types import FunctionType
from typing import Any

import msgspec

from harness.formats.json_schema import load_schema
from harness.store.line_shapes import REFUSALS, ShapeError, has_endless_number
from harness.store.record_line import SCHEMA_FILE
from harness.store.schema_types import type_of
from harness.store.structures import other_types
from harness.values.telemetry import Telemetry, Trace

READINGS = {Telemetry: ("host", "server"), Trace: ("at_ms", "columns")}
"""What was read at which time."""


def read_summaries(data: bytes) -> Any:
    """Telemetry with the fields and methods of `Telemetry`, its readings as bytes that are not looked into.

    Raises:
        ShapeError: it has to be read in full.
    """
    strictly, read = _decoders()
    try:
        if not has_endless_number(data):
            strictly(data)
            return read(data)
    except REFUSALS as error:
        raise ShapeError(str(error)) from error
    raise ShapeError("a number without end")


@cache
def _decoders() -> tuple[Callable[[bytes], Any], Callable[[bytes], Any]]:
    """One that refuses what the schema refuses, and one that makes the values of the house."""
    schema = load_schema(SCHEMA_FILE)

    def structure(kind: type, node: Mapping[str, Any], typed: Callable[[Any, Any], Any], **inner: Any) -> type:
        hints, own = typing.get_type_hints(kind), dict.fromkeys(READINGS[kind], msgspec.Raw) | inner
        members = [
            (f.name, own.get(f.name) or typed(hints[f.name], node["properties"].get(f.name))) for f in fields(kind)
        ]
        methods = {name: each for name, each in vars(kind).items() if isinstance(each, FunctionType) and name[0] != "_"}
        return msgspec.defstruct(kind.__name__, members, namespace=methods, gc=False, forbid_unknown_fields=True)

    def decoder(typed: Callable[[Any, Any], Any]) -> Callable[[bytes], Any]:
        trace = structure(Trace, schema["$defs"]["trace"], typed)
        devices = tuple[trace, ...]  # type: ignore[valid-type]
        whole = structure(Telemetry, schema["$defs"]["telemetry"], typed, devices=devices)
        return msgspec.json.Decoder(whole, dec_hook=other_types).decode

    return decoder(lambda hint, node: type_of(hint, node, schema)), decoder(lambda hint, _: hint)
