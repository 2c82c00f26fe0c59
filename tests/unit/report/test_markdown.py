import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from harness.report.writers.markdown import escape, write
from harness.values.block import Block, Code, Heading, Note, Paragraph, Table

HOSTILE = [
    "a|b",
    "back\\slash\\|",
    "[x](javascript:alert(1))",
    "![x](https://example.invalid/x.png)",
    "<script>alert(1)</script>",
    "<!-- comment",
    "&lt;b&gt; &amp; &#60;",
    "`code` ``",
    "**bold** __bold__ *em* _em_ ~~gone~~",
    "line\nfeed\r\nand\ttab",
    "right\u202eto\u202cleft \u2066x\u2069",
    "https://example.invalid www.example.invalid mail@example.invalid",
    "# heading",
    "- list",
    "+ list",
    "1. list",
    "1) list",
    "> quote",
    "---",
    "===",
    "| a | b |\n|---|---|",
    "$x^2$ $$y$$",
    "    indented code",
    "\x00\x07\x1b[31mred\x1b[0m",
    "[ref]: https://example.invalid",
    "<https://example.invalid>",
    "~~~",
    "```sh",
    ": definition",
    "[^1]",
]
texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=40),
    st.text(alphabet="\\`*_{}[]()<>#+-.!|~$&:@=\n\t 1aw/" + string.ascii_letters[:4], max_size=40),
)
PLAIN = {"heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline"}
INSIDE = {"text", "text_special", "softbreak"}


def parsed(markdown: str) -> list[Token]:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown)


def kinds(tokens: list[Token]) -> set[str]:
    return {token.type for token in tokens} | {c.type for token in tokens for c in token.children or ()}


def rows(tokens: list[Token]) -> list[list[str]]:
    table: list[list[str]] = []
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "tr_open":
            table.append([])
        elif token.type in {"th_open", "td_open"} and after is not None:
            table[-1].append("".join(c.content for c in after.children or ()))
    return table


def flat(text: str) -> str:
    """What of a text is to be seen: no control and direction characters, one space for each run of white space."""
    import unicodedata

    hidden = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
    kept = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text if c not in hidden)
    return " ".join(kept.split())


def seen(text: str) -> str:
    """What a reader sees: without the zero-width spaces that break addresses."""
    return " ".join(text.replace("\u200b", "").split())


@given(
    st.lists(st.lists(texts, min_size=3, max_size=3), min_size=1, max_size=4), st.lists(texts, min_size=3, max_size=3)
)
@example([HOSTILE[i : i + 3] for i in range(0, len(HOSTILE), 3)], ["a", "|", ""])
def test_a_table_keeps_its_columns_and_is_nothing_but_text(cells: list[list[str]], columns: list[str]) -> None:
    table = Table(columns=tuple(columns), rows=tuple(map(tuple, cells)), align=("left", "right", "left"))
    tokens = parsed(write([table]))
    assert kinds(tokens) <= INSIDE | PLAIN | {
        f"{name}_{end}" for name in ("table", "thead", "tbody", "tr", "th", "td") for end in ("open", "close")
    }
    found = rows(tokens)
    assert [len(row) for row in found] == [3] * (1 + len(cells))
    assert [[seen(text) for text in row] for row in found[1:]] == [
        [seen(flat(text.replace("\u200b", ""))) for text in row] for row in cells
    ]


@given(texts)
def test_a_paragraph_is_one_paragraph_of_what_was_said(text: str) -> None:
    tokens = parsed(write([Paragraph(text=text), Heading(level=2, text="end")]))
    inside = [token for token in tokens if token.type == "inline"][:-1]
    assert kinds(tokens) <= INSIDE | PLAIN
    assert len(inside) <= 1
    shown = "".join(c.content for c in inside[0].children or ()) if inside else ""
    assert seen(shown) == seen(flat(text.replace("\u200b", "")))


@given(texts, st.integers(1, 6))
def test_a_heading_is_one_heading(text: str, level: int) -> None:
    tokens = parsed(write([Heading(level=level, text=text)]))
    assert [token.tag for token in tokens if token.type == "heading_open"] == [f"h{level}"]
    assert kinds(tokens) <= INSIDE | PLAIN


@given(texts)
def test_a_note_is_a_quote_with_its_kind(text: str) -> None:
    tokens = parsed(write([Note(kind="warning", text=text)]))
    assert kinds(tokens) <= INSIDE | PLAIN | {"blockquote_open", "blockquote_close", "strong_open", "strong_close"}
    assert [c.content for t in tokens for c in t.children or () if c.type == "text"][1] == "Warning:"


@given(st.text(alphabet="`~ab\n", max_size=40), st.sampled_from(["", "sh", "sh\n<b>", "`"]))
def test_code_ends_where_it_ends(text: str, language: str) -> None:
    tokens = parsed(write([Code(text=text, language=language), Paragraph(text="after")]))
    fences = [token for token in tokens if token.type == "fence"]
    assert len(fences) == 1
    assert fences[0].content.rstrip("\n") == text.rstrip("\n")
    assert tokens[-2].content == "after"


@given(st.lists(texts.map(lambda text: Paragraph(text=text)) | texts.map(lambda text: Code(text=text)), max_size=6))
def test_a_report_ends_in_one_line_feed_and_has_no_control_characters(blocks: list[Block]) -> None:
    text = write(blocks)
    assert text.endswith("\n")
    assert not text.endswith("\n\n") or not blocks
    assert not set(text) & (set(map(chr, range(32))) - {"\n"})


def test_a_table_without_rows_is_still_a_table() -> None:
    tokens = parsed(write([Table(columns=("a", "b"), rows=(), align=("left", "right"))]))
    assert rows(tokens) == [["a", "b"]]


def test_numbers_stay_as_they_are_written() -> None:
    table = Table(columns=("x", "y", "z"), rows=(("1e5", "007", "0.10"),), align=("right",) * 3)
    assert rows(parsed(write([table])))[1] == ["1e5", "007", "0.10"]


def test_a_caption_stands_before_its_table() -> None:
    tokens = parsed(write([Table(columns=("a",), rows=(("b",),), caption="what | it is")]))
    assert tokens[1].children is not None
    assert "".join(c.content for c in tokens[1].children) == "what | it is"
    assert rows(tokens) == [["a"], ["b"]]


@pytest.mark.parametrize("text", ["q4_k_m", "171.3 (169.8 to 173.0)", "23.54 GiB", "a/b@d4096"])
def test_usual_text_is_not_changed_for_the_reader(text: str) -> None:
    tokens = parsed(escape(text))
    assert tokens[1].children is not None
    assert "".join(c.content for c in tokens[1].children) == text
