"""Beside each table of rates: how often equal things were held against each other, and who had the numbers again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.analysis.results import read_results
from harness.report.data import ReportData
from harness.report.sections.rates import render
from harness.store.reproductions import Conclusion, ReproducedCell, Reproduction
from harness.values.block import Paragraph

GOLDEN = Path(__file__).parents[2] / "golden" / "complete"


def reproduction(*cells: ReproducedCell) -> Reproduction:
    return Reproduction(
        created_utc="2026-11-28T12:00:00+00:00", report="x", matrix_sha256="0" * 64, first_machine="a",
        second_machine="b", first_sessions=(), second_sessions=(), harness_version="0.1.0", harness_source=None,
        folder="x", day_sd=0.01, conclusion=Conclusion.INCONCLUSIVE, cells=cells,
    )  # fmt: skip


def counted(data: ReportData) -> list[str]:
    return [block.text for block in render(data) if isinstance(block, Paragraph)][:-1]


def test_controls_are_counted_beside_the_tests_that_they_are_of() -> None:
    prompt, generation = counted(ReportData(name="x", machines=tuple(read_results(GOLDEN))))
    for text in (prompt, generation):
        assert text == (
            "A/A controls of these tests: 1, none with a difference that is not there. Nobody has measured them again."
        )


def test_reproductions_are_counted_by_their_cells() -> None:
    machines = tuple(read_results(GOLDEN))
    prompts = [result.cell.id for result in machines[0].cells if result.cell.test.kind == "pp"][:2]
    tried = reproduction(
        ReproducedCell(cell=prompts[0], conclusion=Conclusion.REPRODUCED),
        ReproducedCell(cell=prompts[1], conclusion=Conclusion.NOT_REPRODUCED),
    )
    prompt, generation = counted(ReportData(name="x", machines=machines, reproductions=(tried,)))
    assert prompt.endswith(" Measured again by others: 2 cells, 1 reproduced.")
    assert generation.endswith(" Nobody has measured them again.")


def test_a_matrix_without_a_control_says_so() -> None:
    (machine, *_) = read_results(GOLDEN)
    alone = replace(machine, cells=tuple(result for result in machine.cells if not result.cell.label))
    for text in counted(ReportData(name="x", machines=(alone,))):
        assert text.startswith("No A/A control of these tests.")
