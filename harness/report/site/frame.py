"""What the pages of a site share: the frame with its policy, links between pages, tables whose cells may be links."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from urllib.parse import quote

from harness.report.writers.html import escape

_HERE = Path(__file__).parent
_STYLES = (_HERE.parent / "page" / "page.css", _HERE / "site.css")

_TEMPLATE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; ${scripts}\
style-src 'sha256-$style_hash'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>$title</title>
<style>$style</style>
</head>
<body>
<a class="skip" href="#main">To the content</a>
$navigation
<main id="main" tabindex="-1">
<h1>$heading</h1>
$content
</main>
<footer><p>Made from the records by llama-bench-harness. No page of this site asks anybody for anything. \
<code>./bench verify</code> with its address or folder checks every file, and every number against the samples.</p>\
</footer>
$script
</body>
</html>
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link within the site. `path` is below the root of the site, and relative to it."""

    text: str
    path: str


Cell = str | Link | tuple["str | Link", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A page before it is text.

    Attributes:
        path: of the page, below the root of the site; says how many folders up the root is.
        title: of the window. heading: of the page.
        parents: pages above it, for the way back.
    """

    path: str
    title: str
    heading: str
    parents: tuple[Link, ...] = ()

    def write(self, content: str, *, script: str = "") -> str:
        """The whole page.

        Args:
            content: markup, made of escaped text only.
        """
        style = "".join(path.read_text(encoding="utf-8") for path in _STYLES)
        steps = "".join(f"<li>{self.link(parent)}</li>" for parent in self.parents)
        steps += f'<li aria-current="page">{escape(self.heading)}</li>' if self.parents else ""
        return _TEMPLATE.substitute(
            title=escape(self.title),
            heading=escape(self.heading),
            navigation=f'<nav aria-label="Way back"><ol>{steps}</ol></nav>' if steps else "",
            content=content,
            style=style,
            style_hash=_hash(style),
            scripts=f"script-src 'sha256-{_hash(script)}'; " if script else "",
            script=f"<script>{script}</script>" if script else "",
        )

    def link(self, link: Link) -> str:
        """A link as markup, relative to this page."""
        up = "../" * self.path.count("/")
        return f'<a href="{escape(up + quote(link.path))}">{escape(link.text)}</a>'

    def cell(self, cell: Cell) -> str:
        """What stands in a cell of a table, as markup."""
        if isinstance(cell, tuple):
            return ", ".join(self.cell(part) for part in cell)
        return self.link(cell) if isinstance(cell, Link) else escape(cell)

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, right: Sequence[int] = (), label: str = "Table"
    ) -> str:
        """A table.

        Args:
            right: numbers of the columns that stand at the right. label: its name for screen readers.
        """
        side = ["" if number not in right else ' class="right"' for number in range(len(columns))]
        head = "".join(f'<th scope="col"{s}>{escape(c)}</th>' for s, c in zip(side, columns, strict=True))
        body = "\n".join(
            "<tr>" + "".join(f"<td{s}>{self.cell(c)}</td>" for s, c in zip(side, row, strict=True)) + "</tr>"
            for row in rows
        )
        return (
            f'<div class="wide" tabindex="0" role="group" aria-label="{escape(label)}"><table>'
            f"<thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>"
        )


def heading(text: str, *, level: int = 2) -> str:
    """A heading as markup."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph as markup; `kind` is `note`, `warning` or `small`."""
    return f"<p{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{escape(text)}</p>"


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
