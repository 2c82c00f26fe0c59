from pathlib import Path

import pytest

from harness.errors import InputError, MachineError
from harness.machine.identity import checked_name, machine_name
from harness.values.facts import Device

GPU = Device(vendor="nvidia", kind="gpu", name="NVIDIA GeForce RTX 4090")


def name(tmp_path: Path, *, machine_id: str = "abc", devices: tuple[Device, ...] = ()) -> str:
    (tmp_path / "machine-id").write_text(machine_id)
    return machine_name(cpu="AMD EPYC", cores=2, devices=devices, state=tmp_path / "state", etc=tmp_path)


def test_the_name_is_the_same_tomorrow_and_hides_the_machine_id(tmp_path: Path) -> None:
    first = name(tmp_path, machine_id="abc")
    assert first == name(tmp_path, machine_id="abc")
    assert first.startswith("amd-epyc-2c-")
    assert "abc" not in first.removeprefix("amd-epyc-2c-") or len(first) > len("amd-epyc-2c-abc")


def test_other_machines_and_other_keys_have_other_names(tmp_path: Path) -> None:
    names = {name(tmp_path, machine_id="abc"), name(tmp_path, machine_id="def")}
    (tmp_path / "state/machine.key").unlink()
    names.add(name(tmp_path, machine_id="abc"))
    assert len(names) == 3


def test_the_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    name(tmp_path)
    assert (tmp_path / "state/machine.key").stat().st_mode & 0o777 == 0o600


def test_a_damaged_key_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/machine.key").write_bytes(b"short")
    assert name(tmp_path) == name(tmp_path)


def test_a_gpu_gives_the_name_unless_it_cannot_be_used(tmp_path: Path) -> None:
    assert name(tmp_path, devices=(GPU,)).startswith("nvidia-geforce-rtx-4090-")
    broken = Device(vendor="nvidia", kind="gpu", name="NVIDIA GeForce RTX 4090", problem="no driver")
    assert name(tmp_path, devices=(broken,)).startswith("amd-epyc-2c-")


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(MachineError, match="XDG_STATE_HOME"):
        name(tmp_path)


@pytest.mark.parametrize("bad", ["", "../x", "a b", "A", "x" * 65, "a/b", ".hidden"])
def test_names_that_are_no_file_names_are_refused(bad: str) -> None:
    with pytest.raises(InputError, match="--machine"):
        checked_name(bad)
