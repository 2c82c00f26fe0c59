"""Lines recognised by the shape of one that was checked: a hundred thousand records differ in little but numbers.

A line of which every byte was checked leaves its shape: which fields it has in which order, their types, and which
parts of it are much the same in other records, such as cells, proofs and the log. The next line is read by that shape
and written again by it. Where the bytes are the same it has these fields, each once, and no other; its parts are taken
as bytes, and each content of one is checked once.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache, lru_cache
from typing import Annotated, Any, TypeVar, Union

import msgspec

from harness.formats.json_schema import load_schema
from harness.store.record_line import SCHEMA_FILE, canonical
from harness.store.schema_types import type_of
from harness.store.structures import other_types
from harness.values.record import Outcome, Record, Run

T = TypeVar("T")

MOST_SHAPES = 8
"""Kept at a time, of lines and of rows: one for each version of the program and of llama-bench, and kind of run."""
MOST_LEARNED = 64
"""Ever: rows of strangers can differ in every line, and to learn one takes as long as reading many."""
_CONTENTS_KEPT = 1024
"""Of each part: the cells of a run are the same in each round."""
LARGE_PART = 4 * 1024
"""Bytes from which on a part is read each time: telemetry is never twice the same, and strangers can fill memory."""
_MAY_BE_EXPONENT = re.compile(rb"e-?[0-9]")
"""Most data has none, which is found out in a fraction of the time."""
_EXPONENT = re.compile(rb"e-?[0-9]++(?=[],}]|\Z)")
"""Of a number: what ends one follows its exponent. In a text, such as a hash, something else does, most often."""
_TOO_LONG = b"0" * 400
"""Of digits, each as a nought: more than this program reads."""
_AS_NOUGHT = bytes(ord("0") if ord("0") <= byte <= ord("9") else ord(" ") for byte in range(256))
_LONGEST_NUMBER = 32
_SMALL, _LARGE = 1e-4, 1e16
"""From the one on, and below the other, no number is spelled with an exponent."""
MAX_DEPTH = 16
MAX_ROW_FIELDS = 256
_PLAIN = {str, int, float, bool}
_WHOLE = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_SAMPLES = tuple[Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)], ...]
"""Durations such as a clock can give."""
_FLAT_BUT_FLOAT = str | _WHOLE | bool | None
_FRACTIONS = list[_WHOLE | float]

REFUSALS = (msgspec.MsgspecError, UnicodeError, OverflowError, ValueError, RecursionError)
"""What reading and writing raise for bytes that are not what they should be."""
_ANY = msgspec.json.Decoder()
_WRITE = msgspec.json.Encoder()
_WRITE_SORTED = msgspec.json.Encoder(order="sorted")


def is_canonical(value: Any, data: bytes) -> bool:
    """Whether this is how the program writes a value, and every number in it one that it reads."""
    spelled = (_WRITE_SORTED.encode(value) == data and not _has_odd_number(data)) or canonical(value) == data
    return spelled and not has_endless_number(data)


def has_endless_number(data: bytes) -> bool:
    """Whether some number has more digits than this program reads."""
    return _TOO_LONG in data.translate(_AS_NOUGHT)


def _has_odd_number(data: bytes) -> bool:
    """Whether there may be a number that `json` spells otherwise than msgspec: one below 0.0001, or from 1e16 on."""
    if b"0.0000" in data:
        return True
    if not _MAY_BE_EXPONENT.search(data):
        return False
    for match in _EXPONENT.finditer(data):
        # Within a text there is something else before the digits.
        before = data[max(0, match.start() - _LONGEST_NUMBER) : match.start()].rstrip(b"0123456789.-")
        if before[-1:] in {b":", b",", b"[", b""}:
            return True
    return False


class ShapeError(ValueError):
    """A line, or a part of one, that has to be read another way, which says what is wrong with it if anything is."""


class _Shapes:
    """Structures by which JSON is read, the last one that fitted first."""

    def __init__(self) -> None:
        self._decoders: list[Callable[[bytes], Any]] = []
        self._learned = 0

    def read(self, data: bytes) -> Any:
        """It by its fields; None where no structure fits."""
        for place, decode in enumerate(self._decoders):
            try:
                found = decode(data)
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                continue
            if place:
                self._decoders.insert(0, self._decoders.pop(place))
            return found
        return None

    def learn(self, make: Callable[[], type]) -> None:
        """Take one more, if there have not been too many."""
        if self._learned < MOST_LEARNED:
            self._learned += 1
            self._decoders.insert(0, msgspec.json.Decoder(make()).decode)
            del self._decoders[MOST_SHAPES:]


class LineShapes:
    """The shapes of the lines seen so far."""

    def __init__(self) -> None:
        self._lines = _Shapes()
        self._rows = _RowShapes()

    def read(self, line: bytes) -> Any:
        """A line by its fields, parts as bytes that are not looked at; None where no shape fits."""
        return self._lines.read(line)

    def check(self, line: bytes) -> Any:
        """A line by its fields, every byte of it looked at; None where it has to be read another way."""
        found = self.read(line)
        if found is None or not self.is_spelled(found, line):
            return None
        try:
            for name, examine in found.EXAMINED:
                examine(bytes(getattr(found, name)))
            _EXAMINE_CELLS(bytes(found.run.cells))
            for outcome in found.outcomes:
                for name, examine in outcome.EXAMINED:
                    examine(bytes(getattr(outcome, name)))
                if not self._rows.hold(bytes(outcome.row)):
                    return None
        except ShapeError:
            return None
        return found

    @staticmethod
    def is_spelled(found: Any, line: bytes) -> bool:
        """Whether this is how the program writes a line, as far as its plain fields go."""
        # The one plain field that is no whole number; it is at most 1.
        return _WRITE.encode(found) == line and not 0 < (found.load_before or 0) < _SMALL

    def learn(self, value: Mapping[str, Any]) -> None:
        """Take the shape of the JSON of a record that was checked in full."""
        self._lines.learn(lambda: _line(value))


@cache
def part(kind: type, name: str) -> Callable[[bytes], Any]:
    """What reads the value of a field of a dataclass from its bytes, and looks at each of them.

    It raises ShapeError where they are not what this program writes.
    """

    def read(data: bytes) -> Any:
        _examine(kind, name, data)
        try:
            return _part(kind, name).read(data)
        except REFUSALS as error:
            raise ShapeError(str(error)) from error

    return _kept(read)


@cache
def examined(kind: type, name: str) -> Callable[[bytes], None]:
    """What looks at each byte of such a field without making a value of it.

    It raises ShapeError where they are not what this program writes.
    """
    return _kept(lambda data: _examine(kind, name, data))


def _kept(function: Callable[[bytes], T]) -> Callable[[bytes], T]:
    """The function, which is called once for each small content."""
    small = lru_cache(_CONTENTS_KEPT)(function)
    return lambda data: small(data) if len(data) < LARGE_PART else function(data)


def _examine(kind: type, name: str, data: bytes) -> None:
    its = _part(kind, name)
    try:
        found = its.strictly(data)
        spelled = its.closed and _WRITE_SORTED.encode(found) == data
        if spelled and not _has_odd_number(data) and not has_endless_number(data):
            return
        value = _ANY.decode(data)
        if is_canonical(value, data) and shallow(value, MAX_DEPTH):
            return
    except REFUSALS as error:
        raise ShapeError(str(error)) from error
    raise ShapeError(f"{name} is spelled otherwise than this program does")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A field that is read by itself.

    Attributes:
        strictly: refuses what the schema refuses. read: makes the values of the house.
        closed: whether its type says of all of it what it is, and so how deep.
    """

    strictly: Callable[[bytes], Any]
    read: Callable[[bytes], Any]
    closed: bool


