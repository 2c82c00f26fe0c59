"""From the records of a report's folder to one result a cell: everything that was planned, a hole with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median

from harness.analysis.metrics import MetricResult, metric_results, run_metrics
from harness.analysis.observed import Observed, merged_checks, observed
from harness.analysis.superseded import Superseded, superseded
from harness.analysis.validity import InvalidRun, Picked, pick, wanted_repeats
from harness.errors import InputError
from harness.stats import until
from harness.stats.intervals import (
    Interval,
    beyond_fences,
    counted_samples,
    median_interval,
    rate,
    rate_interval,
    run_value,
    variation,
)
from harness.stats.trend import Trend, drift
from harness.stats.verdicts import CONFIDENCE
from harness.store.quick_check import read_line
from harness.store.records import RecordStore
from harness.store.sessions import Session, read_sessions
from harness.values.bench import LogFacts
from harness.values.cell import Cell
from harness.values.facts import ImageFacts, MachineFacts, ModelFacts
from harness.values.failure import Failure
from harness.values.measurement import CONTEXT
from harness.values.record import Beside, Check, Outcome, Proof, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class RunValue:
    """One counted run of a cell: its value and its samples, all in ns; `metrics` by name, in their units."""

    round: int
    session: str
    record: str
    ns_per_token: float
    samples_ns: tuple[int, ...]
    gate_passed: bool
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """What is known of one cell on one machine.

    Attributes:
        runs: counted runs with samples, by round.
        failures: by round, 0 being the warm-up.
        rounds_planned: counted rounds that the matrix asked for, as far as is known; more where more were made.
        confidence: of its intervals: more than 95 % where the width decided when to stop.
        checks: of the warm-up, which is looked at closest; of the first run where the warm-up has none.
        log: what the warm-up's log said.
        argv: of a counted run; of the warm-up where there is none.
        device: the device that the records name; the matrix's name for it where there is no record.
        invalid: runs that broke a rule of validity. set_aside: valid runs of rounds that were repeated all the same.
        observed: what the telemetry of the counted runs says of its timed part.
        n_devices: how many devices the container was given.
        beside: the models that were resident beside its counted runs, one for each run and model.
    """

    cell: Cell
    image: ImageFacts | None
    model: ModelFacts | None
    device: str
    runs: tuple[RunValue, ...]
    failures: tuple[tuple[int, Failure], ...]
    rounds_planned: int
    confidence: float
    screening: bool
    software: bool
    simulated: bool
    checks: tuple[Check, ...]
    log: LogFacts | None
    argv: tuple[str, ...]
    invalid: tuple[InvalidRun, ...] = ()
    set_aside: int = 0
    observed: tuple[Observed, ...] = ()
    n_devices: int = 1
    beside: tuple[Beside, ...] = ()

    @property
    def synthetic(self) -> bool:
        """Whether the weights are seeded noise."""
        return self.model is not None and self.model.synthetic

    @property
    def complete(self) -> bool:
        """Whether every planned round has a number."""
        return len(self.runs) == self.rounds_planned

    @property
    def holes(self) -> int:
        """Rounds whose last repetition is invalid: they have been tried as often as they are."""
        return sum(not run.made_again for run in self.invalid)

    @property
    def ns_per_token(self) -> float | None:
        """The median over runs; None without a run."""
        return median(run.ns_per_token for run in self.runs) if self.runs else None

    @property
    def tokens_per_s(self) -> float | None:
        """The rate that belongs to the median time."""
        value = self.ns_per_token
        return None if value is None else rate(value)

    @property
    def interval(self) -> Interval | None:
        """The interval of the rate; None below six runs, and for screening always."""
        if self.screening:
            return None
        found = median_interval([run.ns_per_token for run in self.runs], confidence=self.confidence)
        return rate_interval(found) if found else None

    @property
    def metrics(self) -> tuple[MetricResult, ...]:
        """Its metrics over the counted runs, with the intervals of their medians."""
        by_run = [run.metrics for run in self.runs]
        return metric_results(self.cell, by_run, confidence=self.confidence, screening=self.screening)

    def metric(self, name: str) -> MetricResult | None:
        """One of its metrics; None where its runs do not tell it."""
        return next((found for found in self.metrics if found.metric.name == name), None)

    @property
    def between_runs(self) -> float | None:
        """Coefficient of variation of the run values."""
        return variation([run.ns_per_token for run in self.runs])

    @property
    def within_runs(self) -> float | None:
        """Mean coefficient of variation of the counted samples of a run."""
        found = [v for run in self.runs if (v := variation(counted_samples(run.samples_ns))) is not None]
        return fmean(found) if found else None

    @property
    def outliers(self) -> int:
        """Runs beyond Tukey's fences. They stay in."""
        return beyond_fences([run.ns_per_token for run in self.runs])

    @property
    def drift(self) -> Trend | None:
        """How the run values change from round to round, where they drift; None where they do not."""
        return drift([run.ns_per_token for run in self.runs])

    @property
    def sessions(self) -> tuple[str, ...]:
        """The starts of the harness that its runs come from."""
        return tuple(sorted({run.session for run in self.runs}))


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineResults:
    """Everything of one machine.

    Attributes:
        sessions: all starts for this matrix file, oldest first; the last one's facts are shown.
        superseded: outcomes of cells that were since measured with another image, model, device or matrix file.
        superseded_cells: the same by cell, with what changed.
        records: of which all this is; none in a report of very many.
        days: on which they were made. waited, not_quiet: counted runs that the gate held back, and that began on a
            machine that was not quiet all the same.
    """

    machine: MachineFacts
    sessions: tuple[Session, ...]
    cells: tuple[CellResult, ...]
    records: tuple[Record, ...]
    superseded: int
    superseded_cells: tuple[Superseded, ...] = ()
    days: tuple[str, ...] = ()
    waited: int = 0
    not_quiet: int = 0

    @property
    def latest(self) -> Session:
        """The session whose facts are shown."""
        return self.sessions[-1]


