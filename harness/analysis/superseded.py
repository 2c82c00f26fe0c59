"""Earlier results that no longer count, and what changed since: nothing that was measured is out of sight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from harness.stats.intervals import rate, run_value
from harness.store.sessions import Session
from harness.values.cell import Cell
from harness.values.facts import ImageFacts
from harness.values.record import Outcome, Record

_NO_DRIVER = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """The runs of one cell under a key that the newest plan no longer has.

    Attributes:
        cell: id of the cell.
        why: what is another now, in words: `image: b11312 (sha256:0274...) then, b11400 (sha256:91fe...) now`.
        runs: records of it. failures: those of them without a number.
        tokens_per_s: of the counted runs that have one; None without.
        first_utc, last_utc: when they were made.
    """

    cell: str
    why: tuple[str, ...]
    runs: int
    failures: int
    tokens_per_s: float | None
    first_utc: str
    last_utc: str


def superseded(
    records: Iterable[Record], planned: Mapping[str, tuple[Cell, Session]], sessions: Mapping[str, Session]
) -> tuple[Superseded, ...]:
    """What the records hold beside the plan.

    Args:
        records: of one machine, in the order in which they were made.
        planned: by cell id, the cell as the newest plan has it, and that plan's session.
        sessions: all of them by id, those of other matrix files too.
    """
    groups: dict[tuple[str, str], list[tuple[Record, Outcome]]] = {}
    called: dict[int, dict[str, str]] = {}
    records = tuple(records)
    for record in records:
        # The cells of a run are mostly one object in all its rounds.
        names = called.get(id(record.run.cells))
        if names is None:
            names = called[id(record.run.cells)] = {cell.id: cell.planned_id for cell in record.run.cells}
        for outcome in record.outcomes:
            name = names.get(outcome.cell, outcome.cell)
            plan = planned.get(name)
            if plan is None or plan[1].keys.get(name) != record.run.key:
                groups.setdefault((name, record.run.key), []).append((record, outcome))
    return tuple(
        Superseded(
            cell=cell,
            why=changes(found[-1][0], cell, planned.get(cell), sessions),
            runs=len(found),
            failures=sum(1 for _, outcome in found if not outcome.ok),
            tokens_per_s=_rate(cell, found),
            first_utc=found[0][0].started_utc,
            last_utc=found[-1][0].started_utc,
        )
        for (cell, _), found in groups.items()
    )


def changes(
    record: Record, cell_id: str, plan: tuple[Cell, Session] | None, sessions: Mapping[str, Session]
) -> tuple[str, ...]:
    """What of a cell is another now than in this record, most important first."""
    if plan is None:
        return ("the matrix file no longer asks for it",)
    cell, now = plan
    then = sessions.get(record.session)
    found = []
    image = _image(now, cell.image)
    if image is not None and record.image and image.id != record.image:
        found.append(f"image: {_named(_image(then, cell.image), record.image)} then, {_named(image, image.id)} now")
    model = next((model for model in now.models if model.name == cell.model), None)
    if model is not None and record.model_sha256 and model.sha256 != record.model_sha256:
        found.append(f"model: SHA-256 {record.model_sha256[:12]} then, {model.sha256[:12]} now")
    measured = next((known for known in record.run.cells if known.id == cell_id), None)
    if measured is not None and dict(measured.params) != dict(cell.params):
        found.append(f"parameters: {_parameters(measured, cell)}")
    device = record.devices[0] if record.devices else record.device
    drivers = (_driver(then, device), _driver(now, device))
    if None not in drivers and drivers[0] != drivers[1]:
        found.append(f"driver: {drivers[0]} then, {drivers[1]} now")
    if not found and image is None:
        return ("the newest start could not have its image",)
    return tuple(found) or ("the device, its driver, its environment or the protocol is another now",)


def _image(session: Session | None, name: str) -> ImageFacts | None:
    return next((image for image in session.images if image.name == name), None) if session else None


def _named(image: ImageFacts | None, image_id: str) -> str:
    build = f"b{image.build_number} " if image is not None and image.build_number is not None else ""
    return f"{build}({image_id.removeprefix('sha256:')[:12]})"


def _parameters(then: Cell, now: Cell) -> str:
    names = [name for name in {**then.params, **now.params} if then.params.get(name) != now.params.get(name)]
    return ", ".join(f"{name} {then.params.get(name)} then, {now.params.get(name)} now" for name in names)


def _driver(session: Session | None, device: str) -> str | None:
    devices = session.machine.devices if session else ()
    return next((found.driver or _NO_DRIVER for found in devices if found.name == device), None)


def _rate(cell_id: str, found: list[tuple[Record, Outcome]]) -> float | None:
    values = []
    for record, outcome in found:
        cell = next((known for known in record.run.cells if known.id == cell_id), None)
        if record.counted and outcome.ok and cell is not None:
            values.append(run_value(outcome.samples_ns, n_tokens=cell.test.n_tokens))
    return rate(median(values)) if values else None
