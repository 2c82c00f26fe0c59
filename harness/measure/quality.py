"""llama-perplexity as a measurement: what a smaller quantization costs in quality, on a text of the project's own.

With `against`, the base model's logits are there as a file (`harness/flows/base_logits.py` makes it), and the program
tells how far the choices of the next token are from the base's: the Kullback-Leibler divergence, and how often the most
likely token is the same. Without, it tells the perplexity only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from harness.formats import llama_log, llama_perplexity
from harness.measure.common_options import head, program_options
from harness.measure.diagnosis import diagnose
from harness.measure.log_proof import log_findings, outcome_of, program_build
from harness.measure.placement import Finding, contradicted, proven, unobservable
from harness.measure.windows import IDLE
from harness.values.bench import LogFacts
from harness.values.cell import Cell
from harness.values.container import ContainerExit, Passthrough
from harness.values.facts import ImageFacts
from harness.values.failure import Failure, Phase, Reason
from harness.values.measured import Asked, Heard
from harness.values.record import Outcome
from harness.values.telemetry import Window

PROGRAM = "llama-perplexity"
TEXT_PATH: Final = "/quality/text.txt"
LOGITS_PATH: Final = "/quality/base.logits"
CHUNKS: Final = 8
"""Of the text: 4096 tokens with contexts of 512. The logits of a vocabulary of 262,144 then take 1.1 GB."""


def base_argv(cell: Cell, image: ImageFacts, *, passthrough: Passthrough) -> tuple[str, ...] | Failure:
    """The process that writes the logits of the base model."""
    start = _start(cell, image, passthrough)
    return start if isinstance(start, Failure) else (*start, "--kl-divergence-base", LOGITS_PATH)


def _start(
    cell: Cell, image: ImageFacts, passthrough: Passthrough, *, verbose: bool = False
) -> tuple[str, ...] | Failure:
    flags = program_options(image, PROGRAM)
    if isinstance(flags, Failure):
        return flags
    start = head(cell.params, image, PROGRAM, passthrough=passthrough, verbose=verbose)
    if isinstance(start, Failure):
        return start
    return (*start, "-f", TEXT_PATH, "-c", str(cell.test.n_prompt), "--chunks", str(CHUNKS))


class Quality:
    """Implements `harness.values.protocols.Measurement`. One cell a run."""

    def argv(
        self,
        cells: Sequence[Cell],
        image: ImageFacts,
        *,
        passthrough: Passthrough,
        repetitions: int,  # noqa: ARG002 - it always comes out the same
        verbose: bool,
    ) -> tuple[str, ...] | Failure:
        """Over the text, beside the base's logits where there are any."""
        start = _start(cells[0], image, passthrough, verbose=verbose)
        if isinstance(start, Failure):
            return start
        if not cells[0].test.against:
            return start
        return (*start, "--kl-divergence", "--kl-divergence-base", LOGITS_PATH)

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
        """Idle, and the whole container: nothing in it is timed."""
        found = []
        if begin_ns is not None and begin_ns < ended.started_ns:
            found.append(Window(name=IDLE, begin_ns=begin_ns, end_ns=ended.started_ns))
        end_ns = max(ended.ended_ns, ended.started_ns)
        return (*found, *(Window(name=c.id, begin_ns=ended.started_ns, end_ns=end_ns, untimed=True) for c in cells))

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
        """The figures that it printed, with what its log proves."""
        log = self.log(ended, verbose=asked.verbose)
        figures = llama_perplexity.read([line.text for line in (*ended.stdout, *ended.stderr)])
        return tuple(_judged(cell, figures, ended, log, asked) for cell in cells)


def _judged(cell: Cell, figures: dict[str, float], ended: ContainerExit, log: LogFacts | None, asked: Asked) -> Outcome:
    wanted = ("perplexity", "kl_divergence") if cell.test.against else ("perplexity",)
    lacking = [name for name in wanted if name not in figures]
    if lacking or ended.exit_code != 0:
        return Outcome(cell=cell.id, failure=_without_figures(lacking, ended, asked))
    findings = [
        program_build(PROGRAM, asked.image),
        _chunks(figures),
        *log_findings(cell, log, asked),
    ]
    samples = (max(1, ended.ended_ns - ended.started_ns),)
    series = {name: (value,) for name, value in figures.items()}
    return outcome_of(cell, samples, series, {"figures": figures}, findings)


def _without_figures(lacking: Sequence[str], ended: ContainerExit, asked: Asked) -> Failure:
    failure = diagnose(ended, backend=asked.backend)
    if failure.reason is not Reason.MISSING_ROWS:
        return failure
    return Failure(phase=Phase.READ, reason=Reason.MISSING_ROWS, detail=f"it printed no {' and no '.join(lacking)}")


def _chunks(figures: dict[str, float]) -> Finding:
    count = figures.get("chunks")
    if count is None:
        return unobservable("chunks", "it does not say how much of the text it read")
    if count != CHUNKS:
        return contradicted("chunks", f"{count:.0f} chunks were read, asked for {CHUNKS}", Reason.INCONSISTENT)
    return proven("chunks", f"{CHUNKS} chunks were read")