def read_results(folder: Path, *, simulated: bool = False) -> tuple[MachineResults, ...]:
    """The results of every machine that has records in this folder; of each of its matrices where it ran several.

    Raises:
        InputError: there are none, or a file is damaged.
    """
    store, sessions = RecordStore(folder, simulated=simulated), read_sessions(folder)
    found = tuple(result for name in store.machines() for result in read_machine(store, name, sessions))
    if not found:
        raise no_records(folder)
    return found


DAMAGED = "It was not written by this program. Restore the file from a copy, or leave this machine out."


def no_records(folder: Path) -> InputError:
    """What is said of a folder without any."""
    return InputError("no records", where=str(folder), remedy="Run `invoke matrix --file ...` first.")


def read_machine(
    store: RecordStore, name: str, sessions: Mapping[str, Session], *, line: Callable[[bytes], Record] = read_line
) -> tuple[MachineResults, ...]:
    """The results of one machine, one for each of its matrices.

    Args:
        sessions: of the folder, by id. line: reads a record.

    Raises:
        InputError: its file is damaged, or it has no session.
    """
    own = [session for session in sessions.values() if session.machine.machine == name]
    if not own:
        raise InputError(
            f"there are records of {name} but no session of it",
            where=str(store.folder),
            remedy="Copy the folder `sessions` along with `records`.",
        )
    records = store.read(name, line=line)
    matrices = {matrix: [s for s in own if s.matrix == matrix] for matrix in dict.fromkeys(s.matrix for s in own)}
    try:
        return tuple(
            machine_results(of_matrix, [record for record in records if record.matrix == matrix])
            for matrix, of_matrix in matrices.items()
        )
    except ValueError as error:
        raise InputError(str(error), where=str(store.path(name)), remedy=DAMAGED) from error


