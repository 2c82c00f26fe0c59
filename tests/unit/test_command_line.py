"""Mistakes on the command line of `./bench`: told with what to do, and never with the exit code of a failed cell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tasks_program import with_sources

ROOT = Path(__file__).parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "tasks_program.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "wrong", "meant"),
    [
        (("matrix", "--fil", "x"), "matrix: '--fil' is neither a flag of it nor a task", "Did you mean --file?"),
        (("compare", "--fail-if-slowr", "3%"), "compare: '--fail-if-slowr'", "Did you mean --fail-if-slower?"),
        (("matrxi",), "'matrxi' is no task and no flag", "Did you mean matrix?"),
        (("--lst",), "'--lst' is no task and no flag", "Did you mean --list?"),
        (("matrix", "--file"), "matrix: --file needs a value", "`./bench --help matrix` lists what it takes"),
        (("merge",), "merge: needs 'sources'", "`./bench --help merge` lists what it takes"),
        (("plan", "--file", "demo.yaml", "x"), "plan: 'x' is neither", "`./bench --help plan` lists what it takes"),
        (("contribute", "demo"), "contribute: needs --to, your clone", "./bench contribute demo --to ../results"),
        (
            ("matrix", "--gate-wait", "soon"),
            "matrix: --gate-wait needs a number, not 'soon'",
            "`./bench --help matrix`",
        ),
        (
            ("compare", "--gate-wait=soon"),
            "compare: --gate-wait needs a number, not 'soon'",
            "`./bench --help compare`",
        ),
        (("bisect", "--repetitions", "1.5"), "bisect: --repetitions needs a whole number, not '1.5'", "--help bisect`"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_a_mistake_in_the_input(arguments, wrong, meant):
    done = bench(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(wrong)
    assert meant in done.stderr
    assert "\n  -> " in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_a_value_for_a_task_does_not_look_like_a_flag_that_was_meant():
    assert "Did you mean" not in bench("export", "reports/demo").stderr


def test_help_names_the_command_that_is_typed():
    assert "Usage: ./bench [--core-opts] plan" in bench("--help", "plan").stdout


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("task", ["diff-env", "merge", "plan"])
def test_help_may_follow_a_task_whatever_the_task_needs(task: str, flag: str):
    done = bench(task, flag)
    assert done.returncode == 0, done.stderr
    assert f"Usage: ./bench [--core-opts] {task}" in done.stdout


def test_the_version_is_the_projects():
    assert bench("--version").stdout.strip() == "llama-bench-harness 0.1.0"


def test_a_reader_that_goes_away_sees_no_traceback():
    command = f"{sys.executable} tasks_program.py --list | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("merge a", "merge a"),
        ("merge a b c --out x", "merge a --source b --source c --out x"),
        ("merge --out x a b", "merge --out x a --source b"),
        ("merge a -o b c", "merge a -o b --source c"),
        ("merge a --no-report b", "merge a --no-report --source b"),
        ("merge -s a b", "merge -s a b"),
        ("merge a --out", "merge a --out"),
        ("--echo merge a b", "--echo merge a --source b"),
        ("report --file merge", "report --file merge"),
        ("verify a merge", "verify a merge"),
    ],
)
def test_sources_of_a_merge_stand_one_after_the_other(given, read):
    assert with_sources(["./bench", *given.split()]) == ["./bench", *read.split()]


def test_what_follows_a_merge_is_a_source_and_no_task(tmp_path):
    done = bench("merge", str(tmp_path / "one"), str(tmp_path / "two"), "--out", str(tmp_path / "x"))
    assert done.returncode == 2
    assert "neither a flag of it nor a task" not in done.stderr
