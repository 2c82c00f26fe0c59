import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import MachineError
from harness.machine.locks import lock_folder, measuring_lock


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
