"""Records with only the fields that results are computed from, read in a fraction of the time that all of them take.

Every record is checked in full when it is written, imported or merged, and by `invoke verify`. Of a hundred thousand,
a report needs to know that none was changed since, which is its hash, and that what it uses is what it should be.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import cache
from types import FunctionType
from typing import Any, cast

import msgspec

from harness.formats.json_schema import load_schema
from harness.store.line_shapes import CELLS, LARGE_PART, ShapeError, has_endless_number
from harness.store.quick_check import read_line, used_line
from harness.store.record_line import SCHEMA_FILE
from harness.store.schema_types import type_of
from harness.store.structures import other_types
from harness.values.record import Record
from harness.values.telemetry import Telemetry, Trace

NOT_USED = ("container", "environment")
"""Parts of a record that nothing is computed from; nor is anything from its rows."""
READINGS = {Telemetry: ("host", "server"), Trace: ("at_ms", "columns")}
"""Of telemetry: what was read at which time. Results are computed from what it came to, which is the smaller part."""


def read_used(line: bytes) -> Record:
    """The record of a line without its rows as printed, container and environment.

    Returns:
        Something with the fields of a record. It is none of the dataclass: to make one takes as long as all the rest.

    Raises:
        ValueError: it is no record that this program reads; the message says what is wrong with it.
    """
    found = used_line(line)
    if found is not None:
        try:
            return _filled(found)
        except ShapeError:
            pass
    return _without_the_rest(read_line(line))


def _filled(found: Any) -> Record:
    """The line with the values of its parts instead of their bytes."""
    for name, read in found.PARTS:
        data = bytes(getattr(found, name))
        if name == "telemetry" and len(data) >= LARGE_PART:
            setattr(found, name, _summaries(data))
        else:
            setattr(found, name, read(data) if name not in NOT_USED else {})
    run = found.run
    run.cells = CELLS(bytes(run.cells))
    for outcome in found.outcomes:
        for name, read in outcome.PARTS:
            setattr(outcome, name, read(bytes(getattr(outcome, name))))
        outcome.row = None
    return cast("Record", found)


def _summaries(data: bytes) -> Any:
    """Telemetry without its readings, which are not looked into.

    Raises:
        ShapeError: it has to be read in full.
    """
    strictly, read = _decoders()
    try:
        if not has_endless_number(data):
            strictly(data)
            return read(data)
    except (msgspec.MsgspecError, UnicodeError, OverflowError, ValueError, RecursionError) as error:
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


def _without_the_rest(record: Record) -> Record:
    outcomes = tuple(replace(outcome, row=None) for outcome in record.outcomes)
    return replace(record, outcomes=outcomes, environment={}, container={})
