"""Nothing of a simulated report can be copied out of it without saying that it is simulated."""

from dataclasses import replace
from pathlib import Path

from harness.report.report import read_data, report_blocks
from harness.report.writers import markdown
from harness.values.block import Chart, Table

GOLDEN = Path(__file__).resolve().parents[2] / "golden/complete"


def test_every_table_and_chart_of_a_simulated_report_says_so() -> None:
    real = read_data(GOLDEN)
    machines = tuple(
        replace(machine, cells=tuple(replace(cell, simulated=True) for cell in machine.cells))
        for machine in real.machines
    )
    blocks = report_blocks(replace(real, machines=machines))
    tables = [block for block in blocks if isinstance(block, Table)]
    assert len(tables) > 5
    assert all(table.columns[0].endswith("(simulated)") for table in tables)
    assert all(block.title.endswith("(simulated)") for block in blocks if isinstance(block, Chart))
    text = markdown.write(blocks)
    assert "Simulated: nothing here was measured." in text
    assert "./bench reproduce" not in text
    assert not any("(simulated)" in str(block) for block in report_blocks(real))
