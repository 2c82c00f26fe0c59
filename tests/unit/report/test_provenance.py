"""What the table of provenance says about locks and tags that move."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from harness.analysis.results import read_results
from harness.report.data import ReportData
from harness.report.sections import reproduce
from harness.report.sections.provenance import render
from harness.values.block import Code, Paragraph, Table

GOLDEN = Path(__file__).parents[2] / "golden" / "complete"


def tables(*, lock: str | None, moving: bool) -> list[Table]:
    (machine, *_) = read_results(GOLDEN)
    session = replace(machine.latest, lock_sha256=lock)
    cells = tuple(
        replace(cell, image=replace(cell.image, ref="ghcr.io/a/b:full", moving=moving) if cell.image else None)
        for cell in machine.cells
    )
    shown = replace(machine, sessions=(session,), cells=cells)
    return [block for block in render(ReportData(name="x", machines=(shown,))) if isinstance(block, Table)]


def test_a_lock_stands_beside_the_matrix_that_it_is_of() -> None:
    harness, *_ = tables(lock="c" * 64, moving=False)
    assert str(harness.rows[0][2]).endswith(f", lock {'c' * 64}")
    harness, *_ = tables(lock=None, moving=False)
    assert "lock" not in str(harness.rows[0])


def test_each_machine_has_its_images_its_checkout_and_commands_stand_once() -> None:
    (machine, *_) = read_results(GOLDEN)
    other = replace(
        machine,
        machine=replace(machine.machine, machine="another"),
        sessions=(replace(machine.latest, harness_source="abc123-dirty"),),
    )
    data = ReportData(name="x", machines=(machine, other))
    blocks = render(data)
    images = [block for block in blocks if isinstance(block, Table)][1]
    assert images.columns[0] == "Machine"
    assert {row[0] for row in images.rows} == {machine.machine.machine, "another"}
    (commands,) = [block.text.splitlines() for block in blocks if isinstance(block, Code)]
    assert len(commands) == len(set(commands))
    again = reproduce.render(data)
    (lines,) = [block.text.splitlines() for block in again if isinstance(block, Code)]
    # A commit from before the report was made does not have its folder, and none has later commands: no checkout.
    assert lines == [f"./bench reproduce reports/x --of {name}" for name in (machine.machine.machine, "another")]
    (told,) = [block.text for block in again[-1:] if isinstance(block, Paragraph)]
    assert f"commit 72e5af5699c5 with changes that are not in it ({machine.machine.machine})" in told
    assert "commit abc123 with changes that are not in it (another)" in told
    assert "follow the recipes of the checkout" in told


def test_the_commands_to_do_it_again_are_for_the_checkout_that_holds_the_report() -> None:
    reports = sorted((GOLDEN.parents[2] / "reports").glob("*/report.md"))
    assert reports
    for report in reports:
        (block,) = re.findall(r"^## Do it again$.*?```sh\n(.*?)```", report.read_text(), re.DOTALL | re.MULTILINE)
        machines = {results.machine.machine for results in read_results(report.parent)}
        for command in block.splitlines():
            said = re.fullmatch(r"\./bench reproduce reports/(\S+)(?: --of (\S+))?", command)
            assert said, command
            assert said[1] == report.parent.name
            assert said[2] in machines or (said[2] is None and len(machines) == 1)


def test_an_image_by_a_moving_tag_is_marked() -> None:
    assert {row[1] for row in tables(lock=None, moving=True)[1].rows} == {"ghcr.io/a/b:full (moving tag)"}
    assert {row[1] for row in tables(lock=None, moving=False)[1].rows} == {"ghcr.io/a/b:full"}
