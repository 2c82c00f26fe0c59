import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import InputError, MachineError
from harness.store.record_line import canonical
from harness.store.records import RecordStore
from harness.store.sessions import Session, session_path
from harness.values.failure import Failure, Phase, Reason
from harness.values.record import Outcome, Record

Make = Callable[..., Record]


def stored(store: RecordStore, make: Make, count: int = 3) -> list[Record]:
    return [store.append(make(round_=round_)) for round_ in range(count)]


def rewrite(path: Path, number: int, change: Callable[[bytes], bytes]) -> None:
    lines = path.read_bytes().splitlines()
    lines[number] = change(lines[number])
    path.write_bytes(b"\n".join(lines) + b"\n")


def with_id(data: dict[str, Any]) -> bytes:
    """The line of a record after its content was changed by somebody who can compute ids."""
    content = {key: value for key, value in data.items() if key != "id"}
    return canonical({**content, "id": hashlib.sha256(canonical(content)).hexdigest()})


def test_what_is_appended_is_read_again(store: RecordStore, make_record: Make) -> None:
    kept = stored(store, make_record)
    assert store.read(kept[0].machine) == tuple(kept)
    assert [record.run.round for record in kept] == [0, 1, 2]
    assert store.machines() == (kept[0].machine,)


def test_a_failure_is_a_record_like_any_other(store: RecordStore, make_record: Make) -> None:
    failure = Failure(phase=Phase.LOAD, reason=Reason.OOM_DEVICE, detail="ErrorOutOfDeviceMemory", remedy="Less.")
    record = store.append(
        make_record(
            outcomes=(Outcome(cell="cpu/gemma3-270m/pp32", failure=failure),),
            exit_code=None,
            log=None,
            image="",
            model_sha256="",
            argv=(),
        )
    )
    assert store.read(record.machine) == (record,)


def test_the_id_is_the_hash_of_everything_else(store: RecordStore, make_record: Make) -> None:
    record = store.append(make_record())
    data = json.loads(store.path(record.machine).read_text())
    given = data.pop("id")
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert given == record.id == hashlib.sha256(text.encode()).hexdigest()


def test_a_record_is_one_line_that_names_its_format(store: RecordStore, make_record: Make) -> None:
    record = store.append(make_record(diagnosis="first line\nsecond line\u2028third"))
    data = store.path(record.machine).read_bytes()
    assert data.count(b"\n") == 1
    line = json.loads(data)
    assert (line["schema"], line["version"]) == ("llama-bench-harness/record", 1)


def test_a_record_that_stands_twice_is_read_once(store: RecordStore, make_record: Make) -> None:
    record = store.append(make_record())
    path = store.path(record.machine)
    path.write_bytes(path.read_bytes() * 2)
    assert store.read(record.machine) == (record,)


def test_a_machine_without_records_has_none(store: RecordStore) -> None:
    assert store.read("nobody") == ()
    assert store.repair("nobody") == ""
    assert store.machines() == ()


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_torn_last_line_is_left_out_and_repaired(store: RecordStore, make_record: Make, share: float) -> None:
    kept = stored(store, make_record)
    machine = kept[0].machine
    path = store.path(machine)
    whole, last = path.read_bytes().rstrip(b"\n").rsplit(b"\n", 1)
    torn = last[: int(share * len(last))]
    path.write_bytes(whole + b"\n" + torn)
    assert store.read(machine) == tuple(kept[:2])
    said = store.repair(machine)
    assert str(len(torn)) in said
    assert path.read_bytes() == whole + b"\n"
    assert path.with_suffix(".torn").read_bytes() == torn
    assert store.repair(machine) == ""
    again = store.append(make_record(round_=2))
    assert store.read(machine) == (*kept[:2], again)


def test_a_file_of_nothing_but_a_torn_line_becomes_empty(store: RecordStore, make_record: Make) -> None:
    path = store.path(store.append(make_record()).machine)
    path.write_bytes(path.read_bytes()[:-200])
    assert store.read(path.stem) == ()
    assert store.repair(path.stem)
    assert path.read_bytes() == b""


