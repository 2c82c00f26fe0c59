"""One cell over builds and days: a value for each start of the harness and build, and where the level changed.

The start is the unit, not the run: runs of one start share the day, the driver, the temperature of the room and
whatever else differs from day to day (docs/publishing.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from harness.stats.change_points import change_points
from harness.stats.intervals import Interval, median_interval, rate, rate_interval, run_value
from harness.stats.trend import SHARE
from harness.stats.verdicts import Comparison, in_words
from harness.stats.welch import compare_apart
from harness.store.records import RecordStore
from harness.store.sessions import Session, read_sessions
from harness.values.cell import Cell
from harness.values.facts import ImageFacts
from harness.values.measurement import BENCH
from harness.values.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What one start of the harness measured of a cell with one build.

    Attributes:
        report: name of the folder that it was first found in. started_utc: of the start.
        build: of llama.cpp, such as `b11312 (0c1e57098)`; the image's content id where it tells none.
        ns_per_token: median over its runs. interval: of the rate in tokens/s; None below six runs.
    """

    report: str
    session: str
    started_utc: str
    build: str
    image_id: str
    ns_per_token: float
    interval: Interval | None
    runs: int

    @property
    def tokens_per_s(self) -> float:
        """The rate that belongs to the median time."""
        return rate(self.ns_per_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of level between two starts.

    Attributes:
        at: number of the first start after it, from 0. p: see `ChangePoint`.
        size: the starts after it against those before, up to the changes next to it. Its place was picked by looking,
            so that it is a little too large on average.
    """

    at: int
    p: float
    size: Comparison

    @property
    def words(self) -> str:
        """Such as `slower by 5.2 % (4.1 to 6.3)`."""
        return in_words(self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellHistory:
    """A cell on a machine, by all starts that measured it; the oldest first."""

    machine: str
    device: str
    model: str
    cell: Cell
    starts: tuple[Start, ...]
    changes: tuple[Change, ...]
    reports: frozenset[str]


_Made = tuple[int, int, str]
"""How often its round was repeated before, which attempt it is, and when it began."""


@dataclass(slots=True)
class _Found:
    machine: str
    device: str
    model: str
    cell: Cell
    runs: dict[tuple[str, str], dict[int, tuple[_Made, float]]] = field(default_factory=dict)
    where: dict[tuple[str, str], str] = field(default_factory=dict)
    reports: set[str] = field(default_factory=set)


def cell_histories(folders: Mapping[str, Path]) -> tuple[CellHistory, ...]:
    """The histories of all cells of these reports, by their names: a record that several hold counts once.

    Left out are warm-ups, invalid runs, failures, screening, and what is simulated.

    Raises:
        InputError: a file is damaged.
    """
    found: dict[object, _Found] = {}
    sessions: dict[str, Session] = {}
    for name, folder in folders.items():
        own = read_sessions(folder)
        sessions |= own
        store = RecordStore(folder)
        for machine in store.machines():
            for record in store.read(machine):
                session = own.get(record.session)
                if record.counted and not record.simulated and session is not None and not session.screening:
                    _take(record, session, name, found)
    return tuple(
        sorted((_history(one, sessions) for one in found.values()), key=lambda h: (h.machine, h.cell.id, h.device))
    )


def _take(record: Record, session: Session, report: str, found: dict[object, _Found]) -> None:
    cells = {cell.id: cell for cell in record.run.cells}
    for outcome in record.outcomes:
        cell = cells.get(outcome.cell)
        if cell is None or not outcome.ok or not outcome.samples_ns or cell.test.measurement != BENCH:
            continue
        parameters = tuple(sorted((name, str(value)) for name, value in cell.params.items()))
        # Equal cards of one machine have one name: the matrix's tells them apart.
        device, beside = (record.device, cell.device), (cell.beside, cell.beside_busy)
        key = (record.machine, device, cell.backend, record.model_sha256, cell.label, cell.test, parameters, beside)
        title = next((m.title for m in session.models if m.name == cell.model), cell.model)
        one = found.setdefault(key, _Found(machine=record.machine, device=record.device, model=title, cell=cell))
        start = (record.session, record.image)
        # A later attempt takes the place of an earlier one, in whichever folder: a copy may be of before it.
        made = (record.run.repeat, record.run.attempt, record.started_utc)
        runs = one.runs.setdefault(start, {})
        if record.run.round not in runs or made >= runs[record.run.round][0]:
            runs[record.run.round] = (made, run_value(outcome.samples_ns, n_tokens=cell.test.n_tokens))
        one.where.setdefault(start, report)
        one.reports.add(report)


def _history(found: _Found, sessions: Mapping[str, Session]) -> CellHistory:
    starts = []
    for (session, image), runs in found.runs.items():
        values = [value for _, value in runs.values()]
        interval = median_interval(values)
        starts.append(
            Start(
                report=found.where[session, image],
                session=session,
                started_utc=sessions[session].started_utc,
                build=_build(image, sessions[session].images),
                image_id=image,
                ns_per_token=median(values),
                interval=rate_interval(interval) if interval else None,
                runs=len(values),
            )
        )
    starts.sort(key=lambda start: (start.started_utc, start.session, start.image_id))
    return CellHistory(
        machine=found.machine,
        device=found.device,
        model=found.model,
        cell=found.cell,
        starts=tuple(starts),
        changes=_changes([start.ns_per_token for start in starts]),
        reports=frozenset(found.reports),
    )


def _changes(values: list[float]) -> tuple[Change, ...]:
    points = change_points(values)
    ends = [0, *(point.at for point in points), len(values)]
    found = []
    for number, point in enumerate(points, start=1):
        before, after = values[ends[number - 1] : point.at], values[point.at : ends[number + 1]]
        size = compare_apart(before, after)
        # As with drift: less than 1 % is not worth a word, however sure.
        if size is not None and abs(median(after) / median(before) - 1) > SHARE:
            found.append(Change(at=point.at, p=point.p, size=size))
    return tuple(found)


def _build(image_id: str, images: Iterable[ImageFacts]) -> str:
    image = next((image for image in images if image.id == image_id), None)
    if image is None or image.build_number is None:
        return image_id.removeprefix("sha256:")[:12]
    return f"b{image.build_number}" + (f" ({image.build_commit})" if image.build_commit else "")
