"""An export says what it wrote, makes no folders by itself, and names the flag that is wrong."""

from pathlib import Path

import pytest

from harness.errors import InputError
from harness.flows.export import export
from harness.flows.reproduce import ReproduceRequest, reproduce
from harness.flows.workspace import Workspace
from tests.rig.repository import repository


@pytest.fixture
def made(tmp_path: Path) -> Workspace:
    return repository(tmp_path)


def test_a_file_that_was_written_is_named(made: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    export("demo", format_="csv", out="demo.csv", workspace=made)
    assert (made.cwd / "demo.csv").read_text().startswith("row,trust,")
    assert capsys.readouterr().out == f"written: {made.cwd / 'demo.csv'} (csv)\n"


def test_text_for_the_standard_output_has_nothing_else_with_it(
    made: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    export("demo", format_="csv", out="", workspace=made)
    assert "written" not in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_not_made(made: Workspace) -> None:
    """A misspelt folder would take the file without a word."""
    with pytest.raises(InputError, match="there is no such folder") as error:
        export("demo", format_="csv", out="nowhere/deep/x.csv", workspace=made)
    assert error.value.where == "--out nowhere/deep/x.csv"
    assert error.value.remedy == f"Make {made.cwd / 'nowhere/deep'} first, or look at the name."
    assert not (made.cwd / "nowhere").exists()


def test_a_folder_is_no_file_to_write(made: Workspace) -> None:
    with pytest.raises(InputError, match="is a folder"):
        export("demo", format_="csv", out="reports", workspace=made)


def test_a_report_that_is_not_there_is_told_by_its_flag_and_with_those_that_are(made: Workspace) -> None:
    with pytest.raises(InputError, match="there is no such report") as error:
        export("demoo", format_="csv", out="", workspace=made)
    assert str(error.value) == (
        "--report demoo: there is no such report. Did you mean 'demo'?\n  -> Name a folder, or one of reports/: demo."
    )


def test_any_other_folder_is_no_report(made: Workspace) -> None:
    with pytest.raises(InputError, match="there is no such report") as error:
        export("reports", format_="csv", out="", workspace=made)
    assert error.value.where == "--report reports"


def test_what_is_reproduced_is_a_report_too(made: Workspace) -> None:
    with pytest.raises(InputError, match="there is no such report") as error:
        reproduce(ReproduceRequest(folder="nosuch"), workspace=made)
    assert error.value.where == "nosuch"


def test_a_matrix_without_results_stands_for_its_report_all_the_same(made: Workspace) -> None:
    with pytest.raises(InputError, match="no records"):
        export("rtx4090", format_="csv", out="", workspace=made)
