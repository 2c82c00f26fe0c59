"""What limits each cell, and what to do: a paragraph each, from its own numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.analysis.bottleneck import diagnose
from harness.analysis.results import CellResult, MachineResults
from harness.report.data import ReportData
from harness.values.block import Block, Heading, Paragraph, Table
from harness.values.limit import Diagnosis, Limit

_KINDS = {"pp": "Prompt processing", "tg": "Text generation"}

Found = tuple[MachineResults, CellResult, Diagnosis]


def render(data: ReportData) -> tuple[Block, ...]:
    """A table of all cells that something is known of, and a paragraph for each; empty where nothing is."""
    found = [(m, c, d) for m, c in data.rows() if (d := diagnose(c, m)) is not None]
    known = [row for row in found if row[2].limit is not Limit.UNKNOWN]
    if not known:
        return ()
    columns = (*(("Machine",) if data.several else ()), "Cell", "Limited by", "Decided by")
    rows = tuple(_row(data, *row) for row in known)
    blocks: list[Block] = [
        Heading(level=2, text="What limits it, and what to do"),
        Paragraph(
            text="A cell is one test of one model with one backend and its settings. The plainest cause that the "
            "measurements show, asked in a fixed order: memory, quotas, other programs, heat and power, the way to the "
            "device, then bandwidth against arithmetic. It is a judgement by rules, and its bounds and its errors on "
            "planted causes are in docs/bottleneck.md."
        ),
        _in_short(known),
        Table(columns=columns, rows=rows, align=("left",) * len(columns)),
    ]
    blocks += [Paragraph(text=_paragraph(data, *row)) for row in known]
    blocks += [Paragraph(text=text) for text in _unknown(data, found)]
    return tuple(blocks)


def _unknown(data: ReportData, found: Sequence[Found]) -> list[str]:
    """A sentence a machine with cells of which nothing is known."""
    sentences = []
    for machine in data.machines:
        mine = [row for row in found if row[0] is machine]
        unknown = [row[1].cell.id for row in mine if row[2].limit is Limit.UNKNOWN]
        if unknown:
            where = f" on {machine.machine.machine}" if data.several else ""
            which = f"all {len(mine)} cells" if len(unknown) == len(mine) > 1 else ", ".join(unknown)
            sentences.append(f"Not known{where}, since nothing that would decide was recorded there: {which}.")
    return sentences


def _in_short(known: Sequence[Found]) -> Table:
    """How many cells each cause limits, the most first, and what to do about it."""
    total = Counter(result.cell.test.kind for _, result, _ in known)
    found = Counter((result.cell.test.kind, str(d.limit), d.todo) for _, result, d in known)
    order = sorted(found, key=lambda key: (list(_KINDS).index(key[0]), -found[key]))
    return Table(
        columns=("Test", "Limited by", "Cells", "What to do"),
        rows=tuple((_KINDS[key[0]], key[1], f"{found[key]} of {total[key[0]]}", key[2]) for key in order),
        align=("left", "left", "right", "left"),
        caption="In short",
    )


def _row(data: ReportData, machine: MachineResults, result: CellResult, found: Diagnosis) -> tuple[str, ...]:
    cells = (result.cell.id, str(found.limit), found.decided_by)
    return (machine.machine.machine, *cells) if data.several else cells


def _paragraph(data: ReportData, machine: MachineResults, result: CellResult, found: Diagnosis) -> str:
    where = f" on {machine.machine.machine}" if data.several else ""
    sentences = (f"{result.cell.id}{where}: {found.limit}: {found.because}.", *found.figures, found.todo)
    return " ".join(sentence for sentence in sentences if sentence)
