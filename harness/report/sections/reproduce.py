"""The command to do it again."""

from __future__ import annotations

from harness.report.data import ReportData
from harness.values.block import Block, Code, Heading, Paragraph


def render(data: ReportData) -> tuple[Block, ...]:
    """With the harness's commit, from the copy of the matrix file in this folder."""
    if any(cell.simulated for _, cell in data.rows()):
        return (
            Heading(level=2, text="Do it again"),
            Paragraph(text="Simulated results are no numbers to be reproduced."),
        )
    lines: list[str] = []
    checkouts: list[str] = []
    dirty = []
    for machine in data.machines:
        # Each with the harness that measured it; one checkout serves all machines that have it in common.
        named = machine.latest.harness_source or ""
        checkout = [f"git checkout {named.removesuffix('-dirty')}"] if named else []
        lines += [line for line in checkout if line not in checkouts[-1:]]
        checkouts += checkout
        dirty += [machine.machine.machine] if named.endswith("-dirty") else []
        lines.append(
            f"./bench reproduce reports/{data.name}" + (f" --of {machine.machine.machine}" if data.several else "")
        )
    blocks: list[Block] = [
        Heading(level=2, text="Do it again"),
        Paragraph(
            text="In a checkout of llama-bench-harness, with this folder in reports/. It fetches the same images and "
            "models by their hashes, measures the same cells into a folder of its own, and says whether the numbers "
            "are the same:"
        ),
        Code(text="\n".join(lines), language="sh"),
    ]
    if dirty:
        where = f" on {', '.join(dirty)}" if data.several else ""
        blocks.append(Paragraph(text=f"The harness{where} had changes that are not in this commit."))
    return tuple(blocks)
