"""Merging is a union that refuses contradictions; strangers' archives are bounded, and their names mean nothing."""

import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from harness.errors import InputError
from harness.store import sources
from harness.store.merge import Merged, merge_parts
from harness.store.record_line import canonical, to_json
from harness.store.records import RecordStore
from harness.store.sessions import Session, read_sessions
from harness.store.sources import Kind, find_parts, kind_of
from harness.values.record import Record

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


def merge(target: Path, *paths: Path) -> Merged:
    workdir = target.parent / f"{target.name}.work"
    shutil.rmtree(workdir, ignore_errors=True)
    parts = []
    for number, path in enumerate(paths):
        (workdir / str(number)).mkdir(parents=True)
        parts += find_parts(path, workdir / str(number))
    return merge_parts(parts, target)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def report(tmp_path: Path, session: Session) -> Callable[..., Path]:
    """A folder with some records of one session."""

    def make(name: str, *records: Record, session_: Session = session, extra: bytes = b"") -> Path:
        folder = tmp_path / name
        RecordStore(folder).write_session(session_)
        machine = session_.machine.machine
        data = b"".join(canonical(to_json(record)) + b"\n" for record in records) + extra
        (folder / "records").mkdir(parents=True)
        (folder / "records" / f"{machine}.jsonl").write_bytes(data)
        return folder

    return make


def test_several_machines_give_what_each_of_them_has(tmp_path: Path) -> None:
    merged = merge(tmp_path / "out", GOLDEN / "complete", GOLDEN / "two-machines")
    assert (merged.machines, merged.records, merged.sessions, merged.repeated) == (3, 32, 3, 0)
    for case in ("complete", "two-machines"):
        for machine in RecordStore(GOLDEN / case).machines():
            ours = {record.id for record in RecordStore(tmp_path / "out").read(machine)}
            assert ours == {record.id for record in RecordStore(GOLDEN / case).read(machine)}
    assert read_sessions(tmp_path / "out").keys() == {
        *read_sessions(GOLDEN / "complete"),
        *read_sessions(GOLDEN / "two-machines"),
    }


def test_order_and_repetition_of_the_sources_change_nothing(tmp_path: Path) -> None:
    merge(tmp_path / "a", GOLDEN / "complete", GOLDEN / "two-machines")
    merge(tmp_path / "b", GOLDEN / "two-machines", GOLDEN / "complete", GOLDEN / "two-machines")
    again = merge(tmp_path / "a", tmp_path / "a", GOLDEN / "complete")
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert again.repeated == 28


def test_lines_from_here_and_there_come_in_the_order_of_time(tmp_path: Path) -> None:
    merge(tmp_path / "whole", GOLDEN / "complete")
    for path in (GOLDEN / "complete" / "records").glob("*.jsonl"):
        lines = path.read_bytes().splitlines(keepends=True)
        # Neighbours, single lines, and some that are spelled otherwise.
        for number, own in enumerate((lines[::3], lines[1::3], lines[2::3])):
            folder = tmp_path / f"part-{number}"
            shutil.copytree(GOLDEN / "complete", folder, dirs_exist_ok=True)
            spelled = own if number else [json.dumps(json.loads(line)).encode() + b"\n" for line in own]
            (folder / "records" / path.name).write_bytes(b"".join(spelled + lines[5:9]))
    merge(tmp_path / "out", *(tmp_path / f"part-{number}" for number in range(3)))
    assert content(tmp_path / "out" / "records") == content(tmp_path / "whole" / "records")


def test_a_part_and_the_whole_give_the_whole(tmp_path: Path) -> None:
    merged = merge(tmp_path / "out", GOLDEN / "stopped", GOLDEN / "complete")
    assert merged.repeated == 10
    assert merged.records == 28
    assert any("not finished" in remark for remark in merged.remarks)


def test_the_same_attempt_with_other_content_is_refused_with_both_places(
    tmp_path: Path, report: Callable[..., Path], make_record: Callable[..., Record]
) -> None:
    one, other = report("one", make_record()), report("other", make_record(duration_ns=1))
    with pytest.raises(InputError, match=r"other.*line 1.*another one than in .*one.*line 1"):
        merge(tmp_path / "out", one, other)
    assert content(tmp_path / "out") == {}


