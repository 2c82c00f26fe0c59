import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.errors import MachineError
from harness.machine import locks
from harness.machine.locks import lock_folder, measuring_lock

NAME = "llama-bench-harness.lock"


def test_a_second_harness_is_told_who_measures(tmp_path: Path) -> None:
    with (
        measuring_lock(tmp_path),
        pytest.raises(MachineError, match=f"process {os.getpid()}"),
        measuring_lock(tmp_path),
    ):
        pass


def test_the_lock_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with measuring_lock(tmp_path):
            pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from harness.machine.locks import measuring_lock\n"
        "with measuring_lock(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    root = str(Path(__file__).resolve().parents[3])
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=root, check=False)
    assert killed.returncode == -9
    with measuring_lock(tmp_path):
        pass


def test_the_number_of_a_living_process_holds_nothing(tmp_path: Path) -> None:
    # As after a restart of the machine, where another program has got the dead holder's number.
    file = tmp_path / "llama-bench-harness.lock"
    file.write_text(f"{os.getppid()}\n")
    with measuring_lock(tmp_path):
        assert file.read_text() == f"{os.getpid()}\n"


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "llama-bench-harness.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MachineError, match="cannot be opened"), measuring_lock(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_the_folder_can_be_named(tmp_path: Path) -> None:
    assert lock_folder({"BENCH_LOCK_DIR": str(tmp_path)}) == tmp_path


@contextmanager
def another_user() -> Iterator[None]:
    os.setegid(4321)
    os.seteuid(4321)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def for_all() -> Iterator[Path]:
    """A folder like /tmp, under a umask like that of most users. The test changes users, so it is root's."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    before = os.umask(0o022)
    try:
        with tempfile.TemporaryDirectory(prefix="lbh-lock-") as name:
            folder = Path(name)
            folder.chmod(0o1777)
            yield folder
    finally:
        os.umask(before)


def test_one_user_after_another(for_all: Path) -> None:
    with measuring_lock(for_all):
        pass
    with another_user(), measuring_lock(for_all):
        # Who comes next is told the right number: the file is everybody's to write.
        assert (for_all / NAME).read_text() == f"{os.getpid()}\n"


def test_two_users_at_once(for_all: Path) -> None:
    with another_user(), measuring_lock(for_all):
        os.seteuid(0)
        with pytest.raises(MachineError, match=f"process {os.getpid()}"), measuring_lock(for_all):
            pass
        os.seteuid(4321)
    with (
        measuring_lock(for_all),
        another_user(),
        pytest.raises(MachineError, match=f"process {os.getpid()}"),
        measuring_lock(for_all),
    ):
        pass


def test_a_file_that_may_only_be_read_is_a_lock_all_the_same(for_all: Path) -> None:
    file = for_all / NAME
    file.write_text("123\n")
    file.chmod(0o644)
    with another_user(), measuring_lock(for_all):
        assert file.read_text() == "123\n"
        with pytest.raises(MachineError, match="another harness is measuring"), measuring_lock(for_all):
            pass


def test_a_file_that_may_not_even_be_read_is_opened_by_its_owner_and_no_other_lock_is_advised(for_all: Path) -> None:
    file = for_all / NAME
    file.touch()
    file.chmod(0o600)
    with another_user(), pytest.raises(MachineError, match="Permission denied") as caught, measuring_lock(for_all):
        pass
    assert f"chmod a+rw {file}" in caught.value.remedy
    assert "BENCH_LOCK_DIR" not in caught.value.remedy
    with measuring_lock(for_all):
        assert file.stat().st_mode & 0o777 == 0o666


def test_files_of_others_in_sticky_folders_are_opened_without_making_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # fs.protected_regular refuses O_CREAT there, even where the file may be written.
    (tmp_path / NAME).touch()
    real = os.open

    def protected(path: Path, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *mode)

    monkeypatch.setattr(os, "open", protected)
    with measuring_lock(tmp_path):
        pass


def test_one_that_is_made_by_another_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def racing(path: Path, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT:
            os.close(real(path, os.O_WRONLY | os.O_CREAT, 0o666))
        return real(path, flags, *mode)

    monkeypatch.setattr(os, "open", racing)
    with measuring_lock(tmp_path):
        assert (tmp_path / NAME).read_text() == f"{os.getpid()}\n"


def test_a_folder_that_cannot_be_written_is_one_message(for_all: Path) -> None:
    for_all.chmod(0o755)
    with another_user(), pytest.raises(MachineError, match="Permission denied") as caught, measuring_lock(for_all):
        pass
    assert "BENCH_LOCK_DIR" in caught.value.remedy


def test_a_second_name_of_another_file_is_neither_written_nor_opened_to_all(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o600)
    (tmp_path / NAME).hardlink_to(victim)
    with pytest.raises(MachineError, match="is no lock"), measuring_lock(tmp_path):
        pass
    assert (victim.read_text(), victim.stat().st_mode & 0o777) == ("precious", 0o600)


def test_a_pipe_is_not_waited_for(for_all: Path) -> None:
    os.mkfifo(for_all / NAME, 0o644)
    for_all.chmod(0o755)
    with another_user(), pytest.raises(MachineError, match="is no lock"), measuring_lock(for_all):
        pass


def test_what_another_user_wrote_into_the_file_is_no_text_for_the_terminal(tmp_path: Path) -> None:
    with measuring_lock(tmp_path):
        (tmp_path / NAME).write_text("\x1b[2J")
        with pytest.raises(MachineError, match="process unknown"), measuring_lock(tmp_path):
            pass


def test_a_full_disk_costs_only_the_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with measuring_lock(tmp_path):
        pass


@pytest.mark.parametrize(("mode", "shared"), [(0o1777, True), (0o755, False), (0o775, False)])
def test_the_folder_is_the_same_for_root_and_for_users_whatever_their_environment(
    for_all: Path, monkeypatch: pytest.MonkeyPatch, mode: int, shared: bool
) -> None:
    run_lock, for_everybody = for_all / "lock", for_all / "tmp"
    run_lock.mkdir()
    run_lock.chmod(mode)
    monkeypatch.setattr(locks, "RUN_LOCK", run_lock)
    monkeypatch.setattr(locks, "TMP", for_everybody)
    monkeypatch.setattr(tempfile, "tempdir", str(for_all / "own"))
    as_root = lock_folder({"TMPDIR": "/srv/own/tmp"})
    with another_user():
        as_user = lock_folder({"TMPDIR": "/home/somebody/tmp"})
    assert as_root == as_user == (run_lock if shared else for_everybody)


def test_without_run_lock_it_is_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "RUN_LOCK", tmp_path / "none")
    assert lock_folder({}) == Path("/tmp")
