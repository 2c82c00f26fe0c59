"""What is checked quickly is what the schema accepts, and nothing else."""

import gc
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.store import quick_check
from harness.store.quick_check import ReadBySchema, check_line, id_holds, read_as_written, read_line
from harness.store.record_line import canonical, from_json

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
LINES = [line for path in sorted(GOLDEN.glob("*/records/*.jsonl")) for line in path.read_bytes().split(b"\n")[:-1]]


def signed(data: dict[str, Any]) -> bytes:
    """The line of a record whose id is right, whatever it says."""
    rest = {key: value for key, value in data.items() if key != "id"}
    return canonical({"id": hashlib.sha256(canonical(rest)).hexdigest(), **rest})


def test_real_records_are_read_quickly() -> None:
    assert len(LINES) > 30
    for line in LINES:
        found = check_line(line)
        assert not isinstance(found, ReadBySchema)
        assert found.id == json.loads(line)["id"]
        assert found.run.key == from_json(json.loads(line)).run.key


@pytest.mark.parametrize("levels", [1, 5, 6, 16, 17, 18, 40])
@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}], ids=["lists", "objects"])
def test_the_usual_depth_is_a_shortcut_and_no_other_rule(levels: int, wrap: Callable[[Any], Any]) -> None:
    value: Any = "][" * 3
    for _ in range(levels):
        value = wrap(value)
    assert quick_check.shallow(value, levels)
    assert not quick_check.shallow(value, levels - 1)
    assert quick_check._usual(value) == (levels <= quick_check._USUAL_DEPTH)


def test_the_collector_is_on_again_after_an_error() -> None:
    within = []

    def fail() -> None:
        with quick_check.collector_paused():
            within.append(gc.isenabled())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert within == [False]
    assert gc.isenabled()


def test_a_changed_byte_is_found_out() -> None:
    changed = LINES[0].replace(b'"exit_code":0', b'"exit_code":1')
    assert changed != LINES[0]
    assert not id_holds(changed, json.loads(changed)["id"])
    with pytest.raises(ValueError, match="changed"):
        check_line(changed)


OUTCOME = next(o for line in LINES for o in json.loads(line)["outcomes"] if o["failure"] is None)
FAILURE = {"phase": "load", "reason": "load", "detail": "", "remedy": ""}
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("of another type", {"duration_ns": "1"}),
    ("of another type", {"software": 1}),
    ("an unknown field", {"surprise": 1}),
    ("a machine that is a path", {"machine": "../../etc/passwd"}),
    ("a session that is none", {"session": "yesterday"}),
    ("a share above one", {"load_before": 1.5}),
    ("no outcome", {"outcomes": []}),
    ("neither number nor failure", {"outcomes": [{**OUTCOME, "samples_ns": []}]}),
    ("a number without its row", {"outcomes": [{**OUTCOME, "row": None}]}),
    ("a number and a failure", {"outcomes": [{**OUTCOME, "failure": FAILURE}]}),
    ("a cell without a name", {"outcomes": [{**OUTCOME, "cell": ""}]}),
    ("no protocol", {"protocol": ""}),
    ("an unknown end", {"kill_stage": "axe"}),
    ("more than a number holds", {"duration_ns": 2**63}),
]


@pytest.mark.parametrize(("what", "changes"), WRONG, ids=[what for what, _ in WRONG])
def test_what_is_wrong_is_refused_in_the_words_of_the_schema(what: str, changes: dict[str, Any]) -> None:
    del what
    with pytest.raises(ValueError, match=r"\$|unknown field|instead of"):
        check_line(signed({**json.loads(LINES[0]), **changes}))


def test_a_newer_version_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="newer than this program"):
        check_line(signed({**json.loads(LINES[0]), "version": 99}))


def test_a_field_that_stands_twice_is_refused_though_its_hash_is_right() -> None:
    rest = canonical({key: value for key, value in json.loads(LINES[0]).items() if key != "id"})
    twice = rest[:-1] + b',"version":1}'
    id_ = hashlib.sha256(twice).hexdigest().encode()
    line = twice.replace(b',"image":', b',"id":"' + id_ + b'","image":', 1)
    assert id_holds(line, json.loads(line)["id"])
    with pytest.raises(ValueError, match=r"stands twice|changed"):
        check_line(line)


def test_other_spelling_of_the_same_content_is_read_by_the_schema() -> None:
    spaced = json.dumps(json.loads(LINES[0]), indent=None, sort_keys=False).encode()
    found = check_line(spaced)
    assert isinstance(found, ReadBySchema)
    assert found.id == json.loads(LINES[0])["id"]


def test_nesting_is_bounded() -> None:
    data = json.loads(LINES[0])
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    data["outcomes"][0]["row"] = {"deep": deep}
    with pytest.raises(ValueError, match="nested deeper"):
        check_line(signed(data))


@given(
    st.binary(max_size=200)
    | st.sampled_from(LINES).flatmap(lambda line: st.integers(0, len(line)).map(lambda n: line[:n] + line[n + 1 :]))
)
@settings(max_examples=60, deadline=None)
def test_whatever_it_is_it_is_a_record_or_a_value_error(line: bytes) -> None:
    try:
        found = check_line(line)
    except ValueError:
        return
    assert found.id == json.loads(line)["id"]


NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(st.text(max_size=8), NUMBERS | st.text(max_size=20) | st.none(), max_size=6))
@settings(max_examples=60, deadline=None)
def test_rows_of_strangers_are_accepted_as_the_schema_accepts_them(row: dict[str, Any]) -> None:
    data = json.loads(LINES[0])
    data["outcomes"][0]["row"] = row
    line = signed(data)
    assert check_line(line).id == from_json(json.loads(line)).id


def test_a_record_is_the_same_whichever_way_it_is_read() -> None:
    for line in LINES:
        assert read_line(line) == from_json(json.loads(line))
        otherwise = json.dumps(json.loads(line), indent=1).encode()
        assert read_line(otherwise) == from_json(json.loads(line))


def test_a_line_that_is_no_record_is_refused_by_the_reader_too() -> None:
    for _, changes in WRONG:
        with pytest.raises(ValueError, match=r"\$|unknown field|instead of"):
            read_line(signed({**json.loads(LINES[0]), **changes}))


def test_only_the_bytes_that_this_program_writes_are_taken_as_written() -> None:
    for line in LINES:
        assert read_as_written(line) == from_json(json.loads(line))
        assert read_as_written(line.replace(b'","', b'", "', 1)) is None
        changed = line.replace(b'"attempt":', b'"attempt":1', 1)
        assert changed != line
        assert read_as_written(changed) is None