def test_the_same_session_with_other_content_is_refused(
    tmp_path: Path, report: Callable[..., Path], make_record: Callable[..., Record], session: Session
) -> None:
    one = report("one", make_record())
    other = report("other", make_record(round_=2), session_=replace(session, notes="other"))
    with pytest.raises(InputError, match="is another one than in"):
        merge(tmp_path / "out", one, other)


def test_a_session_id_of_two_machines_is_refused_with_both(
    tmp_path: Path, report: Callable[..., Path], make_record: Callable[..., Record], session: Session
) -> None:
    """A report looks for sessions by their id: the other machine's records would have none."""
    stranger = replace(session, machine=replace(session.machine, machine="stranger"))
    one, other = report("one", make_record()), report("other", make_record(machine="stranger"), session_=stranger)
    name = session.machine.machine
    with pytest.raises(InputError, match=rf"{session.id} is of ({name} and of stranger|stranger and of {name})"):
        merge(tmp_path / "out", one, other)
    assert content(tmp_path / "out") == {}


def test_two_starts_that_knew_nothing_of_each_other_are_both_kept(
    tmp_path: Path, report: Callable[..., Path], make_record: Callable[..., Record], session: Session
) -> None:
    later = replace(session, id="20261125T001309Z-0c1e58")
    one = report("one", make_record())
    other = report("other", make_record(session=later.id), session_=later)
    assert merge(tmp_path / "out", one, other).records == 2
    assert len(RecordStore(tmp_path / "out").read(session.machine.machine)) == 2


def test_records_without_their_session_are_refused(
    tmp_path: Path, report: Callable[..., Path], make_record: Callable[..., Record]
) -> None:
    folder = report("one", make_record())
    shutil.rmtree(folder / "sessions")
    with pytest.raises(InputError, match="there is no session"):
        merge(tmp_path / "out", folder)


def test_a_session_that_was_exchanged_does_not_fit_to_its_records(
    tmp_path: Path, report: Callable[..., Path], make_record: Callable[..., Record]
) -> None:
    folder = report("one", make_record(session_sha256="f" * 64))
    with pytest.raises(InputError, match="its hash differs"):
        merge(tmp_path / "out", folder)


def test_simulated_results_are_merged_with_nothing(
    tmp_path: Path, report: Callable[..., Path], make_record: Callable[..., Record]
) -> None:
    with pytest.raises(InputError, match="simulated"):
        merge(tmp_path / "out", report("one", make_record(simulated=True)))


def test_a_newer_format_is_refused_by_name(
    tmp_path: Path, report: Callable[..., Path], make_record: Callable[..., Record]
) -> None:
    newer = json.loads(canonical(to_json(make_record(round_=2)))) | {"version": 7}
    folder = report("one", make_record(), extra=canonical(newer) + b"\n")
    with pytest.raises(InputError, match=r"line 2: record version 7 is newer than this program's"):
        merge(tmp_path / "out", folder)


def test_a_file_that_holds_two_machines_is_refused(
    tmp_path: Path, report: Callable[..., Path], make_record: Callable[..., Record]
) -> None:
    with pytest.raises(InputError, match="a file holds one machine"):
        merge(tmp_path / "out", report("one", make_record(), make_record(machine="other", round_=2)))


def test_the_name_of_a_file_is_not_where_it_goes(
    tmp_path: Path, report: Callable[..., Path], make_record: Callable[..., Record]
) -> None:
    folder = report("one", make_record())
    (path,) = (folder / "records").iterdir()
    path.rename(path.with_name("..; rm -rf x.jsonl"))
    merge(tmp_path / "out", folder)
    assert [p.name for p in (tmp_path / "out" / "records").iterdir()] == ["amd-epyc-2c-1f3a9b.jsonl"]


def packed_zip(path: Path, folder: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, prefix + str(file.relative_to(folder)))
    return path


def packed_tar(path: Path, folder: Path, mode: str) -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload] # the mode is a parameter
        archive.add(folder, arcname="x")
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.xz", "a.tar.bz2"])
def test_archives_give_what_the_folder_gives(tmp_path: Path, name: str) -> None:
    merge(tmp_path / "plain", GOLDEN / "complete")
    if name.endswith(".zip"):
        archive = packed_zip(tmp_path / name, GOLDEN / "complete")
    else:
        archive = packed_tar(
            tmp_path / name, GOLDEN / "complete", "w:" + {"tgz": "gz", "tar": ""}.get(name[2:], name[6:])
        )
    merge(tmp_path / "out", archive)
    assert content(tmp_path / "out") == content(tmp_path / "plain")


