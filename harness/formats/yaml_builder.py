"""From PyYAML's events to plain data with places, refusing what two readers could understand differently."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import yaml

from harness.errors import Problem
from harness.formats.document import KeyPath, Place, render_path
from harness.formats.yaml_words import ambiguity

MAX_DEPTH = 20
MAX_PROBLEMS = 100

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_INTEGER_DIGITS = 18


class StopReading(Exception):  # noqa: N818 - no error of its own: the problems say what is wrong
    """Reading on makes no sense."""


@dataclass(slots=True, kw_only=True)
class _Open:
    """A list or mapping that is not closed yet."""

    value: list[Any] | dict[str, Any]
    path: KeyPath
    place: Place
    key: str | None = None
    discard: bool = False

    @property
    def expects_key(self) -> bool:
        return isinstance(self.value, dict) and self.key is None


class Builder:
    """Turns events into plain data. Holds its own stack, so that depth never costs Python's."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Any = None
        self.places: dict[KeyPath, Place] = {}
        self.key_places: dict[KeyPath, Place] = {}
        self.sources: dict[KeyPath, str] = {}
        self.problems: list[Problem] = []
        self.told_lines: set[int] = set()
        self._open: list[_Open] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Take the next event.

        Raises:
            StopReading: what follows could not be understood any more; `problems` says why.
        """
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._refuse(event, "a second document starts here; keep one document in a file", stop=True)
        elif isinstance(event, yaml.AliasEvent):
            self._refuse(event, "'*' begins an alias, which is not accepted: quote text that begins with '*'")
            self._scalar_value(None, _place(event))
        elif isinstance(event, yaml.NodeEvent):
            self._node(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()

    def _node(self, event: yaml.NodeEvent) -> None:
        if event.anchor is not None:
            self._refuse(event, "'&' begins an anchor, which is not accepted: write the value out, or quote the text")
        if getattr(event, "tag", None) is not None:
            self._refuse(event, "'!' begins a tag, which is not accepted: remove it, or quote the text")
        if isinstance(event, yaml.ScalarEvent):
            if self._open and self._open[-1].expects_key:
                self._key(event)
            else:
                self._scalar(event)
        else:
            self._collection(event)

    def _collection(self, event: yaml.NodeEvent) -> None:
        if self._open and self._open[-1].expects_key:
            self._refuse(
                event, "a key must be text, not a list or a mapping; text with '{' or '[' needs quotes", stop=True
            )
        if len(self._open) == MAX_DEPTH:
            self._refuse(event, f"nested deeper than {MAX_DEPTH} levels", stop=True)
        value: list[Any] | dict[str, Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        path = self._attach(value, _place(event))
        self._open.append(_Open(value=value, path=path, place=_place(event)))

    def _key(self, event: yaml.ScalarEvent) -> None:
        frame = self._open[-1]
        assert isinstance(frame.value, dict)  # noqa: S101 - told to mypy; `expects_key` says so
        key = str(event.value)
        path = (*frame.path, key)
        frame.key, frame.discard = key, key in frame.value
        if frame.discard:
            line, column = self.key_places[path]
            self._refuse(event, f"the key {key!r} stands twice, first at {line}:{column}; remove one", path)
            return
        self.key_places[path] = _place(event)
        if not event.implicit[0]:
            return
        if key == "<<":
            self._refuse(event, "'<<' merges mappings, which is not accepted: write the keys out", path)
        elif not key:
            self._refuse(event, "a key is missing before ':'", path)
        elif ambiguity(key) or not isinstance(_resolve(key), str):
            self._refuse(event, f'this key is not text for all readers: quote it: "{_short(key)}"', path)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        text = str(event.value)
        place = _place(event)
        if not event.implicit[0]:
            self._scalar_value(text, place)
            return
        value = _resolve(text)
        path = self._scalar_value(value, place)
        if not isinstance(value, str):
            self.sources.setdefault(path, text)
        message = ambiguity(text)
        # `a: b` with a list below it by mistake is one text for YAML.
        if text and _last_line(event) != place[0]:
            message = "text without quotes goes on in the next line: is a ':' missing, or the indentation wrong?"
            self.told_lines.add(_last_line(event))
        if message is None and isinstance(value, (int, float)) and not isinstance(value, bool):
            too_large = math.isinf(value) or (isinstance(value, int) and len(text) > _INTEGER_DIGITS)
            message = (
                f'the number {_short(text)} is too large; quote it if it is text: "{_short(text)}"'
                if too_large
                else None
            )
        if message:
            self._refuse(event, message, path)

    def _scalar_value(self, value: Any, place: Place) -> KeyPath:
        if self._open and self._open[-1].expects_key:  # an alias as a key: reading on would take values for keys
            raise StopReading
        return self._attach(value, place)

    def _attach(self, value: Any, place: Place) -> KeyPath:
        path: KeyPath = ()
        if not self._open:
            self.root = value
        else:
            frame = self._open[-1]
            if isinstance(frame.value, list):
                path = (*frame.path, len(frame.value))
                frame.value.append(value)
            else:
                assert frame.key is not None  # noqa: S101 - told to mypy; a value follows its key
                path = (*frame.path, frame.key)
                if not frame.discard:
                    frame.value[frame.key] = value
                frame.key = None
        self.places.setdefault(path, place)
        return path

    def _refuse(self, event: yaml.Event, message: str, path: KeyPath | None = None, *, stop: bool = False) -> None:
        line, column = _place(event)
        shown = render_path(path) if path else ""
        self.problems.append(Problem(file=self.file, line=line, column=column, path=shown, message=message))
        self.told_lines.add(line)
        if stop or len(self.problems) >= MAX_PROBLEMS:
            raise StopReading


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


def _last_line(event: yaml.Event) -> int:
    mark = event.end_mark
    return mark.line + 1 if mark else 0


def _resolve(text: str) -> str | int | float | bool | None:
    """The value of text without quotes, by YAML 1.2's core rules; infinity for numbers that are refused later."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= _INTEGER_DIGITS else math.inf
    return float(text) if _FLOAT.fullmatch(text) else text


def _short(text: str) -> str:
    return text if len(text) <= 48 else f"{text[:45]}..."  # noqa: PLR2004 - a line of a terminal
