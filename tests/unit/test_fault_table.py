"""docs/faults.md is true: all fifty faults stand in it, and every test that it and gpus.md name is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from harness.values.failure import Reason

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in (ROOT / "docs/faults.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \d+ \|", line)
]
WITH = {"real containers", "real files", "captured outputs", "a fake", "not met"}


@cache
def defined_in(path: str) -> frozenset[str]:
    """`function` and `Class::function` of a file of tests."""
    found = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return frozenset(found)


def test_all_fifty_are_there_once() -> None:
    assert [int(row[0]) for row in ROWS] == list(range(1, 51))


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_row_is_whole_and_its_tests_exist(row: list[str]) -> None:
    _, fault, outcome, tests, how = row
    assert fault
    assert outcome
    assert how in WITH
    named = re.findall(r"`([^`]+)`", tests)
    assert bool(named) == (how != "not met"), "what is met has a test, what is not says why"
    for name in named:
        path, _, test = name.partition("::")
        assert test.rpartition("::")[2].startswith("test_")
        assert test in defined_in(path), name
    real = [name for name in named if name.startswith(("tests/engine/", "tests/real/", "tests/slow/"))]
    assert bool(real) == (how == "real containers")


def test_every_way_to_fail_of_a_gpu_has_a_test_on_a_real_engine() -> None:
    text = (ROOT / "docs/gpus.md").read_text(encoding="utf-8")
    section = text.partition("## Each way to fail, on a real engine")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if "::test_" in line]
    assert len(rows) == 10
    for row in rows:
        _, _, reasons, tests, _ = (cell.strip() for cell in row.split("|"))
        assert set(re.findall(r"`(\w+)`", reasons)) <= {reason.value for reason in Reason}
        for name in re.findall(r"`([^`]+)`", tests):
            path, _, test = name.partition("::")
            assert path.startswith(("tests/engine/", "tests/real/", "tests/slow/"))
            assert test in defined_in(path), name
