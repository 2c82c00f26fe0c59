"""What a machine's records came to, as bytes: results for a large report, without the records behind them.

Processes hand it to each other, and it is kept for the next report, which reads it faster than the records by far. It
is used only while everything that it was computed from is the same, and never by `verify`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from harness.analysis.results import CellResult, MachineResults, RunValue
from harness.analysis.validity import InvalidRun
from harness.errors import MachineError
from harness.store.files import make_folder, write_whole
from harness.store.sessions import Session
from harness.store.structures import other_types
from harness.values.cell import Cell
from harness.values.facts import ImageFacts, ModelFacts
from harness.values.failure import Failure
from harness.values.record import Beside, Check

_PACKAGE = Path(__file__).parents[1]
_COMPUTES = ("analysis", "formats", "stats", "store", "values", "report/page")
"""Parts of the program that results are computed by: with another line of them, those that were kept are not used."""

T = TypeVar("T")
_NO_METRICS: Mapping[str, float] = MappingProxyType({})
Page = Mapping[str, Any]
"""What the page of a report holds of a machine, as a JSON value."""
Unpacked = tuple[tuple[MachineResults, ...], Page]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Results:
    """Those of one matrix: sessions by id, and what many cells share once each."""

    sessions: tuple[str, ...]
    images: tuple[ImageFacts, ...]
    models: tuple[ModelFacts, ...]
    checks: tuple[tuple[Check, ...], ...]
    image_of: tuple[int, ...]
    model_of: tuple[int, ...]
    checks_of: tuple[int, ...]
    cells: tuple[_Cell, ...]
    whole: MachineResults


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """The result of a cell. `cell`: None where it is the one that the newest plan has under this id."""

    id: str
    cell: Cell | None
    device: str
    runs: _Runs
    failures: tuple[tuple[int, Failure], ...]
    rounds_planned: int
    confidence: float
    screening: bool
    software: bool
    simulated: bool
    invalid: tuple[InvalidRun, ...]
    set_aside: int
    n_devices: int
    beside: tuple[Beside, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runs:
    """The counted runs of a cell, a column each; sessions as places in those of the machine."""

    rounds: tuple[int, ...]
    sessions: tuple[int, ...]
    ns_per_token: tuple[float, ...]
    gate_passed: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    machines: tuple[_Results, ...]
    page: dict[str, Any]


def pack(machines: Sequence[MachineResults], page: Page) -> bytes:
    """The results of a machine, without what only the sections of single cells and the page show.

    Of a cell's runs, round, session, value and gate are kept; samples, records and further metrics are on the page.

    Raises:
        ValueError: a number is larger than can be kept.
    """
    content = _Content(machines=tuple(_without_records(machine) for machine in machines), page=dict(page))
    try:
        return msgspec.msgpack.encode(content, enc_hook=str)
    except OverflowError as error:
        raise ValueError("a number in its session or records has more than 64 bits") from error


def encoded(value: object) -> bytes:
    """A value of the house as bytes, the same for the same value."""
    return msgspec.json.encode(value, enc_hook=str)


def unpack(data: bytes, sessions: Mapping[str, Session]) -> Unpacked:
    """What was packed.

    Args:
        sessions: of the folder, by id.

    Raises:
        ValueError: it was not packed here, or is of a session that is not there.
    """
    try:
        found = _decoder().decode(data)
        return tuple(_restored(results, sessions) for results in found.machines), found.page
    except (msgspec.MsgspecError, KeyError, IndexError) as error:
        raise ValueError(f"no results that were kept: {error}") from error


def _without_records(machine: MachineResults) -> _Results:
    images, image_of = _once([cell.image for cell in machine.cells])
    models, model_of = _once([cell.model for cell in machine.cells])
    checks, checks_of = _once([cell.checks or None for cell in machine.cells])
    sessions = {session.id: place for place, session in enumerate(machine.sessions)}
    plan = _plan(machine.sessions)
    return _Results(
        sessions=tuple(sessions),
        images=images,
        models=models,
        checks=checks,
        image_of=image_of,
        model_of=model_of,
        checks_of=checks_of,
        cells=tuple(_kept(result, plan, sessions) for result in machine.cells),
        whole=replace(machine, sessions=(), cells=(), records=()),
    )


def _plan(sessions: Sequence[Session]) -> dict[str, Cell]:
    return {cell.id: cell for session in sessions for cell in session.cells}


def _kept(result: CellResult, plan: Mapping[str, Cell], sessions: Mapping[str, int]) -> _Cell:
    return _Cell(
        id=result.cell.id,
        cell=None if plan.get(result.cell.id) == result.cell else result.cell,
        device=result.device,
        runs=_columns(result.runs, sessions),
        failures=result.failures,
        rounds_planned=result.rounds_planned,
        confidence=result.confidence,
        screening=result.screening,
        software=result.software,
        simulated=result.simulated,
        invalid=result.invalid,
        set_aside=result.set_aside,
        n_devices=result.n_devices,
        beside=result.beside,
    )


def _once(values: Sequence[T | None]) -> tuple[tuple[T, ...], tuple[int, ...]]:
    """Each of these once, and the place of each among them: the last, which is that of None, where it is None."""
    kept = {id(each): each for each in values if each is not None}
    places = {key: place for place, key in enumerate(kept)}
    return tuple(kept.values()), tuple(places.get(id(each), -1) for each in values)


def _columns(runs: Sequence[RunValue], sessions: Mapping[str, int]) -> _Runs:
    return _Runs(
        rounds=tuple(run.round for run in runs),
        sessions=tuple(sessions[run.session] for run in runs),
        ns_per_token=tuple(run.ns_per_token for run in runs),
        gate_passed=tuple(run.gate_passed for run in runs),
    )


def _restored(found: _Results, sessions: Mapping[str, Session]) -> MachineResults:
    own = tuple(sessions[key] for key in found.sessions)
    images, models, checks = (*found.images, None), (*found.models, None), (*found.checks, ())
    shared = zip(found.image_of, found.model_of, found.checks_of, strict=True)
    plan = _plan(own)
    cells = tuple(
        CellResult(
            cell=plan[kept.id] if kept.cell is None else kept.cell,
            image=images[image],
            model=models[model],
            device=kept.device,
            runs=_rows(kept.runs, found.sessions),
            failures=kept.failures,
            rounds_planned=kept.rounds_planned,
            confidence=kept.confidence,
            screening=kept.screening,
            software=kept.software,
            simulated=kept.simulated,
            checks=checks[check],
            log=None,
            argv=(),
            invalid=kept.invalid,
            set_aside=kept.set_aside,
            n_devices=kept.n_devices,
            beside=kept.beside,
        )
        for kept, (image, model, check) in zip(found.cells, shared, strict=True)
    )
    return replace(found.whole, sessions=own, cells=cells)


def _rows(runs: _Runs, sessions: Sequence[str]) -> tuple[RunValue, ...]:
    columns = zip(runs.rounds, runs.sessions, runs.ns_per_token, runs.gate_passed, strict=True)
    return tuple(
        RunValue(
            round=round_,
            session=sessions[session],
            record="",
            ns_per_token=value,
            samples_ns=(),
            gate_passed=passed,
            metrics=_NO_METRICS,
        )
        for round_, session, value, passed in columns
    )


@cache
def _decoder() -> msgspec.msgpack.Decoder[_Content]:
    return msgspec.msgpack.Decoder(_Content, dec_hook=other_types)


@dataclass(frozen=True, slots=True)
class ResultShelf:
    """What earlier reports kept: for each machine of a folder, of the newest one.

    Attributes:
        folder: of the cache; None where none is to be used.
    """

    folder: Path | None

    def find(self, place: str, key: str) -> bytes | None:
        """What is kept at this place, if it is of this key."""
        if self.folder is None:
            return None
        try:
            data = (self.folder / place).read_bytes()
        except OSError:
            return None
        mark = _mark(key, data[_MARK:])
        return data[_MARK:] if data[:_MARK] == mark else None

    def keep(self, place: str, key: str, packed: bytes) -> None:
        """Keep it instead of what is at its place. A cache that cannot be written keeps nothing."""
        if self.folder is None:
            return
        try:
            make_folder(self.folder)
            write_whole(self.folder / place, _mark(key, packed) + packed)
        except MachineError:
            return


_MARK = hashlib.sha256().digest_size


def _mark(key: str, packed: bytes) -> bytes:
    """Says what it is of, and that it is whole."""
    return hashlib.sha256(key.encode() + packed).digest()


@cache
def program_sha256() -> str:
    """The hash of the source that results are computed by."""
    found = hashlib.sha256()
    for path in sorted(path for part in _COMPUTES for path in (_PACKAGE / part).rglob("*") if path.is_file()):
        if path.suffix != ".pyc":
            found.update(f"{path.relative_to(_PACKAGE)}\0".encode() + path.read_bytes())
    return found.hexdigest()
