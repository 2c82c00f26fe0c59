# ruff: noqa: E501 - a message stands on one line, as users see it
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InputError, ProblemsError
from harness.formats import strict_yaml
from harness.formats.document import render_path
from harness.formats.strict_yaml import load, parse, read_bytes


@pytest.fixture(params=["libyaml", "pure"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    # PyYAML has libyaml in all wheels, but not in every build of its own: messages and places must not depend on it.
    if request.param == "libyaml" and not hasattr(yaml, "CSafeLoader"):
        pytest.skip("this PyYAML has no libyaml")
    monkeypatch.setattr(strict_yaml, "_LOADER", yaml.CSafeLoader if request.param == "libyaml" else yaml.SafeLoader)


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        load(text, file="m.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_plain_data_and_places() -> None:
    document = load("a: 1\nb:\n  - x\n  - {c: 2.5, 'd e': null}\n", file="m.yaml")
    assert document.data == {"a": 1, "b": ["x", {"c": 2.5, "d e": None}]}
    assert document.place(("a",)) == (1, 4)
    assert document.key_place(("b",)) == (2, 1)
    assert document.place(("b", 1, "c")) == (4, 9)
    assert document.key_place(("b", 1, "d e")) == (4, 14)
    assert document.key_place(("b", 1)) == (4, 5)
    assert document.place(("b", 7, "nowhere")) == (3, 3), "what would hold it"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-12", -12),
        ("+5", 5),
        ("1.10", 1.1),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01 10:00:00", "2026-01-01 10:00:00"),
        ("'on'", "on"),
        ('"010"', "010"),
        ("nan", "nan"),
        ("a:b", "a:b"),
        ("=", "="),
        ("1.2.3", "1.2.3"),
        ("pp512+tg128", "pp512+tg128"),
        ("8GiB", "8GiB"),
    ],
)
def test_values_without_quotes(text: str, value: object) -> None:
    found = load(f"a: {text}\n", file="m").data["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: on", 'm.yaml:1:4: $.a: on is a boolean for some readers and text for others: write true, or quote it: "on"'),
        ("a: [No]", 'm.yaml:1:5: $.a[0]: No is a boolean for some readers and text for others: write false, or quote it: "No"'),
        ("a: y", 'm.yaml:1:4: $.a: y is a boolean for some readers and text for others: write true, or quote it: "y"'),
        ("a: 1:30", 'm.yaml:1:4: $.a: 1:30 is a number in base 60 for some readers: quote it: "1:30"'),
        ("a: 0000:01:00.0", 'm.yaml:1:4: $.a: 0000:01:00.0 is a number in base 60 for some readers: quote it: "0000:01:00.0"'),
        ("a: 010", 'm.yaml:1:4: $.a: 010 is an octal number for some readers; write it without the leading zero, or quote it: "010"'),
        ("a: 0x1F", 'm.yaml:1:4: $.a: 0x1F is a number for some readers; write it in decimal, or quote it: "0x1F"'),
        ("a: 1_000", "m.yaml:1:4: $.a: 1_000 is a number for some readers; write it without '_', or quote it: \"1_000\""),
        ("a: .nan", "m.yaml:1:4: $.a: .nan is no number to measure with; write a finite one, or quote it if it is text"),
        ("a: -.INF", "m.yaml:1:4: $.a: -.INF is no number to measure with; write a finite one, or quote it if it is text"),
        ("a: 1e999", 'm.yaml:1:4: $.a: the number 1e999 is too large; quote it if it is text: "1e999"'),
        ("a: 1\nb: 2\na: 3", "m.yaml:3:1: $.a: the key 'a' stands twice, first at 1:1; remove one"),
        ("x: [{a: 1, a: 2}]", "m.yaml:1:12: $.x[0].a: the key 'a' stands twice, first at 1:6; remove one"),
        ("on: 1", 'm.yaml:1:1: $.on: this key is not text for all readers: quote it: "on"'),
        ("1: x", "m.yaml:1:1: $['1']: this key is not text for all readers: quote it: \"1\""),
        ("<<: {a: 1}", "m.yaml:1:1: $['<<']: '<<' merges mappings, which is not accepted: write the keys out"),
        ("?\n: x", "m.yaml:1:2: $['']: a key is missing before ':'"),
        ("? [a]\n: b", "m.yaml:1:3: a key must be text, not a list or a mapping; text with '{' or '[' needs quotes"),
        ("a: &x 1", "m.yaml:1:4: '&' begins an anchor, which is not accepted: write the value out, or quote the text"),
        ("a: *x", "m.yaml:1:4: '*' begins an alias, which is not accepted: quote text that begins with '*'"),
        ("a: *RTX 4090*", "m.yaml:1:4: '*' begins an alias, which is not accepted: quote text that begins with '*'"),
        ("a: [*/pp512]", "m.yaml:1:5: '*' begins an alias, which is not accepted: quote text that begins with '*'"),
        ("*x : 1", "m.yaml:1:1: '*' begins an alias, which is not accepted: quote text that begins with '*'"),
        ("a: !!str x", "m.yaml:1:4: '!' begins a tag, which is not accepted: remove it, or quote the text"),
        ("a: !x!y z", "m.yaml:1:4: '!' begins a tag, which is not accepted: remove it, or quote the text"),
        ("a: !!python/object/apply:os.system [x]", "m.yaml:1:4: '!' begins a tag, which is not accepted: remove it, or quote the text"),
        ("a: 1\n---\nb: 2", "m.yaml:2:1: a second document starts here; keep one document in a file"),
        ("a: b\n  - c", "m.yaml:1:4: $.a: text without quotes goes on in the next line: is a ':' missing, or the indentation wrong?"),
        ("key\nother: 1", "m.yaml:1:1: text without quotes goes on in the next line: is a ':' missing, or the indentation wrong?"),
        ("a:\tb", "m.yaml:1:3: a tab; use spaces"),
        ("a: 1\n\tb: 2", "m.yaml:2:1: a tab; use spaces"),
        ("a: \x07", "m.yaml:1:4: the character U+0007; remove it"),
        ("a: x\u2028y", "m.yaml:1:5: the character U+2028; remove it"),
        ("a: b: c", "m.yaml:1:5: a ':' where none can be: quote text that holds ': ', and check the indentation"),
        ("a: 1\n b: 2", "m.yaml:1:4: $.a: text without quotes goes on in the next line: is a ':' missing, or the indentation wrong?"),
        ("a: @x", "m.yaml:1:4: a value cannot begin with '@': quote it"),
        ("a: %x", "m.yaml:1:4: a value cannot begin with '%': quote it"),
        ("b: 1\na: \"x\n", "m.yaml:2:4: the quote that begins here is not closed"),
        ("a: [1,\n2\n", "m.yaml:1:4: the list that begins here with '[' lacks a ',' or its ']'"),
        ("a: {x: 1", "m.yaml:1:4: the mapping that begins here with '{' lacks a ',' or its '}'"),
        ("- a\nb: 1", "m.yaml:2:1: a '-' is missing, or the indentation differs from that of the entries above"),
        ("a: 'it's'", "m.yaml:1:8: unexpected here: check the indentation, and quotes within quotes"),
        ("a: - b", "m.yaml:1:4: a '-' where no list can begin: put it on a line of its own"),
        ("a: }", "m.yaml:1:4: a value is missing here"),
        ("%YAML 3.0\n---\na: 1", "m.yaml:1:1: a '%YAML' line for another version: remove it"),
    ],
)  # fmt: skip
def test_refused(text: str, expected: str, request: pytest.FixtureRequest) -> None:
    if text.startswith("- a\n") and "pure" in request.node.name:
        expected = "m.yaml:2:1: unexpected here: check the indentation, and quotes within quotes"
    assert problems(text) == [expected]


