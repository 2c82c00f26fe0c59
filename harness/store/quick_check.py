"""Records checked at the speed at which they are read: the bytes by their hash, every field by its annotation.

`from_json` reads one record with the words for whatever is wrong with it, in milliseconds. This says whether a line is
a record at all, in microseconds, and leaves the words to `from_json`: what is refused here is read again there.
"""

from __future__ import annotations

import gc
import hashlib
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from harness.formats.json_schema import load_schema
from harness.formats.strict_json import JsonError, loads
from harness.store.codec import CodecError
from harness.store.line_shapes import MAX_DEPTH, REFUSALS, LineShapes, is_canonical, shallow
from harness.store.migrations import SCHEMA, VERSION, VersionError
from harness.store.record_line import MAX_LINE_BYTES, SCHEMA_FILE, canonical, from_json
from harness.store.schema_types import structure_of
from harness.values.record import Record

_READ = msgspec.json.Decoder()
_USUAL_DEPTH = 5
LARGEST = 2**63
MOST = 2**31 - 1
KILL_STAGES = (None, "term", "kill", "remove")
MAX_DIAGNOSIS = 8192
_SHAPES = LineShapes()
_VALUES_KEPT = 4096
_NULL, _NONE = msgspec.Raw(b"null"), msgspec.Raw(b"[]")
_ALWAYS_OTHERS = ("id", "started_utc", "ended_utc")
"""Fields with a pattern that no two records share the value of."""
_ID_BYTES = len(',"id":""') + 64


class Envelope(typing.Protocol):
    """What of a line is needed to place it among others."""

    id: str
    schema: str
    version: int
    machine: str
    matrix: str
    session: str
    started_utc: str
    simulated: bool
    run: Any


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without Python's search for cycles: records have none, and looking for some takes as long as reading them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def id_holds(line: bytes, id_: str) -> bool:
    """Whether this id, which the line has, is the hash of its bytes without it."""
    begin = line.find(f',"id":"{id_}","image":'.encode())
    if begin <= 0:
        return False
    digest = hashlib.sha256(line[:begin])
    digest.update(memoryview(line)[begin + _ID_BYTES :])
    return digest.hexdigest() == id_


def check_line(line: bytes) -> Envelope:
    """Check a whole line: its hash, its spelling, its version, every field of it, as the schema does.

    Raises:
        ValueError: it is no record that this program reads; the message says what is wrong with it.
    """
    by_shape = _by_shape(line)
    if by_shape is not None:
        return by_shape
    found = _quickly(line)
    if found is None:
        return ReadBySchema(*_slowly(line))
    _SHAPES.learn(found[1])
    return found[0]


def used_line(line: bytes) -> Any:
    """A line by its fields, parts of it as bytes to be read; None where it has to be read another way.

    Its hash, its version, its plain fields and their spelling are checked. Rows, containers and environments are not
    looked into.
    """
    found = _SHAPES.read(line) if len(line) <= MAX_LINE_BYTES else None
    if found is None:
        quickly = _quickly(line)
        if quickly is None:
            return None
        _SHAPES.learn(quickly[1])
        found = _SHAPES.read(line)
    return found if found is not None and _SHAPES.is_spelled(found, line) and _holds(found, line) else None


def _by_shape(line: bytes) -> Envelope | None:
    """The fields of a line that is shaped like earlier ones, checked as `_quickly` does; else None."""
    found = _SHAPES.check(line) if len(line) <= MAX_LINE_BYTES else None
    return typing.cast("Envelope", found) if found is not None and _holds(found, line) else None


def _holds(found: Any, line: bytes) -> bool:
    """Whether a line that was read by its shape is a record, as far as its plain fields say."""
    if found.run.cells == _NONE or not id_holds(line, found.id) or not _plain_rules_hold(found):
        return False
    for outcome in found.outcomes:
        if not _told(outcome, number=outcome.failure == _NULL, row=bytes(outcome.row).startswith(b"{")):
            return False
    return True


def read_line(line: bytes) -> Record:
    """The record of a line, checked as `check_line` does.

    Raises:
        ValueError: it is no record that this program reads; the message says what is wrong with it.
    """
    found = _quickly(line)
    return msgspec.convert(found[1], Record) if found else _slowly(line)[0]


def read_as_written(line: bytes) -> Record | None:
    """The record of a line that is, byte for byte, what this program writes; None where the slow way has to say."""
    found = _quickly(line)
    return msgspec.convert(found[1], Record) if found and canonical(found[1]) == line else None


def _quickly(line: bytes) -> tuple[Envelope, dict[str, Any]] | None:
    """The record and its JSON; None where it has to be read by the schema, which accepts it or says what is wrong."""
    if len(line) <= MAX_LINE_BYTES:
        try:
            value = _READ.decode(line)
            # Written again it has to be the same bytes: nothing stands twice, and every reader reads the same.
            if is_canonical(value, line) and id_holds(line, value["id"]):
                found: Any = msgspec.convert(value, _record())
                if _rules_hold(found):
                    return typing.cast("Envelope", found), value
        except (*REFUSALS, LookupError, TypeError):
            pass
    return None


