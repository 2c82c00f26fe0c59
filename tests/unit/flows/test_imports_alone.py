"""A folder of imported results only: checked for what it is, and never published as if something had been measured."""

from pathlib import Path

import pytest

from harness.errors import CellsFailedError, InputError
from harness.flows.contribute import ContributeRequest, contribute
from harness.flows.import_results import ImportRequest, import_results
from harness.flows.publish_site import PublishRequest, publish
from harness.flows.verify import verify
from harness.flows.workspace import Workspace
from tests.rig.repository import workspace

TABLE = """| model | size | params | backend | ngl | test | t/s |
| --- | --- | --- | --- | --- | --- | --- |
| llama 7B Q4_0 | 3.56 GiB | 6.74 B | Vulkan | 99 | pp512 | 1000.00 ± 5.00 |
| llama 7B Q4_0 | 3.56 GiB | 6.74 B | Vulkan | 99 | tg128 | 131.42 ± 0.59 |

build: 0c1e57098 (6110)
"""


@pytest.fixture
def made(tmp_path: Path) -> Workspace:
    made = workspace(tmp_path)
    (tmp_path / "o.md").write_text(TABLE)
    import_results(ImportRequest(file="o.md", out="mine", device="Some GPU"), made)
    return made


def test_its_rows_and_its_report_are_verified(made: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    verify("mine", workspace=made)
    said = " ".join(capsys.readouterr().out.split())
    assert said == (
        "verified: 2 imported rows are as they were imported, and every line of report.md follows from them; "
        "nothing here was measured by this program, so nothing else can be verified"
    )


@pytest.mark.parametrize("file", ["imports", "report.md"])
def test_a_change_is_found(made: Workspace, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = made.reports / "mine"
    path = next((folder / file).glob("*.jsonl")) if file == "imports" else folder / file
    path.write_text(path.read_text().replace("131", "931"))
    with pytest.raises(CellsFailedError, match="not as they were"):
        verify("mine", workspace=made)
    assert f"  {file}" in capsys.readouterr().out


def test_rows_under_the_name_of_another_text_are_found(made: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = (made.reports / "mine/imports").glob("*.jsonl")
    path.rename(path.with_name("0123456789abcdef.jsonl"))
    with pytest.raises(CellsFailedError):
        verify("mine", workspace=made)
    assert "imports/0123456789abcdef.jsonl: holds rows of another text" in capsys.readouterr().out


def test_it_is_not_published_by_its_name(made: Workspace) -> None:
    """A merge leaves an empty folder of records beside the imported rows: no measurement either."""
    for _ in range(2):
        with pytest.raises(InputError, match="holds imported results only, and no site is made of them alone") as error:
            publish(PublishRequest(reports=("mine",)), made)
        assert "./bench merge" in error.value.remedy
        (made.reports / "mine/records").mkdir(exist_ok=True)
    assert not (made.cwd / "site").exists()


def test_a_repository_of_such_folders_has_nothing_to_publish(
    made: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    (made.reports / "mine/records").mkdir()
    with pytest.raises(InputError, match="there are no records"):
        publish(PublishRequest(), made)
    assert "left out, since they hold imported results only: mine" in capsys.readouterr().out


@pytest.mark.parametrize("named", ["mine", "reports/mine"])
def test_it_is_not_contributed_and_the_imports_are_named(made: Workspace, named: str) -> None:
    """Neither as it was imported nor with the empty folder of records that a merge leaves."""
    (made.cwd / "clone/.git").mkdir(parents=True)
    (made.cwd / "clone/reports").mkdir()
    for _ in range(2):
        with pytest.raises(InputError, match="holds imported results only") as error:
            contribute(ContributeRequest(report=named, to="clone"), made)
        assert error.value.where == named
        assert "./bench merge reports/demo reports/mine --out NAME" in error.value.remedy
        (made.reports / "mine/records").mkdir(exist_ok=True)