def test_all_refusals_are_told_at_once() -> None:
    assert len(problems("a: on\nb: 010\nc: &x 1\na: 2\nd: *x\n")) == 5


def test_a_refused_file_can_be_looked_at_further() -> None:
    document, found = parse("a: on\nb: [1, 1:30]\n", file="m")
    assert document is not None
    assert document.data == {"a": "on", "b": [1, "1:30"]}
    assert len(found) == 2


def test_the_source_of_numbers_is_kept() -> None:
    assert load("a: 1.10\nb: '1.10'\n", file="m").sources == {("a",): "1.10"}


def test_empty_documents_are_nothing() -> None:
    document = load("# only a comment\n", file="m")
    assert document.data is None
    assert document.place(()) == (1, 1)


def test_byte_order_mark_and_line_ends_of_windows() -> None:
    document = load(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", file="m")
    assert document.data == {"a": 1, "b": 2}
    assert document.place(("b",)) == (2, 4)


def test_text_that_is_not_utf_8_is_told_with_its_place() -> None:
    assert problems(b"a: 1\r\nb: \xe4\n") == ["m.yaml:2:4: the byte 0xe4 is not UTF-8; save the file as UTF-8"]


def test_depth_has_a_limit() -> None:
    assert load("[" * 20 + "]" * 20, file="m").data
    assert problems("[" * 21 + "]" * 21) == ["m.yaml:1:21: nested deeper than 20 levels"]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10_000,
        "- " * 10_000,
        "{a: " * 10_000,
        "".join(" " * i + "a:\n" for i in range(1000)),
        "a: &a [x]\n" + "".join(f"b{i}: [*a, *a]\n" for i in range(10_000)),
        "a: 1\n" * 100_000,
        "\t\n" * 500_000,
        "x" * 500_000 + "\t" * 400_000,
        "a: " + "1:" * 400_000,
        "a: " + "1" * 900_000,
        "a: " + "1_" * 400_000,
        "? " * 400_000,
        "*" * 900_000,
        "!" * 900_000,
        "x" * 100_000_000,
    ],
    ids=range(15),
)
def test_hostile_input_is_refused_quickly(text: str) -> None:
    start = time.monotonic()
    found = problems(text)
    assert 1 <= len(found) <= strict_yaml.MAX_PROBLEMS
    assert all(len(line) < 300 for line in found)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("text", ["1_" * 400_000 + "x", "1" + "_" * 900_000 + "x", "0_" * 400_000 + ".x"], ids=range(3))