def _slowly(line: bytes) -> tuple[Record, Mapping[str, Any]]:
    """By the schema: older versions, lines that are spelled otherwise, and the words for what is wrong."""
    try:
        data = loads(line, max_bytes=MAX_LINE_BYTES)
        return from_json(data), data
    except (JsonError, CodecError, VersionError) as error:
        raise ValueError(str(error)) from error


class ReadBySchema:
    """A record that was read by the schema, as an envelope: its line may be spelled otherwise than ours."""

    def __init__(self, record: Record, data: Mapping[str, Any]) -> None:
        self.id, self.machine, self.matrix, self.session = record.id, record.machine, record.matrix, record.session
        self.started_utc, self.simulated, self.run = record.started_utc, record.simulated, record.run
        self.schema: str = data["schema"]
        self.version: int = data["version"]
        self.session_sha256 = record.session_sha256


def _usual(value: object) -> bool:
    """Whether it is no deeper than records usually are: a fraction of the time that `shallow` takes to say so."""
    try:
        msgspec.convert({"value": value}, _usual_json())
    except msgspec.ValidationError:
        return False
    return True


@cache
def _usual_json() -> type:
    # A structure: of these alone msgspec keeps what it has made of a type.
    return msgspec.defstruct("UsualJson", [("value", _nested(_USUAL_DEPTH))], gc=False)


def _nested(depth: int) -> Any:
    """The type of JSON of at most so many levels. It doubles in size with each."""
    plain: Any = str | int | float | bool | None
    if not depth:
        return plain
    inner = _nested(depth - 1)
    return plain | types.GenericAlias(list, (inner,)) | types.GenericAlias(dict, (str, inner))


def _patterns_hold(record: Any) -> bool:
    shared, own = _rules()
    for name, matches in own:
        if not matches(getattr(record, name)):
            return False
    return bool(shared(record))


@cache
def _rules() -> tuple[Callable[[Any], bool], tuple[tuple[str, Callable[[str], object]], ...]]:
    """The patterns of the schema for the fields of a record itself: of those that many share, and of the others."""
    schema = load_schema(SCHEMA_FILE)
    found: dict[str, Callable[[str], object]] = {}
    for name, rule in schema["properties"].items():
        reference = rule.get("$ref", "").rpartition("/")[2]
        pattern = rule.get("pattern") or schema["$defs"].get(reference, {}).get("pattern")
        if pattern:
            found[name] = re.compile(pattern).search
    shared = [name for name in found if name not in _ALWAYS_OTHERS]
    values = attrgetter(*shared)

    @lru_cache(_VALUES_KEPT)
    def match(these: tuple[str, ...]) -> bool:
        return all(found[name](value) for name, value in zip(shared, these, strict=True))

    return lambda record: match(values(record)), tuple((name, found[name]) for name in _ALWAYS_OTHERS)


def _rules_hold(record: Any) -> bool:
    """What annotations cannot say; whoever breaks one of these is read again by the schema, which has the words."""
    opened = [record.container, record.gate, [outcome.row for outcome in record.outcomes]]
    return (
        _plain_rules_hold(record)
        and bool(record.run.cells)
        and all(_told(o, number=o.failure is None, row=isinstance(o.row, dict)) for o in record.outcomes)
        and (_usual(opened) or shallow(opened, MAX_DEPTH))
    )


def _plain_rules_hold(record: Any) -> bool:
    """Of the fields that are plain values, here and in its run and outcomes."""
    run = record.run
    return (
        record.schema == SCHEMA
        and record.version == VERSION
        and _patterns_hold(record)
        and 0 <= run.round < MOST
        and 0 <= run.order < MOST
        and 0 <= run.repeat < MOST
        and 0 < run.attempt <= MOST
        and bool(record.outcomes and record.protocol and run.key)
        and all(outcome.cell for outcome in record.outcomes)
        and 0 <= (record.load_before or 0) <= 1
        and -LARGEST <= (record.exit_code or 0) < LARGEST
        and record.kill_stage in KILL_STAGES
        and len(record.diagnosis) <= MAX_DIAGNOSIS
        and 0 <= record.duration_ns < LARGEST
    )


def _told(outcome: Any, *, number: bool, row: bool) -> bool:
    """Whether an outcome has samples and a row, or a failure and no samples."""
    return bool(outcome.samples_ns and row) if number else not outcome.samples_ns


@cache
def _record() -> type:
    schema = load_schema(SCHEMA_FILE)
    return structure_of(Record, schema, schema, (("schema", str), ("version", int)))
