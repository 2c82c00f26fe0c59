"""The page as one file: markup, style, script and data. Its policy forbids it to ask anybody for anything."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from harness.report.page.columns import packed, unpacked
from harness.report.writers import html
from harness.values.block import Block, Chart, Heading, Note, Paragraph

PAGE = "index.html"
_HERE = Path(__file__).parent
_PAYLOAD = re.compile(r'(<script type="text/plain" id="payload">)([^<]*)(</script>)')

_TEMPLATE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'sha256-$script_hash'; \
style-src 'sha256-$style_hash'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>$title</title>
<style>$style</style>
</head>
<body>
<a class="skip" href="#results">To the results</a>
<header>
$lead
</header>
<main>
<section id="results" aria-labelledby="results-title">
<h2 id="results-title">All results</h2>
<p>Each number opens its samples, its record and its command. Choose two rows for a verdict on them.</p>
<div id="filters" role="group" aria-label="Filters">
<label>Search<input type="search" id="search" autocomplete="off"></label></div>
<p id="count" class="small" role="status" aria-live="polite">Reading the results ...</p>
<div id="view" tabindex="0" role="region" aria-labelledby="results-title">
<table id="table"><thead><tr id="head"><th scope="col">Compare</th></tr></thead><tbody id="rows"></tbody></table>
</div>
<div id="verdict" role="status" aria-live="polite"></div>
<noscript><p class="warning">Without JavaScript this table stays empty; report.md has the results, and invoke export \
writes all of them.</p></noscript>
</section>
$rest
</main>
<footer><p>Made from the records beside it by llama-bench-harness. This page asks nobody for \
anything; it can be kept and passed on as one file.</p></footer>
<dialog id="details" aria-labelledby="details-title"></dialog>
<script type="text/plain" id="payload">$payload</script>
<script>$script</script>
</body>
</html>
""")


def write(blocks: Sequence[Block], content: Mapping[str, Any], *, picture: Callable[[Chart], str]) -> str:
    """The whole page.

    Args:
        blocks: those of the report; what stands before its second part comes before the table of all results.
        content: all results, as columns.
        picture: draws a chart as SVG.
    """
    lead, rest = _parts(blocks)
    script = "".join((_HERE / name).read_text(encoding="utf-8") for name in ("statistics.js", "page.js"))
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    title = next((block.text for block in blocks if isinstance(block, Heading)), "Results")
    return _TEMPLATE.substitute(
        title=html.escape(title),
        lead=html.write(lead, picture=picture),
        rest=html.write(rest, picture=picture),
        script=script,
        style=style,
        script_hash=_hash(script),
        style_hash=_hash(style),
        payload=packed(content),
    )


def comparable(page: str) -> str:
    """The page with its data unpacked: other versions of zlib pack the same data into other bytes.

    Raises:
        ValueError: its data cannot be unpacked.
    """
    return _PAYLOAD.sub(lambda match: match[1] + unpacked(match[2]) + match[3], page)


def _parts(blocks: Sequence[Block]) -> tuple[list[Block], list[Block]]:
    """Title, notes and the answer; then everything else."""
    sections: list[list[Block]] = [[]]
    for block in blocks:
        if isinstance(block, Heading) and block.level == 2:  # noqa: PLR2004 - the level of sections
            sections.append([])
        sections[-1].append(block)
    first = [block for block in sections[0] if isinstance(block, Heading | Paragraph | Note)]
    machines = [block for block in sections[0] if block not in first]
    answer = next((s for s in sections[1:] if isinstance(s[0], Heading) and s[0].text == "In short"), [])
    rest = [block for section in sections[1:] if section is not answer for block in section]
    heading = [Heading(level=2, text="Machines")] if machines else []
    return [*first, *answer], [*rest, *heading, *machines]


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
