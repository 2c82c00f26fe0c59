"""Whatever a server in a container answers, reading it does not raise, and what is kept fits into a record."""

import json

import pytest

from harness.formats import llama_server

DEEP = b"[" * 100_000
HUGE = 10**400


def test_events_that_are_none():
    assert llama_server.read_event(b'data: {"content": "a"}') == {"content": "a"}
    for line in (b"event: x", b"data: [DONE]", b"data: [1]", b"data: " + DEEP, b'data: {"a": ' + DEEP):
        assert llama_server.read_event(line) is None


@pytest.mark.parametrize("body", [DEEP, b'{"tokens": ' + DEEP, b'{"tokens": [1, -1]}', b'{"tokens": [true]}', b"[1]"])
def test_tokens_that_are_none(body):
    assert llama_server.read_tokens(body) == ()
    assert llama_server.read_tokens(b'{"tokens": [1, 2]}') == (1, 2)


def test_an_answer_that_is_no_json_is_one_kind_of_error():
    assert llama_server.read_object(b"[1]") == {}
    for body in (DEEP, b"{"):
        with pytest.raises(ValueError, match=r"too deeply|Expecting"):
            llama_server.read_object(body)


@pytest.mark.parametrize("value", [HUGE, -HUGE, float("nan"), float("inf"), True, "5", None])
def test_times_that_are_none(value):
    assert llama_server.timings({"timings": {"prompt_n": 4, "prompt_ms": value}}) == {"prompt_n": 4.0}


def test_properties_that_no_record_could_hold_are_left_out():
    props = {"build_info": "b1-" + "x" * 5_000_000, "total_slots": HUGE, "default_generation_settings": {"n_ctx": 8}}
    found = llama_server.about(props, {"data": [{"meta": {"n_vocab": 10**30}}]})
    assert found["n_ctx"] == 8
    assert "total_slots" not in found
    assert "n_vocab" not in found
    assert len(json.dumps(found)) < 1000
