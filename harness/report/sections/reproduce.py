"""The command to do it again."""

from __future__ import annotations

from harness.report.data import ReportData
from harness.values.block import Block, Code, Heading, Paragraph


def render(data: ReportData) -> tuple[Block, ...]:
    """For the checkout that holds this folder, since commits from before it was made lack it."""
    if any(cell.simulated for _, cell in data.rows()):
        return (
            Heading(level=2, text="Do it again"),
            Paragraph(text="Simulated results are no numbers to be reproduced."),
        )
    lines = [
        f"./bench reproduce reports/{data.name}" + (f" --of {machine.machine.machine}" if data.several else "")
        for machine in data.machines
    ]
    blocks: list[Block] = [
        Heading(level=2, text="Do it again"),
        Paragraph(
            text="In a checkout of llama-bench-harness, with this folder in reports/. It gets the images and models "
            "again and holds their hashes against these, measures the same cells into a folder of its own, and says "
            "whether the numbers are the same:"
        ),
        Code(text="\n".join(lines), language="sh"),
    ]
    told = [*_measured_by(data), *_built_here(data)]
    if told:
        blocks.append(Paragraph(text=" ".join(told)))
    return tuple(blocks)


def _measured_by(data: ReportData) -> list[str]:
    """Whose numbers they are, as a fact: the command does not need that commit."""
    by_commit: dict[str, list[str]] = {}
    for machine in data.machines:
        if named := machine.latest.harness_source:
            by_commit.setdefault(named, []).append(machine.machine.machine)
    known = [
        f"commit {named.removesuffix('-dirty')}"
        + (" with changes that are not in it" if named.endswith("-dirty") else "")
        + (f" ({', '.join(machines)})" if data.several else "")
        for named, machines in by_commit.items()
    ]
    return [f"It was measured with the harness of {', '.join(known)}."] if known else []


def _built_here(data: ReportData) -> list[str]:
    """What depends on the checkout all the same."""
    told = (
        "Images that are built here follow the recipes of the checkout and a base image: where those are others by "
        "now, and the programs too, the cells are called not comparable, with what to do."
    )
    return [told] if any(cell.image and cell.image.recipe_sha256 for _, cell in data.rows()) else []