def test_zeros_at_the_end_are_a_torn_line(store: RecordStore, make_record: Make) -> None:
    # What a file system can leave after a power failure.
    kept = stored(store, make_record, 2)
    path = store.path(kept[0].machine)
    path.write_bytes(path.read_bytes() + bytes(300))
    assert store.read(path.stem) == tuple(kept)
    assert "300" in store.repair(path.stem)
    assert store.read(path.stem) == tuple(kept)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda line: line[:-40], "cut off|not JSON"),
        (lambda line: b"", "empty"),
        (lambda line: b"[1]", "no record"),
        (lambda line: line.replace(b"716557", b"716558"), "was changed"),
        (lambda line: b"\xff\xfe" + line, "UTF-8"),
        (lambda line: line.replace(b'"load_before":0.013', b'"load_before":NaN'), "NaN"),
        (lambda line: with_id({**json.loads(line), "version": 2}), "version 2 is newer"),
        (lambda line: with_id({**json.loads(line), "surprise": 1}), "surprise"),
        (lambda line: with_id({**json.loads(line), "duration_ns": -1}), r"\$\.duration_ns"),
        (lambda line: with_id({k: v for k, v in json.loads(line).items() if k != "argv"}), "argv"),
    ],
)
def test_damage_in_the_middle_is_refused_with_its_line(
    store: RecordStore, make_record: Make, change: Callable[[bytes], bytes], words: str
) -> None:
    kept = stored(store, make_record)
    path = store.path(kept[0].machine)
    rewrite(path, 1, change)
    with pytest.raises(InputError, match=words) as caught:
        store.read(kept[0].machine)
    assert "line 2:" in str(caught.value)
    assert caught.value.where == str(path)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "changes",
    [
        {"load_before": float("nan")},
        {"gate": {"waited_s": float("inf")}},
        {"machine": "../elsewhere"},
        {"started_utc": "yesterday"},
        {"duration_ns": -1},
        {"outcomes": ()},
        {"outcomes": (Outcome(cell="a", samples_ns=(0,), row={}),)},
        {"outcomes": (Outcome(cell="a"),)},
    ],
)
def test_what_is_no_record_is_never_written(store: RecordStore, make_record: Make, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        store.append(make_record(**changes))
    assert not store.path("amd-epyc-2c-1f3a9b").exists()
    assert not (store.folder.parent / "elsewhere.jsonl").exists()


def test_text_that_is_not_unicode_does_not_make_the_file_unreadable(store: RecordStore, make_record: Make) -> None:
    record = store.append(make_record(diagnosis="bad byte \udcff in the log"))
    assert "bad byte" in store.read(record.machine)[0].diagnosis


def test_simulated_and_real_results_are_kept_apart(tmp_path: Path, make_record: Make) -> None:
    real, fake = RecordStore(tmp_path / "demo"), RecordStore(tmp_path / "demo" / "simulated", simulated=True)
    with pytest.raises(ValueError, match="apart"):
        real.append(make_record(simulated=True))
    with pytest.raises(ValueError, match="apart"):
        fake.append(make_record())
    fake.append(make_record(simulated=True))
    assert real.machines() == ()


def test_a_full_disk_leaves_the_earlier_records(
    store: RecordStore, make_record: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = stored(store, make_record, 2)
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        return real(descriptor, data[: len(data) // 3])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(MachineError, match="no space"):
            store.append(make_record(round_=2))
    assert store.read(kept[0].machine) == tuple(kept)
    assert store.repair(kept[0].machine) == ""


def test_only_one_writes(store: RecordStore) -> None:
    with store.locked():
        script = (
            "import sys; from pathlib import Path; from harness.store.records import RecordStore\n"
            "from harness.errors import MachineError\n"
            "try:\n"
            "    with RecordStore(Path(sys.argv[1])).locked(): print('taken')\n"
            "except MachineError as error: print(error)\n"
        )
        command = [sys.executable, "-c", script, str(store.folder)]
        second = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert f"process {os.getpid()}" in second.stdout
    third = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert third.stdout == "taken\n"


def test_the_lock_of_a_dead_writer_is_free(store: RecordStore) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from harness.store.records import RecordStore\n"
        "with RecordStore(Path(sys.argv[1])).locked(): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(store.folder)], check=False, timeout=60)
    assert killed.returncode == -9
    with store.locked():
        assert (store.folder / ".lock").read_text() == f"{os.getpid()}\n"


def test_a_fresh_start_moves_everything_of_the_machine_aside(
    store: RecordStore, make_record: Make, session: Session
) -> None:
    record = store.append(make_record())
    store.write_session(session)
    other = store.append(make_record(machine="other-1"))
    store.write_session(replace(session, machine=replace(session.machine, machine="other-1")))
    archived = store.archive(record.machine)
    assert archived is not None
    assert archived.parent == store.folder / "archive"
    assert RecordStore(archived).read(record.machine) == (record,)
    assert session_path(archived, record.machine, session.id).exists()
    assert (archived / "journal" / f"{record.machine}.jsonl").exists()
    assert store.read(record.machine) == ()
    assert store.read("other-1") == (other,)
    assert session_path(store.folder, "other-1", session.id).exists()
    assert store.archive(record.machine) is None


def test_a_machine_whose_name_another_one_begins_with_keeps_its_sessions(
    store: RecordStore, make_record: Make, session: Session
) -> None:
    for name in ("box", "box-2"):
        store.append(make_record(machine=name))
        store.write_session(replace(session, machine=replace(session.machine, machine=name)))
    store.archive("box")
    assert session_path(store.folder, "box-2", session.id).exists()


def test_archiving_twice_keeps_both(store: RecordStore, make_record: Make) -> None:
    kept = []
    for round_ in (0, 1):
        record = store.append(make_record(round_=round_))
        kept.append((store.archive(record.machine), record))
    assert kept[0][0] != kept[1][0]
    for folder, record in kept:
        assert folder is not None
        assert RecordStore(folder).read(record.machine) == (record,)


def test_the_journal_tells_what_was_about_to_happen(store: RecordStore, make_record: Make) -> None:
    store.journal("m", "creating", {"container": "lbh-1", "run": "k", "round": 1, "attempt": 1})
    record = store.append(make_record(machine="m"))
    lines = (store.folder / "journal" / "m.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["creating", "recorded"]
    assert json.loads(lines[0])["container"] == "lbh-1"
    assert json.loads(lines[1])["record"] == record.id


def test_the_matrix_file_is_kept_beside_the_records(store: RecordStore) -> None:
    store.write_matrix(b"cells: []\n")
    store.write_matrix(b"cells: [1]\n")
    assert (store.folder / "matrix.yaml").read_bytes() == b"cells: [1]\n"


def test_a_run_that_is_recorded_already_is_refused(store: RecordStore, make_record: Make) -> None:
    first = store.append(make_record(round_=1, attempt=1))
    before = store.path(first.machine).read_bytes()
    another_start = RecordStore(store.folder)
    for writer in (store, another_start):
        with pytest.raises(ValueError, match="round 1, attempt 1 is recorded already"):
            writer.append(make_record(round_=1, attempt=1, duration_ns=5))
    assert store.path(first.machine).read_bytes() == before
    store.append(make_record(round_=1, attempt=2))
    assert len(store.read(first.machine)) == 2


def test_after_a_fresh_start_the_same_run_can_be_recorded_again(store: RecordStore, make_record: Make) -> None:
    first = store.append(make_record())
    store.archive(first.machine)
    store.append(make_record(duration_ns=5))
    assert len(store.read(first.machine)) == 1


def test_two_different_records_of_one_attempt_are_refused(store: RecordStore, make_record: Make) -> None:
    # As after merging by hand the files of two folders.
    kept = stored(store, make_record, 2)
    path = store.path(kept[0].machine)
    other = json.loads(path.read_bytes().splitlines()[1])
    path.write_bytes(path.read_bytes() + with_id({**other, "duration_ns": 5}) + b"\n")
    with pytest.raises(InputError, match=r"line 3: .*round 1, attempt 1.* line 2"):
        store.read(kept[0].machine)


def test_a_second_torn_line_does_not_take_the_place_of_the_first(store: RecordStore, make_record: Make) -> None:
    machine = store.append(make_record()).machine
    path = store.path(machine)
    for torn in (b'{"first', b'{"second', b'{"third'):
        path.write_bytes(path.read_bytes() + torn)
        said = store.repair(machine)
        (kept,) = [found for found in path.parent.glob(f"{machine}.torn*") if found.read_bytes() == torn]
        assert said.endswith(f"it was moved to {kept.name}")
    assert {found.read_bytes() for found in path.parent.glob("*.torn*")} == {b'{"first', b'{"second', b'{"third'}
    assert store.machines() == (machine,)


def test_a_torn_line_of_the_journal_is_moved_too(store: RecordStore, make_record: Make) -> None:
    machine = store.append(make_record()).machine
    journal = store.folder / "journal" / f"{machine}.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"at_utc":"20')
    assert "journal" in store.repair(machine)
    assert journal.read_bytes() == whole
    assert (journal.parent / f"{machine}.torn").read_bytes() == b'{"at_utc":"20'


def test_torn_lines_are_archived_with_the_rest(store: RecordStore, make_record: Make) -> None:
    machine = store.append(make_record()).machine
    path = store.path(machine)
    path.write_bytes(path.read_bytes() + b"torn")
    store.repair(machine)
    target = store.archive(machine)
    assert target is not None
    assert (target / "records" / f"{machine}.torn").read_bytes() == b"torn"
    assert not list(path.parent.iterdir())
