"""Names and words of others in a whole report: whatever they are, they add no column, no link and no HTML to it."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from harness.engine.replay import scripted
from harness.errors import CellsFailedError
from harness.flows import measure as measure_flow
from harness.flows import prepare as prepare_flow
from harness.values.facts import Device

HOSTILE = [
    "a|b||c",
    "back\\slash\\|`tick`",
    "[x](javascript:alert(1)) ![i](https://example.invalid/i.png)",
    "<script>alert(1)</script><img src=x onerror=y>",
    "https://example.invalid www.example.invalid mail@example.invalid",
    "two\n\n# lines\n| a | b |\n|---|---|\n",
    "right\u202eto\u2066left\u200b\x1b[31m\x00",
    "=cmd() +1 -1 @x",
    "--- *** ```\n~~~",
    "&lt;b&gt; &amp; $x^2$ [^1] [ref]: y",
]
MATRIX = """
title: {words}
notes: {words}
preset: quick
repetitions: 2
cells:
  - {{backend: cpu, model: gemma3-270m-q4_k_m, n_threads: 2, tests: [pp8, tg4], label: {words}}}
"""


def quoted(text: str) -> str:
    """As YAML takes it: what is forbidden there is left out."""
    return json.dumps("".join(c for c in text if c == "\n" or c.isprintable() or c == "\u202e"))


def parsed(markdown: str) -> list[Token]:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown)


def widths(tokens: list[Token]) -> list[list[int]]:
    """Of each table: the number of cells of each row."""
    tables: list[list[int]] = []
    for token in tokens:
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append(0)
        elif token.type in {"th_open", "td_open"}:
            tables[-1][-1] += 1
    return tables


@pytest.mark.parametrize("words", HOSTILE)
@pytest.mark.parametrize("fails", [False, True])
def test_the_report_has_the_same_shape_whatever_the_names(
    harness: Any, monkeypatch: pytest.MonkeyPatch, words: str, fails: bool
) -> None:
    device = Device(vendor="cpu", kind="cpu", name=words)
    image = harness.image
    harness.image = replace(image, build_commit="0c1e57098", created=words, architecture=words)
    have = harness.prepare_model
    monkeypatch.setattr(
        prepare_flow, "prepare_model", lambda s, **how: replace(have(s, **how), title=words, licence=words)
    )
    shapes = []
    for text, who in ((words, device), ("plain", replace(device, name="plain"))):
        monkeypatch.setattr(measure_flow, "discover_devices", lambda who=who: (who,))
        name = f"m{len(shapes)}"
        label = "".join(c for c in text if c.isalnum())[:8] or "x"
        head, _, cells = MATRIX.format(words=quoted(text)).partition("cells:")
        cells = cells.replace(f"label: {quoted(text)}", f"label: {label}")
        file = harness.matrix(f"{head}cells:{cells}", name=name)
        if fails:
            ended = scripted("", f"error: {text} failed to load model\n{text}", exit_code=1)
            harness.bench.ends.extend([ended] * 2)
            with pytest.raises(CellsFailedError):
                harness.measure(file)
            harness.bench.ends.clear()
        else:
            harness.measure(file)
        report = (harness.workspace.reports / name / "report.md").read_text()
        tokens = parsed(report)
        kinds = [token.type for token in tokens]
        inside = {child.type for token in tokens for child in token.children or ()}
        assert not {"link_open", "image", "html_inline", "code_inline", "em_open", "s_open"} & inside
        assert "html_block" not in kinds
        assert not set(report) & set("\x00\x1b\u202e\u2066")
        tables = widths(tokens)
        assert tables
        # The parser drops cells beyond the header's; the text must not hold any.
        bars = [len(re.split(r"(?<!\\)\|", line)) for line in report.splitlines() if line.startswith("|")]
        assert bars == [2 + cells for table in tables for cells in (table[0], *table)]
        assert all(len(set(table)) == 1 for table in tables)
        shapes.append((tables, kinds))
    assert shapes[0] == shapes[1]
