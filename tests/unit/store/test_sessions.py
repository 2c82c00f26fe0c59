import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.store.sessions import Session, published, read_sessions, session_path, write_session
from harness.store.structures import read_indented


def test_what_is_written_is_read_again(tmp_path: Path, session: Session) -> None:
    write_session(tmp_path, session)
    assert read_sessions(tmp_path) == {session.id: published(session)}


def test_sessions_come_in_the_order_of_their_starts(tmp_path: Path, session: Session) -> None:
    later = replace(session, id="20261125T000000Z-000000", machine=replace(session.machine, machine="a-first"))
    for one in (later, session):
        write_session(tmp_path, one)
    assert list(read_sessions(tmp_path)) == [session.id, later.id]


def test_a_folder_without_sessions_has_none(tmp_path: Path) -> None:
    assert read_sessions(tmp_path) == {}


def test_nothing_that_names_a_person_or_a_card_is_written(tmp_path: Path, session: Session) -> None:
    private = replace(
        session,
        command=("invoke", "matrix", "--file", "/home/alice/work/demo.yaml"),
        engine=replace(session.engine, host="ssh://alice@big-box.example"),
    )
    assert "~/work/demo.yaml" in published(private, home=Path("/home/alice")).command
    write_session(tmp_path, published(private, home=Path("/home/alice")))
    text = session_path(tmp_path, session.machine.machine, session.id).read_text()
    for secret in ("alice", "secret-project", "big-box", "GPU-1234"):
        assert secret not in text
    assert "gemma.gguf" in text


def test_a_rootless_socket_is_shown_without_the_home(session: Session) -> None:
    rootless = replace(session, engine=replace(session.engine, host="unix:///home/alice/.docker/run/docker.sock"))
    assert published(rootless, home=Path("/home/alice")).engine.host == "unix://~/.docker/run/docker.sock"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": "another"}, "no session"),
        ({"version": 2}, "version 2 is not 1"),
        ({"seed": "7"}, r"\$\.seed"),
        ({"surprise": 1}, "unknown field 'surprise'"),
    ],
)
def test_a_damaged_session_is_refused_with_its_file(
    tmp_path: Path, session: Session, change: dict[str, object], words: str
) -> None:
    write_session(tmp_path, session)
    path = session_path(tmp_path, session.machine.machine, session.id)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=words) as caught:
        read_sessions(tmp_path)
    assert caught.value.where == str(path)
    assert caught.value.remedy


def test_a_session_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "a-b.json").write_text("{")
    with pytest.raises(InputError, match="cut off"):
        read_sessions(tmp_path)


def test_two_starts_within_one_second_stand_in_their_order(tmp_path: Path, session: Session) -> None:
    first = replace(session, id="20261124T001309Z-ffffff", started_utc="2026-11-24T00:13:09.100Z")
    second = replace(session, id="20261124T001309Z-000000", started_utc="2026-11-24T00:13:09.900Z")
    for one in (second, first):
        write_session(tmp_path, one)
    assert list(read_sessions(tmp_path)) == [first.id, second.id]


@pytest.mark.parametrize(
    ("spelled", "quickly"),
    [("0.001", True), ("1e-05", False), ("1e-5", False), ("0.00001", False), ("1e+16", False), ("1" * 25, False)],
)
def test_a_file_for_people_is_read_quickly_where_every_writer_spells_it_so(spelled: str, quickly: bool) -> None:
    data = b'{\n "a": [\n  ' + spelled.encode() + b'\n ],\n "b": "1e5 0c1e57098"\n}\n'
    found = read_indented(data, max_bytes=1000, max_depth=3)
    assert found == (json.loads(data) if quickly else None)
    assert read_indented(data, max_bytes=10, max_depth=3) is None
    assert read_indented(data, max_bytes=1000, max_depth=1) is None
    assert read_indented(data.replace(b'"b"', b'"a"'), max_bytes=1000, max_depth=3) is None
    assert read_indented(data.replace(b"\n ", b"\n"), max_bytes=1000, max_depth=3) is None


def test_sessions_that_plan_the_same_share_their_cells(tmp_path: Path, session: Session) -> None:
    write_session(tmp_path, session)
    write_session(tmp_path, replace(session, id="20260101T000000Z-abcdef", started_utc="2026-01-01T00:00:00Z"))
    first, second = read_sessions(tmp_path).values()
    assert first.cells is second.cells
    assert first.cells == session.cells
