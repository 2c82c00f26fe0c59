"""llama-batched-bench as a measurement: several sequences at once, as its JSON lines tell them.

It has no repetitions, so its list of parallel sequences is given to it as often as repetitions are wanted. It leaves
out in silence what does not fit into its context: a row that is not there is a failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.formats import llama_batched, llama_log
from harness.formats.llama_batched import BatchedRow
from harness.measure.common_options import head, program_options
from harness.measure.diagnosis import diagnose
from harness.measure.log_proof import log_findings, outcome_of, program_build
from harness.measure.placement import Finding, contradicted, proven, unobservable
from harness.measure.windows import IDLE, LOAD
from harness.values.bench import LogFacts
from harness.values.cell import Cell
from harness.values.container import ContainerExit, Passthrough
from harness.values.facts import ImageFacts
from harness.values.failure import Failure, Phase, Reason
from harness.values.measured import Asked, Heard
from harness.values.record import Outcome
from harness.values.telemetry import Window

PROGRAM = "llama-batched-bench"
_PARAMETERS = ("n_batch", "n_ubatch", "flash_attn", "n_gpu_layers")
_S = 1e9


class BatchedBench:
    """Implements `harness.values.protocols.Measurement`."""

    def argv(
        self,
        cells: Sequence[Cell],
        image: ImageFacts,
        *,
        passthrough: Passthrough,
        repetitions: int,
        verbose: bool,
    ) -> tuple[str, ...] | Failure:
        """One process for all numbers of sequences of one shape, in a context that holds the most of them."""
        flags = program_options(image, PROGRAM)
        if isinstance(flags, Failure):
            return flags
        first = cells[0]
        start = head(first.params, image, PROGRAM, passthrough=passthrough, verbose=verbose)
        if isinstance(start, Failure):
            return start
        sequences = [cell.test.n_parallel for cell in cells]
        test = first.test
        context = max(sequences) * (test.n_prompt + test.n_gen)
        return (
            *start,
            *("-c", str(context)),
            *("-npp", str(test.n_prompt), "-ntg", str(test.n_gen)),
            *("-npl", ",".join(str(n) for n in sequences * repetitions)),
            *("--output-format", "jsonl"),
        )

    def client(self, cells: Sequence[Cell], *, repetitions: int, text: Path | None) -> None:
        """It needs nobody to talk to."""

    def windows(
        self,
        cells: Sequence[Cell],
        ended: ContainerExit,
        heard: Heard | None,  # noqa: ARG002 - the protocol's
        *,
        begin_ns: int | None,
    ) -> tuple[Window, ...]:
        """By the stamps of its rows: the first repetition of a cell to its last; others lie between."""
        found = []
        if begin_ns is not None and begin_ns < ended.started_ns:
            found.append(Window(name=IDLE, begin_ns=begin_ns, end_ns=ended.started_ns))
        rows = _rows(ended)
        begin = min((ended.stdout[row.line].at_ns - round(row.t_s * _S) for row in rows), default=ended.ended_ns)
        found.append(Window(name=LOAD, begin_ns=ended.started_ns, end_ns=max(begin, ended.started_ns)))
        for cell in cells:
            own = _own(cell, rows)
            if own:
                last = own[-1]
                end_ns = ended.stdout[last.line].at_ns
                found.append(Window(name=cell.id, begin_ns=end_ns - round(last.t_s * _S), end_ns=end_ns))
        return tuple(sorted(found, key=lambda window: window.begin_ns))

    def log(self, ended: ContainerExit, *, verbose: bool) -> LogFacts | None:
        """Only a run with `-v` logs what it loads."""
        return llama_log.read(line.text for line in ended.stderr) if verbose else None

    def judge(
        self,
        cells: Sequence[Cell],
        ended: ContainerExit,
        heard: Heard | None,  # noqa: ARG002 - the protocol's
        asked: Asked,
    ) -> tuple[Outcome, ...]:
        """The rows of each cell, one a repetition, with what the log proves."""
        rows, log = _rows(ended), self.log(ended, verbose=asked.verbose)
        return tuple(_judged(cell, _own(cell, rows), ended, log, asked) for cell in cells)


def _rows(ended: ContainerExit) -> tuple[BatchedRow, ...]:
    return llama_batched.read(line.text for line in ended.stdout)


def _own(cell: Cell, rows: Sequence[BatchedRow]) -> list[BatchedRow]:
    """The rows of a cell: of its shape, with as many sequences."""
    test = cell.test
    shape = (test.n_prompt, test.n_gen, test.n_parallel)
    return [row for row in rows if (row.n_prompt, row.n_gen, row.n_parallel) == shape]


def _judged(
    cell: Cell, rows: Sequence[BatchedRow], ended: ContainerExit, log: LogFacts | None, asked: Asked
) -> Outcome:
    if len(rows) < asked.repetitions:
        return Outcome(cell=cell.id, failure=_missing(cell, rows, ended, asked))
    findings = [
        program_build(PROGRAM, asked.image),
        _parameters(cell, rows[-1]),
        *log_findings(cell, log, asked),
    ]
    samples = tuple(max(1, round(row.t_tg_s * _S)) for row in rows)
    series: dict[str, tuple[int | float, ...]] = {
        "prompt_ns": tuple(round(row.t_pp_s * _S) for row in rows),
        "generation_ns": samples,
        "all_ns": tuple(round(row.t_s * _S) for row in rows),
    }
    return outcome_of(cell, samples, series, {"rows": [dict(row.raw) for row in rows]}, findings)


def _missing(cell: Cell, rows: Sequence[BatchedRow], ended: ContainerExit, asked: Asked) -> Failure:
    if ended.exit_code == 0 and not ended.error and not ended.timed_out and not ended.cancelled:
        test = cell.test
        return Failure(
            phase=Phase.READ,
            reason=Reason.MISSING_ROWS,
            detail=f"{len(rows)} of {asked.repetitions} rows; llama-batched-bench leaves out in silence what needs "
            f"more than its context: {test.n_parallel} x ({test.n_prompt} + {test.n_gen}) tokens",
        )
    return diagnose(ended, backend=asked.backend)


def _parameters(cell: Cell, row: BatchedRow) -> Finding:
    told = {
        name: found
        for name in _PARAMETERS
        if isinstance(found := row.raw.get(name), int) and cell.params.get(name, "auto") != "auto"
    }
    different = [
        f"{name} is {found}, asked for {cell.params[name]}"
        for name, found in told.items()
        if found != cell.params[name]
    ]
    if different:
        return contradicted("parameters", "; ".join(different), Reason.WRONG_PARAMETERS)
    if not told:
        return unobservable("parameters", "the row does not report them")
    return proven("parameters", f"{', '.join(told)} as the row reports them")