@pytest.mark.parametrize("prefix", ["/etc/", "a\nb\x1b[31m/", "c:\\x/"])
def test_names_in_archives_are_no_paths(tmp_path: Path, prefix: str) -> None:
    archive = packed_zip(tmp_path / "a.zip", GOLDEN / "complete", prefix)
    before = set(tmp_path.rglob("*"))
    merge(tmp_path / "out", archive)
    new = set(tmp_path.rglob("*")) - before
    assert all(p.is_relative_to(tmp_path / "out") or p.is_relative_to(tmp_path / "out.work") for p in new)


def test_names_that_lead_upwards_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no records"):
        merge(tmp_path / "out", packed_zip(tmp_path / "a.zip", GOLDEN / "complete", "../../evil/"))


def test_links_and_devices_in_an_archive_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(GOLDEN / "complete", arcname="x")
        for name, kind in (("x/records/link.jsonl", tarfile.SYMTYPE), ("x/records/hard.jsonl", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(secret)
            archive.addfile(info)
        pipe = tarfile.TarInfo("x/records/pipe.jsonl")
        pipe.type = tarfile.FIFOTYPE
        archive.addfile(pipe)
    assert merge(tmp_path / "out", tmp_path / "a.tar").records == 28


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(GOLDEN / "complete", folder)
    (folder / "records" / "link.jsonl").symlink_to("/etc/passwd")
    (folder / "loop").symlink_to(folder)
    assert merge(tmp_path / "out", folder).records == 28


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("records/a.jsonl", "w") as file:
        for _ in range(100):
            file.write(bytes(1024**2))
    with pytest.raises(InputError, match="unpacks to far more"):
        merge(tmp_path / "out", bomb)
    assert sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()) < 2 * sources.FREE_BYTES


def test_a_bomb_among_files_that_are_not_read_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("zeros")
        info.size = 100 * 1024**2
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    with pytest.raises(InputError, match="unpacks to far more"):
        merge(tmp_path / "out", tmp_path / "a.tar.gz")


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_FILES", 2)
    with pytest.raises(InputError, match="more than 2 files"):
        merge(tmp_path / "out", GOLDEN / "complete")
    with pytest.raises(InputError, match="more than 2 files"):
        merge(tmp_path / "out", packed_zip(tmp_path / "a.zip", GOLDEN / "complete"))


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_broken_archive_is_told_without_a_traceback(tmp_path: Path, name: str) -> None:
    whole = (
        packed_zip(tmp_path / "x.zip", GOLDEN / "complete")
        if name == "a.zip"
        else packed_tar(tmp_path / "x.tar.gz", GOLDEN / "complete", "w:gz")
    )
    data = bytearray(whole.read_bytes())
    data[2000:2200] = bytes(200)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=r"cannot be unpacked|line"):
        merge(tmp_path / "out", tmp_path / name)


def test_a_line_without_an_end_is_bounded(
    tmp_path: Path, report: Callable[..., Path], make_record: Callable[..., Record]
) -> None:
    folder = report("one", make_record(), extra=b"x" * (5 * 1024**2))
    with pytest.raises(InputError, match="longer than"):
        merge(tmp_path / "out", folder)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("demo/records/a.jsonl", Kind.RECORDS),
        ("records/a.jsonl", Kind.RECORDS),
        ("demo/sessions/a.json", Kind.SESSION),
        ("demo/simulated/records/a.jsonl", None),
        ("demo/archive/1/records/a.jsonl", None),
        (".git/records/a.jsonl", None),
        ("demo/report.md", None),
        ("demo/matrix.yaml", Kind.MATRIX),
    ],
)
def test_what_a_file_is_follows_from_its_place(name: str, kind: Kind | None) -> None:
    assert kind_of(PurePosixPath(name)) is kind


def test_nothing_of_ours_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("x")
    for name, said in (("empty", "holds no records"), ("a.txt", "no archive"), ("gone", "no such file")):
        with pytest.raises(InputError, match=said):
            merge(tmp_path / "out", tmp_path / name)
