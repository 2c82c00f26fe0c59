"""A contribution is one commit on a new branch of a clone, or nothing at all."""

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.errors import BenchError, CellsFailedError, InputError, MachineError
from harness.flows.contribute import ContributeRequest, contribute
from harness.flows.verify import findings_of
from harness.flows.workspace import Workspace
from tests.rig.repository import change, repository

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git on PATH")


def git(clone: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(clone), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ada@example.org")
    clone = tmp_path / "clone"
    (clone / "reports").mkdir(parents=True)
    (clone / "reports/README").write_text("results\n")
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(clone))
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "first")
    return repository(tmp_path)


def state(clone: Path) -> tuple[str, ...]:
    return tuple(
        git(clone, *a) for a in (("status", "--porcelain"), ("branch", "--list"), ("log", "--oneline", "--all"))
    )


def test_records_come_into_the_clone_as_one_commit_on_a_new_branch(
    made: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    clone = made.cwd / "clone"
    branch = contribute(ContributeRequest(report="reports/demo", to="clone"), made)
    assert git(clone, "rev-parse", "--abbrev-ref", "HEAD") == branch
    assert git(clone, "status", "--porcelain") == ""
    assert git(clone, "rev-list", "--count", f"main..{branch}") == "1"
    changed = git(clone, "diff", "--name-only", "main").splitlines()
    assert all(path.startswith("reports/demo/") for path in changed)
    assert {"reports/demo/report.md", "reports/demo/index.html", "reports/demo/matrix.yaml"} <= set(changed)
    assert findings_of(clone / "reports/demo", made)[1] == ()
    said = capsys.readouterr().out
    assert f"push -u origin {branch}" in said
    assert "pull request" in said


def test_a_contribution_without_a_clone_is_refused_and_no_folder_is_guessed(made: Workspace) -> None:
    """An empty path would be the current folder, which may well be a clone of something."""
    made = dataclasses.replace(made, cwd=made.cwd / "clone")
    for to in ("", " "):
        with pytest.raises(InputError, match="needs --to, your clone of the repository of results") as error:
            contribute(ContributeRequest(report="demo", to=to), made)
        assert error.value.where == "contribute"
        assert "--to ../results" in error.value.remedy
    assert git(made.cwd, "branch", "--list") == "* main"


def test_the_name_of_a_machine_cannot_be_struck_out(made: Workspace) -> None:
    before = state(made.cwd / "clone")
    (machine,) = (path.stem for path in (made.reports / "demo/records").glob("*.jsonl"))
    with pytest.raises(InputError, match=f"stands in the name of machine {machine} of demo"):
        contribute(ContributeRequest(report="demo", to="clone", strike=(machine,)), made)
    assert state(made.cwd / "clone") == before


def test_the_records_of_others_stay(made: Workspace) -> None:
    clone = made.cwd / "clone"
    contribute(ContributeRequest(report="demo", to="clone"), made)
    git(clone, "switch", "--quiet", "main")
    git(clone, "merge", "--quiet", "-")
    other = "other-machine"
    folder = made.reports / "demo"
    (old,) = (path.stem for path in (folder / "records").glob("*.jsonl"))

    start = "20270101T000000Z-0000aa"

    def rename(session: dict) -> None:
        session["machine"]["machine"] = other
        session["id"] = start

    change(folder, session=rename, record=lambda value: value.update(machine=other, session=start))
    next(folder.glob("sessions/*")).rename(folder / f"sessions/{other}-{start}.json")
    for path in [*folder.glob("records/*"), *folder.glob("journal/*")]:
        path.rename(path.with_name(path.name.replace(old, other)))
    contribute(ContributeRequest(report="demo", to="clone", branch="more"), made)
    assert {path.stem for path in (clone / "reports/demo/records").glob("*.jsonl")} == {old, other}
    assert findings_of(clone / "reports/demo", made)[1] == ()


def test_the_same_again_is_told_and_leaves_the_clone_as_it_was(made: Workspace) -> None:
    clone = made.cwd / "clone"
    contribute(ContributeRequest(report="demo", to="clone"), made)
    git(clone, "switch", "--quiet", "main")
    git(clone, "merge", "--quiet", "-")
    before = state(clone)
    with pytest.raises(InputError, match="there already"):
        contribute(ContributeRequest(report="demo", to="clone", branch="again"), made)
    assert state(clone) == before


def test_a_person_does_not_come_along(made: Workspace) -> None:
    change(made.reports / "demo", session=lambda data: data.update(notes="bird@mail.example.org"))
    branch = contribute(ContributeRequest(report="demo", to="clone"), made)
    assert "bird@mail" not in git(made.cwd / "clone", "show", branch)


def test_what_may_not_be_published_is_no_contribution(made: Workspace) -> None:
    before = state(made.cwd / "clone")
    change(made.reports / "demo", session=lambda data: data.update(rounds=9))
    with pytest.raises(CellsFailedError):
        contribute(ContributeRequest(report="demo", to="clone"), made)
    assert state(made.cwd / "clone") == before
    request = ContributeRequest(report="demo", to="clone", declare=("demo:incomplete=interrupted",))
    contribute(request, made)
    assert 'incomplete: "interrupted"' in (made.cwd / "clone/reports/demo/declared.yaml").read_text()


def test_simulated_results_are_no_contribution(made: Workspace) -> None:
    change(made.reports / "demo", record=lambda value: value.update(simulated=True))
    with pytest.raises(BenchError):
        contribute(ContributeRequest(report="demo", to="clone", declare=("demo:simulated=x",)), made)


def test_where_git_refuses_the_clone_is_as_it_was(made: Workspace) -> None:
    clone = made.cwd / "clone"
    hook = clone / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no results on Sundays >&2\nexit 1\n")
    hook.chmod(0o755)
    before = state(clone)
    with pytest.raises(MachineError, match="no results on Sundays"):
        contribute(ContributeRequest(report="demo", to="clone"), made)
    assert state(clone) == before
    assert not (clone / "reports/demo").exists()


@pytest.mark.parametrize(
    ("report", "to", "said"),
    [("nowhere", "clone", "holds no records"), ("demo", "nowhere", "no clone"), ("demo", "reports", "no clone")],
)
def test_mistakes_are_told(made: Workspace, report: str, to: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        contribute(ContributeRequest(report=report, to=to), made)


def test_a_clone_with_changes_is_left_alone(made: Workspace) -> None:
    (made.cwd / "clone/reports/mine").write_text("x")
    before = state(made.cwd / "clone")
    with pytest.raises(InputError, match="in no commit"):
        contribute(ContributeRequest(report="demo", to="clone"), made)
    assert state(made.cwd / "clone") == before
