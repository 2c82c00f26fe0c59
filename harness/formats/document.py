"""Plain data from a file, with the line and column of everything in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import Problem

KeyPath = tuple[str | int, ...]
Place = tuple[int, int]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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
