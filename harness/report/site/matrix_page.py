"""The page of a matrix: what was declared, its results, its histories, and the way to the report and the records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from harness.report.sections import answer
from harness.report.site import history
from harness.report.site.content import (
    RESULT_COLUMNS,
    RIGHT,
    SiteContent,
    SiteReport,
    count,
    histories_of,
    machine_link,
    result_cells,
)
from harness.report.site.frame import Frame, Link, heading, paragraph
from harness.report.writers import html
from harness.values.block import Chart
from harness.values.declaration import TITLES


def write(content: SiteContent, report: SiteReport, *, root: Path, picture: Callable[[Chart], str]) -> str:
    """The page.

    Args:
        root: folder of the site, in which the files that are linked to are looked for.
        picture: draws a chart as SVG.
    """
    published = report.published
    frame = Frame(
        path=published.page,
        title=f"{report.title} - {content.title}",
        heading=report.title,
        parents=(Link(text=content.title, path="index.html"),),
    )
    machines = ", ".join(frame.link(machine_link(name)) for name in report.machines)
    page = Link(text="the report's own page", path=f"reports/{published.name}/index.html")
    notes = next(iter(dict.fromkeys(m.latest.notes for m in report.data.machines if m.latest.notes)), "")
    parts = [
        *_declared(report),
        paragraph(notes) if notes else "",
        f"<p>Measured {html.escape(report.measured)}"
        + (f" on {machines}" if machines else "")
        + f". To sort, filter, compare any two rows, and see samples, proof and commands: {frame.link(page)}.</p>",
        html.write(answer.render(report.data), picture=picture) if report.data.machines else "",
        heading("Results"),
        frame.table(
            (*RESULT_COLUMNS, "Rounds", "Machine"),
            [(*result_cells(row), str(row.rounds), row.machine or "-") for row in report.rows],
            right=(*RIGHT, len(RESULT_COLUMNS)),
            label="Results",
        ),
    ]
    pages: Mapping[str, Link] = {other.published.name: other.link for other in content.reports}
    if not published.simulated:
        parts.append(history.write(frame, histories_of(content, published.name), dict(pages), picture=picture))
    parts += [heading("Files"), _files(frame, report, root)]
    return frame.write("\n".join(part for part in parts if part))


def _declared(report: SiteReport) -> list[str]:
    """What a reader has to know before any number."""
    published = report.published
    said = [
        paragraph(f"{TITLES[kind]}, declared by whoever published this: {reason}", "warning")
        for kind, reason in published.declared.items()
    ]
    if published.simulated:
        said.insert(
            0, paragraph("Simulated: no hardware was measured. Nothing here says how fast anything is.", "warning")
        )
    if published.struck:
        said.append(
            paragraph(
                f"Something that names a person or a device was struck out of {count(published.struck, 'record')} or "
                "their sessions, which have new hashes for that. No number was touched.",
                "note",
            )
        )
    return said


def _files(frame: Frame, report: SiteReport, root: Path) -> str:
    """The files that numbers can be checked with; the manifest has the hash of each."""
    folder = f"reports/{report.published.name}"
    found = [f"{folder}/report.md", f"{folder}/matrix.yaml"]
    for part in ("records/*.jsonl", "sessions/*.json", "journal/*.jsonl", "imports/*.jsonl", "reproductions/*.json"):
        found += [path.relative_to(root).as_posix() for path in sorted((root / folder).glob(part))]
    rows = [
        (Link(text=path.removeprefix(f"{folder}/"), path=path), f"{(root / path).stat().st_size:,} bytes")
        for path in found
        if (root / path).is_file()
    ]
    return frame.table(("File", "Size"), rows, right=(1,), label="Files")