def machine_results(sessions: Iterable[Session], records: Iterable[Record]) -> MachineResults:
    """The results of one machine.

    Args:
        sessions: of this machine, oldest first. Those of another matrix file than the last one's do not count.
        records: of this machine, in the order in which they were made; a later attempt takes the place of an earlier.
    """
    everything = tuple(sessions)
    last = everything[-1]
    current = tuple(session for session in everything if session.matrix_sha256 == last.matrix_sha256)
    # A start with --only plans a part of the cells: the newest plan of each cell counts.
    planned: dict[str, tuple[Cell, Session]] = {}
    for session in current:
        for cell in session.cells:
            planned[cell.id] = (cell, session)
    records = tuple(records)
    outcomes: dict[str, list[tuple[Record, Outcome]]] = {}
    for record in records:
        for outcome in record.outcomes:
            plan = planned.get(outcome.cell)
            if plan is None or plan[1].keys.get(outcome.cell) != record.run.key:
                continue
            outcomes.setdefault(outcome.cell, []).append((record, outcome))
    wanted = wanted_repeats(outcomes.values())
    cells = tuple(
        _cell_result(cell, session, pick(outcomes.get(cell.id, ()), wanted)) for cell, session in planned.values()
    )
    old = superseded(records, planned, {session.id: session for session in everything})
    return MachineResults(
        machine=last.machine,
        sessions=current,
        cells=cells,
        records=records,
        superseded=sum(cell.runs for cell in old),
        superseded_cells=old,
        days=tuple(sorted({record.started_utc[:10] for record in records})),
        waited=sum(1 for record in records if record.counted and record.gate.get("waited_s", 0)),
        not_quiet=sum(1 for record in records if record.counted and record.gate.get("passed") is False),
    )


def _cell_result(cell: Cell, session: Session, picked: Picked) -> CellResult:
    runs, failures = [], []
    by_round = picked.by_round
    # A search for the largest context measures the one that it found, and only the records know which that is.
    found = (known for record, _ in by_round.values() for known in record.run.cells if known.id == cell.id)
    cell = next(found, cell) if cell.test.measurement == CONTEXT else cell
    n_tokens = cell.test.n_tokens
    for round_, (record, outcome) in sorted(by_round.items()):
        if outcome.failure is not None:
            failures.append((round_, outcome.failure))
        elif round_ > 0:
            value = run_value(outcome.samples_ns, n_tokens=n_tokens)
            runs.append(
                RunValue(
                    round=round_,
                    session=record.session,
                    record=record.id,
                    ns_per_token=value,
                    samples_ns=outcome.samples_ns,
                    gate_passed=bool(record.gate.get("passed", True)),
                    metrics=run_metrics(cell, outcome, value),
                )
            )
    warm_up = by_round.get(0)
    looked_at = warm_up or next(iter(by_round.values()), None)
    counted = [record for round_, (record, _) in sorted(by_round.items()) if round_ > 0]
    any_record = counted[0] if counted else looked_at[0] if looked_at else None
    return CellResult(
        cell=cell,
        image=next((image for image in session.images if image.name == cell.image), None),
        model=next((model for model in session.models if model.name == cell.model), None),
        device=any_record.device if any_record else cell.device,
        beside=tuple(each for record in counted for each in record.beside),
        n_devices=len(any_record.devices) or 1 if any_record else 1,
        runs=tuple(runs),
        failures=tuple(failures),
        rounds_planned=_rounds_planned(session, picked, runs),
        confidence=CONFIDENCE if session.until is None else until.CONFIDENCE,
        screening=session.screening,
        software=cell.device == "software" or any(record.software for record, _ in by_round.values()),
        simulated=any(record.simulated for record, _ in by_round.values()),
        checks=_checks(by_round),
        log=warm_up[0].log if warm_up else None,
        argv=any_record.argv if any_record else (),
        invalid=picked.invalid,
        set_aside=picked.set_aside,
        observed=tuple(summary for record in counted if (summary := observed(record, cell))),
    )


def _checks(by_round: Mapping[int, tuple[Record, Outcome]]) -> tuple[Check, ...]:
    """What is proven of a cell: without its warm-up, whose log names device and layers, that is not known."""
    counted = [outcome for round_, (_, outcome) in by_round.items() if round_ > 0 and outcome.ok]
    if 0 in by_round:
        return merged_checks(by_round[0][1], counted)
    if not by_round:
        return ()
    missing = Check(name="warm_up", proof=Proof.UNOBSERVABLE, evidence="the record of its warm-up is not there")
    return (*merged_checks(next(iter(by_round.values()))[1], counted), missing)


def _rounds_planned(session: Session, picked: Picked, runs: Iterable[RunValue]) -> int:
    """A fixed number, or what the widths of the intervals ask for."""
    rounds = {round_ for round_ in picked.by_round if round_ > 0} | {
        r.round for r in picked.invalid if not r.made_again
    }
    made = dict.fromkeys(sorted(rounds)) | {r.round: r.ns_per_token for r in runs}
    wanted = session.rounds if session.until is None else until.rounds_wanted([made], goal=session.until)
    return max(wanted, *made, 0)
