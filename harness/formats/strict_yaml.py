"""YAML, read strictly: what two readers could understand differently is refused, with its place and what to write instead.

Only PyYAML's events are used (never its constructors), so nothing in a file can make objects, and depth and number of
nodes are bounded while reading. Numbers follow YAML 1.2; dates stay text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.errors import InputError, Problem, ProblemsError
from harness.formats.strict_yaml_words import ambiguity, syntax_message

KeyPath = tuple[str | int, ...]
Place = tuple[int, int]

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 20
MAX_PROBLEMS = 100

# Tabs, control characters and the line ends that only YAML 1.1 knows: readers and editors count lines differently there.
_FORBIDDEN = re.compile("[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_INTEGER_DIGITS = 18
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# libyaml is some fifteen times faster; PyYAML has it in all wheels but not in every build of its own.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def render_path(path: KeyPath) -> str:
    """A path as JSONPath: `$.cells[0].backend`, `$.models['gemma3-270m']`."""
    text = "$"
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}"
        else:
            text += f"[{step[:80]!r}]"
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file's plain data, with the place of everything in it.

    Attributes:
        file: the file as the user named it.
        data: dict, list, str, int, float, bool and None only.
        places: 1-based line and column of each value. key_places: of each key, by the path of its value.
        sources: the text of unquoted values that are not text, such as `1.10`.
    """

    file: str
    data: Any
    places: Mapping[KeyPath, Place] = field(default_factory=dict)
    key_places: Mapping[KeyPath, Place] = field(default_factory=dict)
    sources: Mapping[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> Place:
        """Where the value at `path` stands; where there is none, what would hold it. (0, 0) for an unknown file."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (0, 0))

    def key_place(self, path: KeyPath) -> Place:
        """Where the key of the value at `path` stands; the value's own place in a list."""
        return self.key_places.get(path) or self.place(path)

    def problem(self, path: KeyPath, message: str, *, at_key: bool = False) -> Problem:
        """A mistake in the value at `path`, or in its key."""
        line, column = self.key_place(path) if at_key else self.place(path)
        return Problem(file=self.file, line=line, column=column, path=render_path(path), message=message)


def read_bytes(path: Path, *, shown: str) -> bytes:
    """The bytes of a small text file. Never more than `MAX_BYTES` and one are read.

    Raises:
        InputError: it does not exist, is no file, cannot be read, or is too large.
    """
    try:
        if not path.exists():
            raise InputError("there is no such file", where=shown, remedy="Check the name.")
        if not path.is_file():
            raise InputError("is not a file", where=shown, remedy="Name a YAML file.")
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be read: {reason}", where=shown, remedy="Check the name and its permissions.") from None
    if len(content) > MAX_BYTES:
        raise InputError("is larger than 1 MiB", where=shown, remedy="Split it into several files.")
    return content


def load(text: str | bytes, *, file: str) -> Document:
    """Read one YAML document.

    Raises:
        ProblemsError: anything in it is refused; all that could be found is told.
    """
    document, problems = parse(text, file=file)
    if document is None or problems:
        raise ProblemsError(problems)
    return document


def parse(text: str | bytes, *, file: str) -> tuple[Document | None, list[Problem]]:
    """Read one YAML document as far as it goes, so that a caller can tell mistakes of other kinds as well.

    Returns:
        The document, None where it cannot be read to its end; and what is refused in it, at most `MAX_PROBLEMS`.
    """
    decoded, problems = _decode(text, file)
    if problems:
        return None, problems
    builder = _Builder(file)
    try:
        for event in yaml.parse(decoded, Loader=_LOADER):
            builder.take(event)
    except _Stop:
        return None, builder.problems
    except yaml.MarkedYAMLError as error:
        line, column, message = syntax_message(error, decoded)
        # A `*` at the start of a text is told as an alias already; what follows from it would only confuse.
        if not any(problem.line == line for problem in builder.problems):
            builder.problems.append(Problem(file=file, line=line, column=column, message=message))
        return None, builder.problems
    except yaml.YAMLError as error:
        first_line = str(error).strip().splitlines()[0]
        return None, [*builder.problems, Problem(file=file, message=f"not valid YAML: {first_line}")]
    document = Document(
        file=file,
        data=builder.root,
        places=builder.places,
        key_places=builder.key_places,
        sources=builder.sources,
    )
    return document, builder.problems


def _decode(text: str | bytes, file: str) -> tuple[str, list[Problem]]:
    if len(text) > MAX_BYTES:
        return "", [Problem(file=file, message="larger than 1 MiB; split it into several files")]
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            before = text[: error.start].decode("utf-8")
            line, column = _place_of(before.replace("\r\n", "\n"), len(before))
            message = f"the byte 0x{text[error.start]:02x} is not UTF-8; save the file as UTF-8"
            return "", [Problem(file=file, line=line, column=column, message=message)]
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return text, list(_forbidden_characters(text, file))


def _forbidden_characters(text: str, file: str) -> Iterator[Problem]:
    told: set[int] = set()
    line, line_start, scanned = 1, 0, 0
    for match in _FORBIDDEN.finditer(text):
        line += text.count("\n", scanned, match.start())
        line_start = max(line_start, text.rfind("\n", scanned, match.start()) + 1)
        scanned = match.start()
        if line in told:
            continue
        told.add(line)
        character = match.group()
        message = "a tab; use spaces" if character == "\t" else f"the character U+{ord(character):04X}; remove it"
        yield Problem(file=file, line=line, column=match.start() - line_start + 1, message=message)
        if len(told) == MAX_PROBLEMS:
            return


def _place_of(text: str, offset: int) -> Place:
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


class _Stop(Exception):  # noqa: N818 - no error of its own: the problems say what is wrong
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


class _Builder:
    """Turns events into plain data. Holds its own stack, so that depth never costs Python's."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Any = None
        self.places: dict[KeyPath, Place] = {}
        self.key_places: dict[KeyPath, Place] = {}
        self.sources: dict[KeyPath, str] = {}
        self.problems: list[Problem] = []
        self._open: list[_Open] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
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
            self._refuse(event, "a key must be text, not a list or a mapping; text with '{' or '[' needs quotes", stop=True)
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
        elif message := ambiguity(key):
            self._refuse(event, message, path)
        elif not isinstance(_resolve(key), str):
            self._refuse(event, f'a key must be text: quote it: "{key}"', path)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        text = str(event.value)
        place = _place(event)
        if not event.implicit[0]:
            self._scalar_value(text, place)
            return
        # Told before anything else: `a: b`, and a list below it by mistake, is one text for YAML.
        spans_lines = event.end_mark is not None and event.end_mark.line + 1 != place[0] and bool(text)
        value = _resolve(text)
        path = self._scalar_value(value, place)
        if not isinstance(value, str):
            self.sources.setdefault(path, text)
        message = ambiguity(text)
        if spans_lines and " " in text:
            message = "text without quotes goes on in the next line; quote it, begin it with '|', or check the indentation"
        if message is None and isinstance(value, (int, float)) and not isinstance(value, bool):
            too_large = math.isinf(value) or (isinstance(value, int) and len(text) > _INTEGER_DIGITS)
            message = f'the number {_short(text)} is too large; quote it if it is text: "{_short(text)}"' if too_large else None
        if message:
            self._refuse(event, message, path)

    def _scalar_value(self, value: Any, place: Place) -> KeyPath:
        if self._open and self._open[-1].expects_key:  # an alias as a key: reading on would take values for keys
            raise _Stop
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
        if stop or len(self.problems) >= MAX_PROBLEMS:
            raise _Stop


def _place(event: yaml.Event) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _resolve(text: str) -> str | int | float | bool | None:
    """The value of text without quotes, by YAML 1.2's core rules; digits without end stay text and are refused later."""
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