def test_text_that_is_nearly_a_number_is_read_quickly(text: str) -> None:
    start = time.monotonic()
    assert load(f"a: {text}", file="m").data == {"a": text}
    assert time.monotonic() - start < 5


@given(st.text(alphabet="ab:-[]{},'\"&*!|>#%@ \n?1.0_~<", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    document, found = parse(text, file="m")
    assert document is not None or found
    assert all(problem.line >= 1 and problem.column >= 1 for problem in found)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    document, found = parse(content, file="m")
    assert document is not None or found


def test_reading_files(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"a: 1")
    assert read_bytes(file, shown="a.yaml") == b"a: 1"
    for path, words in (
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "not a file"),
        (tmp_path / ("x" * 300), "cannot be read"),
        (Path("/dev/zero"), "not a file"),
    ):
        with pytest.raises(InputError, match=words):
            read_bytes(path, shown="a.yaml")


def test_large_files_are_not_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    with file.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(InputError, match=r"a\.yaml: is larger than 1 MiB"):
        read_bytes(file, shown="a.yaml")


def test_paths_are_rendered_as_jsonpath() -> None:
    assert render_path(("cells", 0, "backend")) == "$.cells[0].backend"
    assert render_path(("models", "gemma3-270m")) == "$.models['gemma3-270m']"
    assert render_path(()) == "$"
