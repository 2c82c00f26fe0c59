"""The index: every matrix, every machine, the results; one search over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.report.site.content import RESULT_COLUMNS, RIGHT, SiteContent, count, machine_link, result_cells, several
from harness.report.site.frame import Cell, Frame, Link, heading, paragraph
from harness.store.manifest import MANIFEST

MOST_RESULTS = 2000
"""Rows of results in the index: a page that a browser still searches while one types."""

_SEARCH = """\
<div class="search" role="search" hidden>
<label>Search for a model, device, backend, machine or matrix
<input type="search" id="search" autocomplete="off"></label>
<p id="found" class="small" role="status" aria-live="polite"></p>
</div>"""


def write(content: SiteContent) -> str:
    """The page."""
    frame = Frame(path="index.html", title=content.title, heading=content.title)
    machines = content.of_machine()
    rows = sum(len(report.rows) for report in content.reports)
    changes = sum(len(history.changes) for history in content.histories)
    first = (
        f"{count(len(content.reports), 'matrix').replace('matrixs', 'matrices')} on {count(len(machines), 'machine')}, "
        f"{count(rows, 'result')}. Each number has its samples, its command and its proof behind it."
    )
    if changes:
        first += f" {count(changes, 'change')} of level in the histories: see the pages of the matrices."
    parts = [
        paragraph(first),
        _SEARCH,
        _part(frame, "Matrices", ("Matrix", "Machines", "Devices", "Results", "Measured", "Remarks"), [
            (
                report.link,
                tuple(machine_link(name) for name in report.machines) or "-",
                several(row.device for row in report.rows) or "-",
                str(len(report.rows)),
                report.measured,
                report.remarks(),
            )
            for report in content.reports
        ], right=(3,)),
        _part(frame, "Machines", ("Machine", "Processor", "Devices", "System", "Matrices"), [
            (
                machine_link(name),
                own[-1][1].machine.cpu_model,
                several(d.name for _, results in own for d in results.machine.devices if d.kind != "cpu") or "none",
                own[-1][1].machine.os,
                tuple({report.published.name: report.link for report, _ in own}.values()),
            )
            for name, own in machines.items()
        ]),
        _part(frame, "Results", (*RESULT_COLUMNS, "Machine", "Matrix"), _results(content), right=RIGHT),
    ]  # fmt: skip
    if rows > MOST_RESULTS:
        parts.append(paragraph(f"{rows - MOST_RESULTS} further results are on the pages of the matrices.", "small"))
    parts.append(f"<p>Every file of this site with its SHA-256: {frame.link(Link(text=MANIFEST, path=MANIFEST))}.</p>")
    script = (Path(__file__).parent / "site.js").read_text(encoding="utf-8")
    return frame.write("\n".join(parts), script=script)


def _results(content: SiteContent) -> list[tuple[Cell, ...]]:
    found: list[tuple[Cell, ...]] = []
    for report in content.reports:
        for row in report.rows[: MOST_RESULTS - len(found)]:
            machine = machine_link(row.machine) if row.machine in report.machines else row.machine or "-"
            found.append((*result_cells(row), machine, report.link))
    return found


def _part(
    frame: Frame, title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, right: Sequence[int] = ()
) -> str:
    table = frame.table(columns, rows, right=right, label=title)
    return f'<section data-part>\n{heading(title)}\n{table}\n<p class="none small" hidden>None.</p>\n</section>'
