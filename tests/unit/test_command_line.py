"""Mistakes on the command line of `./bench`: told with what to do, and never with the exit code of a failed cell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
        (("matrix", "--gate-wait", "soon"), "a flag's value is no number", "'soon'"),
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


def test_the_version_is_the_projects():
    assert bench("--version").stdout.strip() == "llama-bench-harness 0.1.0"


def test_a_reader_that_goes_away_sees_no_traceback():
    command = f"{sys.executable} tasks_program.py --list | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
