"""Neutral blocks: what sections of a report return and writers turn into text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading; level 1 is the report's title."""

    level: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """Running text. Writers escape it: it is data, never markup."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A remark that the reader must not miss. `kind` is `note` or `warning`."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Text to be copied exactly, such as a command."""

    text: str
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: `align` holds `left` or `right` for each column; cells are text, ready but not escaped."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    align: tuple[str, ...] = ()
    caption: str = ""


Block = Heading | Paragraph | Note | Code | Table
