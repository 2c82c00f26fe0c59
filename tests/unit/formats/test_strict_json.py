import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.formats.strict_json import JsonError, loads

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_json_writes_is_read(value: object) -> None:
    assert loads(json.dumps(value)) == value
    assert loads(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1, "a": 2}', "the key 'a' stands twice in one object"),
        ('[{"b": {"a": 1, "a": 1}}]', "the key 'a' stands twice in one object"),
        ("[NaN]", "NaN is not JSON"),
        ("-Infinity", "-Infinity is not JSON"),
        ("1e999", "the number 1e999 is too large"),
        ("1" * 5000, "a number with too many digits"),
        ("", "line 1, column 1: empty"),
        ('{"a": 1', "line 1, column 8: cut off"),
        ('{"a": "x', "line 1, column 7: cut off"),
        ('{"a"', "line 1, column 5: cut off"),
        ("{} {}", "line 1, column 4: more text after the value"),
        ("{'a': 1}", "line 1, column 2: not JSON: expecting property name enclosed in double quotes"),
        ('["a\nb"]', "line 1, column 4: not JSON: invalid control character at"),
        ('{"a": "\\ud800"}', "half a surrogate pair in or at the key 'a'"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    with pytest.raises(JsonError) as caught:
        loads(text)
    assert str(caught.value) == expected


def test_bytes_that_are_not_utf_8() -> None:
    with pytest.raises(JsonError, match=r"^byte 2 \(0xff\) is not UTF-8$"):
        loads(b'["\xff"]')


def test_limits() -> None:
    assert loads("[" * 64 + "]" * 64)
    with pytest.raises(JsonError, match="nested deeper than 64 levels"):
        loads("[" * 65 + "]" * 65)
    with pytest.raises(JsonError, match="nested deeper than 2 levels"):
        loads("[[[]]]", max_depth=2)
    assert loads('"[[[[\\"[[["', max_depth=1) == '[[[["[[['
    with pytest.raises(JsonError, match="longer than 4 bytes"):
        loads("[1,2]", max_bytes=4)


@pytest.mark.parametrize(
    "text", ["[" * 1_000_000, '{"a":' * 1_000_000, '"' + '\\"' * 1_000_000, '"' * 1_000_001], ids=range(4)
)
def test_hostile_input_is_refused_quickly(text: str) -> None:
    start = time.monotonic()
    with pytest.raises(JsonError):
        loads(text)
    assert time.monotonic() - start < 3


@given(st.text(alphabet='[]{}",:0123.eE-\\u tfn', max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = loads(text)
    except JsonError:
        return
    assert loads(json.dumps(value)) == value


@pytest.mark.parametrize("text", ['["\\ud800"]', '{"a": ["x", ["\\udfff"]]}', '"\\ud800"', '[{"a": "\\ud800"}]'])
def test_half_a_pair_is_refused_wherever_it_is(text: str) -> None:
    with pytest.raises(JsonError, match="half a surrogate pair"):
        loads(text)
    assert loads('["\\ud83d\\ude00"]') == ["\U0001f600"]
