"""Workflow files: valid, every action pinned to a commit, no right too many, and no command but ours."""

import re
import shlex
from pathlib import Path

import pytest
from invoke import Collection

import tasks as our_tasks
from harness.formats import strict_yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github/workflows").glob("*"))
USED = re.compile(r"^\s*-?\s*uses:\s*(?P<action>\S+)(?P<rest>.*)$", re.MULTILINE)


def test_there_is_one_for_pages() -> None:
    assert "pages.yml" in {path.name for path in FILES}


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def workflow(request: pytest.FixtureRequest) -> Path:
    return request.param


def steps(workflow: Path) -> list[dict]:
    jobs = strict_yaml.load(workflow.read_bytes(), file=workflow.name).data["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def test_it_is_valid_and_has_jobs_with_a_time_limit(workflow: Path) -> None:
    data = strict_yaml.load(workflow.read_bytes(), file=workflow.name).data
    assert {"name", "on", "permissions", "jobs"} <= set(data)
    assert all(job["timeout-minutes"] <= 60 for job in data["jobs"].values())


def test_every_action_is_github_s_own_and_pinned_to_a_commit_with_its_version_beside_it(workflow: Path) -> None:
    used = list(USED.finditer(workflow.read_text()))
    assert len(used) == sum("uses" in step for step in steps(workflow))
    for match in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", match["action"]), match["action"]
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", match["rest"]), match["rest"]


def test_it_runs_only_commands_of_ours_with_flags_that_they_have(workflow: Path) -> None:
    collection = Collection.from_module(our_tasks)
    commands = [shlex.split(line) for step in steps(workflow) for line in step.get("run", "").splitlines()]
    assert commands
    for program, task, *arguments in commands:
        assert program == "./bench"
        known = {flag for argument in collection[task].get_arguments() for flag in argument.names}
        for flag in arguments:
            if flag.startswith("--"):
                assert flag.removeprefix("--").replace("-", "_") in known, (task, flag)


def test_rights_are_given_job_by_job_and_nothing_from_outside_is_put_into_a_command(workflow: Path) -> None:
    data = strict_yaml.load(workflow.read_bytes(), file=workflow.name).data
    assert data["permissions"] == {}
    assert "pull_request_target" not in data["on"]
    for job in data["jobs"].values():
        writes = {name for name, right in job["permissions"].items() if right == "write"}
        assert writes <= {"pages", "id-token"}
        assert not (writes and any("run" in step for step in job["steps"]))
    assert all("${{" not in step.get("run", "") for step in steps(workflow))
