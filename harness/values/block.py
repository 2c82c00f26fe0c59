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


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What an axis shows, with its unit.

    Attributes:
        scale: `linear`, which begins at zero, `span`, which does not, `log` (decades) or `log2` (doublings).
    """

    title: str
    scale: str = "linear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value: `low` and `high` are the ends of its interval, None where it has none.

    Attributes:
        x: None in bars, which stand under their label.
        shown: the value as written beside its bar, with as many digits as it deserves.
        group: of bars: what they may be compared within.
    """

    y: float
    x: float | None = None
    low: float | None = None
    high: float | None = None
    label: str = ""
    group: str = ""
    shown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points that belong together.

    Attributes:
        line: whether they are joined.
        colour: number of its colour, the same in all charts of a report; None takes the next.
    """

    name: str
    points: tuple[Point, ...]
    line: bool = False
    colour: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A picture of values that also stand in a table.

    Attributes:
        name: of its file, without an ending: lower-case letters, digits and hyphens.
        kind: `bars`, horizontal and from zero, or `xy`.
        title: what it shows. summary: the same in words, for those who do not see it.
    """

    name: str
    kind: str
    title: str
    summary: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]


Block = Heading | Paragraph | Note | Code | Table | Chart
