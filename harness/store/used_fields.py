"""Records with only the fields that results are computed from, read in a fifth of the time that all of them take.

Every record is checked in full when it is written, imported or merged, and by `invoke verify`. Of a hundred thousand,
a report needs to know that none was changed since, which is its hash, and the types of what it uses.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from harness.store.migrations import SCHEMA, VERSION
from harness.store.quick_check import hash_holds, read_line, samples_hold
from harness.store.record_line import MAX_LINE_BYTES
from harness.values.bench import LogFacts
from harness.values.cell import Cell
from harness.values.failure import Failure
from harness.values.record import Beside, Check, Outcome, Record, Run, Violation
from harness.values.telemetry import Telemetry

_CELLS_KEPT = 4096
"""Lists of cells: those of a run are the same in each round."""


class _Run(msgspec.Struct, gc=False):
    key: str
    round: int
    order: int
    attempt: int
    cells: msgspec.Raw
    repeat: int = 0


class _Outcome(msgspec.Struct, gc=False):
    cell: str
    samples_ns: tuple[int, ...] = ()
    checks: tuple[Check, ...] = ()
    failure: Failure | None = None
    series: dict[str, tuple[int | float, ...]] = {}


class _Line(msgspec.Struct, gc=False):
    schema: str
    version: int
    id: str
    protocol: str
    matrix: str
    matrix_sha256: str
    machine: str
    session: str
    run: _Run
    backend: str
    device: str
    image: str
    model_sha256: str
    argv: tuple[str, ...]
    outcomes: tuple[_Outcome, ...]
    started_utc: str
    ended_utc: str
    duration_ns: int
    devices: tuple[str, ...] = ()
    gate: dict[str, object] = {}
    log: LogFacts | None = None
    software: bool = False
    simulated: bool = False
    telemetry: Telemetry | None = None
    invalid: tuple[Violation, ...] = ()
    session_sha256: str = ""
    beside: tuple[Beside, ...] = ()


_READ = msgspec.json.Decoder(_Line)
_READ_CELLS = msgspec.json.Decoder(tuple[Cell, ...])


def read_used(line: bytes) -> Record:
    """The record of a line without its rows as printed, container, environment, diagnosis and how it ended.

    Raises:
        ValueError: it is no record that this program reads; the message says what is wrong with it.
    """
    if len(line) > MAX_LINE_BYTES or not hash_holds(line):
        return read_line(line)
    try:
        found = _READ.decode(line)
        run = found.run
        samples = [outcome.samples_ns for outcome in found.outcomes if outcome.samples_ns]
        if found.schema != SCHEMA or found.version != VERSION or not samples_hold(samples):
            return read_line(line)
        return Record(
            id=found.id,
            protocol=found.protocol,
            matrix=found.matrix,
            matrix_sha256=found.matrix_sha256,
            machine=found.machine,
            session=found.session,
            run=Run(
                key=run.key,
                round=run.round,
                order=run.order,
                attempt=run.attempt,
                cells=_cells(bytes(run.cells)),
                repeat=run.repeat,
            ),
            backend=found.backend,
            device=found.device,
            devices=found.devices,
            image=found.image,
            model_sha256=found.model_sha256,
            argv=found.argv,
            outcomes=tuple(_outcome(outcome) for outcome in found.outcomes),
            started_utc=found.started_utc,
            ended_utc=found.ended_utc,
            duration_ns=found.duration_ns,
            gate=found.gate,
            log=found.log,
            software=found.software,
            simulated=found.simulated,
            telemetry=found.telemetry,
            invalid=found.invalid,
            session_sha256=found.session_sha256,
            beside=found.beside,
        )
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return read_line(line)


def _outcome(found: _Outcome) -> Outcome:
    return Outcome(
        cell=found.cell,
        samples_ns=found.samples_ns,
        checks=found.checks,
        failure=found.failure,
        series=found.series,
    )


@lru_cache(maxsize=_CELLS_KEPT)
def _cells(raw: bytes) -> tuple[Cell, ...]:
    return _READ_CELLS.decode(raw)
