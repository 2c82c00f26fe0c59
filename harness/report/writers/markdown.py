"""Blocks to Markdown (GitHub's dialect). All text is data: what could be markup in it is escaped."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from tabulate import tabulate

from harness.values.block import Block, Chart, Code, Heading, Note, Paragraph, Table

_SPECIAL = re.compile(r"([\\`*\[\]<>|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|!(?=\[))")
_AT_LINE_START = re.compile(r"^(\d+)([.)])(?=\s|$)|^([-+=#:])")
_MENTION = re.compile(r"(?<![A-Za-z0-9])@")
_LINKS = re.compile(r"(?i)\b(https?|ftp|mailto|www)(?=[:.])")
_BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_ALIGN = {"left": "left", "right": "right", "center": "center"}


def write(blocks: Iterable[Block]) -> str:
    """The whole text, ending in one line feed."""
    return "\n\n".join(_block(block) for block in blocks).rstrip("\n") + "\n"


def visible(text: str) -> str:
    """What of a text is to be seen, on one line: no control characters, and none that turn the direction."""
    flat = "".join(" " if unicodedata.category(c) in {"Cc", "Cs"} else c for c in text if c not in _BIDI)
    return " ".join(flat.split())


def escape(text: str) -> str:
    """Text that shows as it is: nothing in it becomes a link, HTML, emphasis or a column."""
    escaped = _SPECIAL.sub(r"\\\1", visible(text).replace("&", "&amp;"))
    return _MENTION.sub("&#64;", _LINKS.sub(lambda match: f"{match[1][0]}&#8203;{match[1][1:]}", escaped))


def _line(text: str) -> str:
    """Escaped text that is a line of its own, where a list, a heading or a rule could begin."""
    return _AT_LINE_START.sub(lambda m: f"{m[1]}\\{m[2]}" if m[1] else f"\\{m[3]}", escape(text))


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * min(6, max(1, block.level))} {escape(block.text)}"
        case Paragraph():
            return _line(block.text)
        case Note():
            return f"> **{block.kind.capitalize()}:** {escape(block.text)}"
        case Code():
            return _code(block)
        case Table():
            return _table(block)
        case Chart():
            return f"![{escape(block.title)}]({chart_path(block)})"


def chart_path(chart: Chart) -> str:
    """Where a chart lies beside the report."""
    return f"charts/{chart.name}.svg"


def _code(block: Code) -> str:
    # A fence that is longer than any run of backticks within.
    longest = max((len(run) for run in re.findall(r"`+", block.text)), default=0)
    fence = "`" * max(3, longest + 1)
    language = block.language if re.fullmatch(r"[a-z0-9-]*", block.language) else ""
    text = "".join(c for c in block.text if c == "\n" or (unicodedata.category(c) != "Cc" and c not in _BIDI))
    return f"{fence}{language}\n{text}\n{fence}"


def _table(block: Table) -> str:
    align = [_ALIGN.get(side, "left") for side in block.align] or ["left"] * len(block.columns)
    text = tabulate(
        [[escape(cell) for cell in row] for row in block.rows],
        headers=[escape(column) for column in block.columns],
        tablefmt="pipe",
        colalign=align if block.rows else None,
        disable_numparse=True,
    )
    return f"{_line(block.caption)}\n\n{text}" if block.caption else text
