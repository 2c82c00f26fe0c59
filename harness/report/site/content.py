"""What the pages of a site are made of: the results, rows and histories of every report in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.cell_history import CellHistory, cell_histories
from harness.analysis.controls import controls
from harness.analysis.results import MachineResults
from harness.analysis.table import rows_of
from harness.report.data import ReportData
from harness.report.report import read_data
from harness.report.site.frame import Link
from harness.stats.digits import with_interval
from harness.stats.intervals import Interval
from harness.store.manifest import PublishedReport
from harness.values.backend import BACKENDS
from harness.values.result_row import ResultRow, Trust

RESULT_COLUMNS = ("Model", "Test", "Tokens/s (95 % interval)", "Backend", "Device", "Proof")
"""The number stands early: a narrow window shows the first columns."""
RIGHT = (2,)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReport:
    """A report of the site with all its results."""

    published: PublishedReport
    data: ReportData
    rows: tuple[ResultRow, ...]

    @property
    def title(self) -> str:
        """The title of its matrix; the folder's name where it holds several, or none."""
        titles = dict.fromkeys(machine.latest.title for machine in self.data.machines)
        shown = next(iter(titles)) if len(titles) == 1 and next(iter(titles)) else self.published.name
        return f"{shown} (simulated)" if self.published.simulated else shown

    @property
    def link(self) -> Link:
        """To its page."""
        return Link(text=self.title, path=self.published.page)

    @property
    def measured(self) -> str:
        """From the first to the last day."""
        days = sorted(row.first_utc[:10] for row in self.rows if row.first_utc)
        if not days:
            return "-"
        last = max(row.last_utc[:10] for row in self.rows if row.last_utc)
        return days[0] if days[0] == last else f"{days[0]} to {last}"

    @property
    def machines(self) -> tuple[str, ...]:
        """The names of its machines."""
        return tuple(dict.fromkeys(machine.machine.machine for machine in self.data.machines))

    def remarks(self) -> str:
        """What was declared, in a few words, and how many controls there are."""
        pairs = sum(len(controls(machine)) for machine in self.data.machines)
        said = [f"{pairs} A/A pairs" if pairs != 1 else "1 A/A pair"] if pairs else []
        return ", ".join([*said, *(f"declared: {kind}" for kind in self.published.declared)]) or "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteContent:
    """Everything that the pages show."""

    title: str
    reports: tuple[SiteReport, ...]
    histories: tuple[CellHistory, ...]

    def of_machine(self) -> dict[str, list[tuple[SiteReport, MachineResults]]]:
        """The reports of each machine, by its name."""
        found: dict[str, list[tuple[SiteReport, MachineResults]]] = {}
        for report in self.reports:
            for results in report.data.machines:
                found.setdefault(results.machine.machine, []).append((report, results))
        return dict(sorted(found.items()))


def read_content(root: Path, reports: Sequence[PublishedReport], *, title: str) -> SiteContent:
    """Read everything from the reports of a site.

    Args:
        root: folder of the site.

    Raises:
        InputError: records are missing or damaged.
    """
    found = []
    for published in reports:
        data = read_data(root / "reports" / published.name, simulated=published.simulated)
        rows = (*rows_of(data.name, data.machines, data.reproductions), *data.imported)
        found.append(SiteReport(published=published, data=data, rows=rows))
    folders = {r.name: root / "reports" / r.name for r in reports if not r.simulated}
    return SiteContent(title=title, reports=tuple(found), histories=cell_histories(folders))


def machine_link(name: str) -> Link:
    """To the page of a machine."""
    return Link(text=name, path=f"machines/{name}.html")


def result_cells(row: ResultRow) -> tuple[str, ...]:
    """A row of the results table, by `RESULT_COLUMNS`."""
    backend = BACKENDS[row.backend].title if row.backend in BACKENDS else row.backend
    proof = "imported, unverified" if row.trust is Trust.IMPORTED else row.proof
    remark = f" ({row.why_not})" if row.why_not and row.value is not None and row.trust is Trust.MEASURED else ""
    return (
        row.model_title,
        row.test,
        rate_shown(row),
        backend + (f" #{row.label}" if row.label else ""),
        row.device,
        proof + remark,
    )


def rate_shown(row: ResultRow) -> str:
    """The value with its interval and, where it is none of tokens/s, its unit; the reason where there is none."""
    if row.value is None:
        return f"no number: {row.failure_reason or row.why_not or 'not measured'}"
    interval = None
    if row.low is not None and row.high is not None:
        interval = Interval(low=row.low, high=row.high, coverage=row.confidence)
    return with_interval(row.value, interval) + ("" if row.unit == "tokens/s" else f" {row.unit}")


def histories_of(content: SiteContent, report: str) -> tuple[CellHistory, ...]:
    """Of the cells of one report; starts of other reports are among them."""
    return tuple(history for history in content.histories if report in history.reports)


def count(number: int, word: str) -> str:
    """`1 machine`, `2 machines`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def several(names: Iterable[str]) -> str:
    """Names with commas between them, each once."""
    return ", ".join(dict.fromkeys(names))
