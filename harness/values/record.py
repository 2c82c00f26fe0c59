"""The record: one run, complete. What is stored is raw; statistics are computed on reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.values.bench import LogFacts
from harness.values.cell import Cell
from harness.values.failure import Failure
from harness.values.telemetry import Telemetry

FIRST_PROTOCOL = "paired-rounds/1"
"""Runs under it are keyed without a protocol, as all were at first."""
PROTOCOL = FIRST_PROTOCOL


DURING = ("device_memory", "device_busy")
"""Checks of what the device was seen to do while it worked: they need counted runs, since a warm-up is short."""


class Proof(StrEnum):
    """Whether a statement about the run was shown to be true. Only `PROVEN` is ranked."""

    PROVEN = "proven"
    CONTRADICTED = "contradicted"
    UNOBSERVABLE = "unobservable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One statement about the run, whether it holds, and by what evidence."""

    name: str
    proof: Proof
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A rule of validity that a run broke, and by what evidence. The run is kept and not counted."""

    rule: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One container to be started: the ordered cells that share one loaded model, in one round.

    Attributes:
        key: a hash of image, model, device and parameters: names the work, whatever the round. Resuming goes by it.
        round: 0 is the discarded warm-up, counted rounds begin at 1.
        order: place within its round, 0-based.
        attempt: 1 for the first; grows when an interrupted run is made again.
        repeat: how often the whole round was repeated before, since a run of it was invalid.
        cells: in the order in which llama-bench prints their rows.
    """

    key: str
    round: int
    order: int
    attempt: int
    cells: tuple[Cell, ...]
    repeat: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one cell in one run: samples or a failure, never both.

    Attributes:
        cell: id of the cell.
        samples_ns: durations, one a repetition, the first included. As llama-bench printed them; of other
            measurements the one that stands for it: see `Test.n_tokens`.
        series: further raw values of measurements that have them, by name with its unit: `itl_ns`, `cached_tokens`.
        row: the whole row as printed; None where there is none.
        checks: the proofs of this cell.
        failure: why there is no number.
    """

    cell: str
    samples_ns: tuple[int, ...] = ()
    row: Mapping[str, object] | None = None
    checks: tuple[Check, ...] = ()
    failure: Failure | None = None
    series: Mapping[str, tuple[int | float, ...]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether there are samples that can be believed."""
        return self.failure is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A model that was resident in a container of its own during a run.

    Attributes:
        model: its key. model_sha256: of its file. argv: of its process.
        busy: whether it was to generate all the time; else it was loaded and idle.
        load_ns: from the start of its container until it answered; None where it never did.
        peak_resident_bytes: of its processes on the host, mapped weights included. cpu_ns: that they used meanwhile.
            None where the kernel does not show them.
        device_bytes: what its processes held on the devices of the run at most; None where drivers do not tell.
        answered: requests that it answered meanwhile. problem: why it was not as it should be; empty where it was.
    """

    model: str
    model_sha256: str
    argv: tuple[str, ...]
    busy: bool = False
    load_ns: int | None = None
    peak_resident_bytes: int | None = None
    cpu_ns: int | None = None
    device_bytes: int | None = None
    answered: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One run of one machine. See `docs/records.md` for the stored form of it.

    Attributes:
        id: sha256 of the record's canonical JSON without the id.
        session: id of the session, where machine, engine, image and model facts are stored once.
        device: what it computed on, for people; several as `2 x NAME`.
        devices: the name of each device that the container was given; empty in records from before several were.
        session_sha256: hash of that session's content; empty in records of before it was written.
        argv: of the process in the container, exactly.
        image: content id of the image; model_sha256: of the model file.
        started_utc, ended_utc: RFC 3339; for people. duration_ns: monotonic.
        load_before: foreign CPU time just before the run, as a share of the machine, 0 to 1.
        log: what the `-v` log said; only in round 0.
        diagnosis: further lines of stderr that matter for a failure, redacted, at most 4 KiB.
        simulated: from a fake engine or a test image; can never be published.
        telemetry: how device and host were meanwhile; None where no container was started.
        invalid: the rules of validity that it broke; a run with one is shown and never counted.
        beside: the models that were resident in containers of their own meanwhile.
    """

    id: str = ""
    protocol: str = PROTOCOL
    matrix: str
    matrix_sha256: str
    machine: str
    session: str
    run: Run
    backend: str
    device: str
    devices: tuple[str, ...] = ()
    image: str
    model_sha256: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    container: Mapping[str, object] = field(default_factory=dict)
    outcomes: tuple[Outcome, ...]
    started_utc: str
    ended_utc: str
    duration_ns: int
    exit_code: int | None = None
    kill_stage: str | None = None
    oom_killed: bool = False
    load_before: float | None = None
    gate: Mapping[str, object] = field(default_factory=dict)
    log: LogFacts | None = None
    diagnosis: str = ""
    software: bool = False
    simulated: bool = False
    telemetry: Telemetry | None = None
    invalid: tuple[Violation, ...] = ()
    session_sha256: str = ""
    beside: tuple[Beside, ...] = ()

    @property
    def counted(self) -> bool:
        """Whether its samples count: not those of the warm-up round, nor those of an invalid run."""
        return self.run.round > 0 and not self.invalid