@cache
def _part(kind: type, name: str) -> _Part:
    hint, schema = typing.get_type_hints(kind)[name], load_schema(SCHEMA_FILE)
    of = {Record: schema, Run: schema["properties"]["run"], Outcome: schema["$defs"]["outcome"]}[kind]
    strict = type_of(hint, of["properties"].get(name), schema)
    strictly, read = (msgspec.json.Decoder(each, dec_hook=other_types) for each in (strict, hint))
    return _Part(strictly=strictly.decode, read=read.decode, closed=_is_closed(hint))


def _is_closed(hint: Any) -> bool:
    inner = typing.get_type_hints(hint).values() if is_dataclass(hint) else typing.get_args(hint)
    return hint is not object and all(map(_is_closed, inner))


def shallow(value: object, depth: int) -> bool:
    """Whether nothing is nested deeper."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth > 0 and all(shallow(item, depth - 1) for item in inner if isinstance(item, dict | list))


class _RowShapes:
    """Rows as llama-bench prints them: the fields of a build in the order of the alphabet, all of them plain."""

    def __init__(self) -> None:
        self._rows = _Shapes()

    def hold(self, data: bytes) -> bool:
        """Whether it is JSON as this program writes it, of an allowed depth."""
        found = self._rows.read(data)
        if found is not None and _WRITE.encode(found) == data and _usual_numbers(found):
            return True
        try:
            value = _ANY.decode(data)
            if not shallow(value, MAX_DEPTH) or not is_canonical(value, data):
                return False
        except REFUSALS:
            return False
        if found is None and isinstance(value, dict) and len(value) <= MAX_ROW_FIELDS:
            # Strangers' names can be such as no structure has; their rows are read the long way each time.
            with suppress(ValueError):
                self._rows.learn(lambda: _row(value))
        return value is None or isinstance(value, dict)


def _row(value: Mapping[str, Any]) -> type:
    """The structure of rows with these fields, each of its type here. Names of strangers are no identifiers."""
    names = {f"field_{place}": key for place, key in enumerate(sorted(value))}
    kinds = [(name, _kind(value[key])) for name, key in names.items()]
    numbers = {
        "NUMBERS": tuple(name for name, kind in kinds if kind is float),
        "LISTS": tuple(name for name, kind in kinds if kind is _FRACTIONS),
    }
    return msgspec.defstruct("Row", kinds, rename=names, namespace=numbers, gc=False, forbid_unknown_fields=True)


def _kind(value: object) -> Any:
    """Of a field: a type for which nothing but values of this one are written as they were read."""
    if isinstance(value, list):
        # Rates are printed with six digits: one beside others can happen to be whole.
        return _FRACTIONS if any(isinstance(item, float) for item in value) else list[_WHOLE]
    if isinstance(value, float):
        return float
    return _WHOLE if type(value) is int else type(value) if isinstance(value, str | bool) else _FLAT_BUT_FLOAT


def _usual_numbers(row: Any) -> bool:
    """Whether every number with a fraction is one that `json` and msgspec spell alike."""
    for name in row.NUMBERS:
        if not (_SMALL <= abs(getattr(row, name)) < _LARGE or not getattr(row, name)):
            return False
    for name in row.LISTS:
        for number in getattr(row, name):
            if not (_SMALL <= abs(number) < _LARGE or not number):
                return False
    return True


CELLS, _EXAMINE_CELLS = part(Run, "cells"), examined(Run, "cells")
"""Of a run, the parts of which are read one by one otherwise."""


def _line(value: Mapping[str, Any]) -> type:
    """The structure of lines such as this one."""
    run = _structure(Run, value["run"])
    outcome = _structure(Outcome, value["outcomes"][0])
    return _structure(Record, value, run=run, outcomes=tuple[outcome, ...])  # type: ignore[valid-type]


def _structure(kind: type, value: Mapping[str, Any], **inner: Any) -> type:
    """Fields in their order; what is missing, and what the dataclass computes, can be read all the same."""
    hints = {"schema": str, "version": int, **typing.get_type_hints(kind)}
    own = {name: inner.get(name) or _field(hints[name]) for name in sorted(value)}
    raw = [name for name in own if own[name] is msgspec.Raw and name not in {"row", "cells"}]
    more: dict[str, Any] = {
        "PARTS": tuple((name, part(kind, name)) for name in raw),
        "EXAMINED": tuple((name, examined(kind, name)) for name in raw),
    }
    for field in fields(kind):
        if field.name not in own:
            more[field.name] = {} if field.default is MISSING else field.default
    more |= {name: each for name, each in vars(kind).items() if isinstance(each, property)}
    return msgspec.defstruct(kind.__name__, list(own.items()), namespace=more, gc=False, forbid_unknown_fields=True)


def _field(hint: Any) -> Any:
    """Plain values by their type, samples too, and everything else as bytes."""
    several = typing.get_origin(hint) in {Union, types.UnionType}
    kinds: Sequence[Any] = typing.get_args(hint) if several else (hint,)
    plain = all(each in _PLAIN or each is type(None) for each in kinds)
    return _SAMPLES if hint == tuple[int, ...] else hint if plain else msgspec.Raw
