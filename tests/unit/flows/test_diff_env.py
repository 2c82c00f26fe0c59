import json
from typing import Any

import pytest

from harness.errors import InputError
from harness.flows.diff_env import find_session, show_differences
from harness.flows.workspace import CHECKOUT

GOLDEN = CHECKOUT / "tests/golden"


def test_a_folder_a_file_a_machine_and_a_session_are_found(harness: Any, tiny: str) -> None:
    harness.measure(harness.matrix(tiny))
    (path,) = (harness.workspace.reports / "tiny/sessions").glob("*.json")
    session = path.stem.removeprefix("box-")
    for name in ("tiny", "tiny#box", f"tiny#{session}", str(path), "box", session):
        assert find_session(name, harness.workspace).id == session
    for name in ("nobody", "tiny#nobody"):
        with pytest.raises(InputError):
            find_session(name, harness.workspace)


def test_several_machines_have_to_be_told_apart(harness: Any) -> None:
    folder = str(GOLDEN / "two-machines")
    with pytest.raises(InputError, match="several machines: strix-a, strix-b"):
        find_session(folder, harness.workspace)
    assert find_session(f"{folder}#strix-b", harness.workspace).machine.machine == "strix-b"


def test_it_is_shown_as_a_table_and_as_json(harness: Any, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (str(path) for path in (GOLDEN / "complete", CHECKOUT / "reports/demo"))
    show_differences(first, second, workspace=harness.workspace)
    shown = capsys.readouterr().out
    assert "repetitions" in shown
    show_differences(first, second, as_json=True, workspace=harness.workspace)
    told = json.loads(capsys.readouterr().out)
    assert "repetitions" in [difference["field"] for difference in told["differences"]]
    show_differences(first, first, workspace=harness.workspace)
    assert "nothing that is known on both sides differs" in capsys.readouterr().out
