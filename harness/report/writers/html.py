"""Blocks to HTML, to stand within a page. All text is data: nothing in it becomes markup."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from html import escape as _escape

from harness.report.writers.markdown import visible
from harness.values.block import Block, Chart, Code, Heading, Note, Paragraph, Table

MOST_ROWS = 200
"""Of a table: the page's own table has all results, and `report.md` has all rows."""


def write(blocks: Iterable[Block], *, picture: Callable[[Chart], str]) -> str:
    """Markup for the blocks.

    Args:
        picture: draws a chart as SVG.
    """
    return "\n".join(_block(block, picture) for block in blocks)


def escape(text: str) -> str:
    """Text on one line, safe within elements and quoted attributes."""
    return _escape(visible(text), quote=True)


def _block(block: Block, picture: Callable[[Chart], str]) -> str:
    match block:
        case Heading():
            level = min(6, max(1, block.level))
            return f"<h{level}>{escape(block.text)}</h{level}>"
        case Paragraph():
            return f"<p>{escape(block.text)}</p>"
        case Note():
            kind = escape(block.kind)
            return f'<p class="{kind}"><strong>{kind.capitalize()}:</strong> {escape(block.text)}</p>'
        case Code():
            text = "\n".join(escape(line) for line in block.text.split("\n"))
            return f'<pre tabindex="0"><code>{text}</code></pre>'
        case Table():
            return _table(block)
        case Chart():
            # As an image its contents are no part of the page: no script in it could run.
            image = base64.b64encode(picture(block).encode()).decode()
            return f'<figure><img alt="{escape(block.summary)}" src="data:image/svg+xml;base64,{image}"></figure>'


def _table(block: Table) -> str:
    align = [f' class="{side}"' if side == "right" else "" for side in block.align] or [""] * len(block.columns)
    head = "".join(f'<th scope="col"{a}>{escape(c)}</th>' for a, c in zip(align, block.columns, strict=True))
    body = "\n".join(
        "<tr>" + "".join(f"<td{a}>{escape(c)}</td>" for a, c in zip(align, row, strict=True)) + "</tr>"
        for row in block.rows[:MOST_ROWS]
    )
    caption = f"<caption>{escape(block.caption)}</caption>" if block.caption else ""
    left = len(block.rows) - MOST_ROWS
    more = f"<p>{left} further rows are in report.md.</p>" if left > 0 else ""
    return (
        f'<div class="wide" tabindex="0" role="group" aria-label="Table">'
        f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>{more}"
    )
