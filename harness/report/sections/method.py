"""How it was measured: enough to judge the numbers by."""

from __future__ import annotations

from harness.report.data import ReportData
from harness.values.block import Block, Heading, Paragraph, Table
from harness.values.record import PROTOCOL


def render(data: ReportData) -> tuple[Block, ...]:
    """The protocol in short, and a row a machine."""
    rows = []
    for machine in data.machines:
        session = machine.latest
        used = {name for result in machine.cells for name in result.sessions}
        waited = sum(1 for record in machine.records if record.counted and record.gate.get("waited_s", 0))
        not_quiet = sum(1 for record in machine.records if record.counted and record.gate.get("passed") is False)
        outliers = sum(result.outliers for result in machine.cells)
        rows.append(
            (
                machine.machine.machine,
                f"{session.preset}: {session.rounds} x {session.repetitions}",
                str(session.seed),
                str(len(used)),
                f"{waited} / {not_quiet}",
                str(outliers),
                machine.machine.governor or "unknown",
                machine.machine.virtualization or "unknown",
            )
        )
    columns = (
        "Machine",
        "Preset: rounds x repetitions",
        "Seed",
        "Starts",
        "Runs that waited / were not quiet",
        "Runs beyond Tukey's fences",
        "Governor",
        "Virtualization",
    )
    return (
        Heading(level=2, text="How it was measured"),
        Paragraph(
            text=f"Protocol {PROTOCOL}: after a discarded warm-up round, every round visits every cell once in an "
            "order shuffled with the seed. A run is a fresh container without a network, and starts when other "
            "programs use less than 5 % of the machine. The first repetition of a run is kept and not counted. "
            "Nothing is removed for being far from the rest. Intervals are between order statistics of the run values."
        ),
        Table(columns=columns, rows=tuple(rows), align=("left",) * len(columns)),
    )
