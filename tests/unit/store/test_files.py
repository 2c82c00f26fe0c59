import errno
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from harness.errors import MachineError
from harness.store import files


@contextmanager
def file_size_limit(number: int) -> Iterator[None]:
    """The kernel cuts every write at so many bytes of file: a short write first, then an error, as on a full disk.

    Only around the code under test: pytest's own output may be a file too, and would be cut as well.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_lines_are_appended_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.jsonl"
    files.append_line(path, b"one")
    files.append_line(path, b"two")
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_line_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        writes.append(data)
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    files.append_line(tmp_path / "a", b"x" * 100_000)
    assert writes == [b"x" * 100_000 + b"\n"]


def test_line_and_new_folder_entry_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    path = tmp_path / "a"
    files.append_line(path, b"one")
    assert synced == [str(path), str(tmp_path)]
    synced.clear()
    files.append_line(path, b"two")
    assert synced == [str(path)]


def test_a_line_that_the_disk_cuts_short_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.append_line(path, b"x" * 60)
    with file_size_limit(100), pytest.raises(MachineError) as caught:
        files.append_line(path, b"y" * 60)
    assert path.read_bytes() == b"x" * 60 + b"\n"
    assert str(path) in str(caught.value)
    files.append_line(path, b"z" * 20)
    assert path.read_bytes().splitlines() == [b"x" * 60, b"z" * 20]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space"),
        (errno.EDQUOT, "no space"),
        (errno.EROFS, "cannot be written"),
        (errno.EIO, "written"),
    ],
)
def test_a_refused_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    path = tmp_path / "a"
    files.append_line(path, b"one")

    def write(_descriptor: int, _data: bytes) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(MachineError, match=words) as caught:
        files.append_line(path, b"two")
    assert path.read_bytes() == b"one\n"
    assert caught.value.exit_code == 3
    assert caught.value.remedy


def test_a_failed_sync_takes_the_line_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    files.append_line(path, b"one")

    def fsync(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(MachineError):
        files.append_line(path, b"two")
    assert path.read_bytes() == b"one\n"


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_whole_file_is_the_old_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "report.md"
    files.write_whole(path, b"old")

    def fail(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    elif step == "replace":
        monkeypatch.setattr(Path, "replace", fail)
    limit = file_size_limit(1) if step == "write" else nullcontext()
    with limit, pytest.raises(MachineError):
        files.write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.md"]


def test_a_folder_that_cannot_be_written_is_found_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MachineError):
        files.check_writable(tmp_path / "file" / "demo")


def test_a_read_only_folder_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(MachineError, match="cannot be written") as caught:
        files.check_writable(tmp_path)
    assert caught.value.remedy


def test_the_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    files.check_writable(tmp_path / "demo")
    assert list((tmp_path / "demo").iterdir()) == []
