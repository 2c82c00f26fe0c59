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
    latest = data.machines[-1].latest
    source = (latest.harness_source or "").removesuffix("-dirty")
    lines = [f"git checkout {source}"] if source else []
    call = f"./bench reproduce reports/{data.name}"
    lines += [f"{call} --of {m.machine.machine}" for m in data.machines] if data.several else [call]
    blocks: list[Block] = [
        Heading(level=2, text="Do it again"),
        Paragraph(
            text="In a checkout of llama-bench-harness, with this folder in reports/. It fetches the same images and "
            "models by their hashes, measures the same cells into a folder of its own, and says whether the numbers "
            "are the same:"
        ),
        Code(text="\n".join(lines), language="sh"),
    ]
    if (latest.harness_source or "").endswith("-dirty"):
        text = "The harness had changes that are not in this commit."
        blocks.append(Paragraph(text=text))
    return tuple(blocks)
