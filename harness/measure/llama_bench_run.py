"""llama-bench as a `Measurement`: the process of a run, and what it printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.formats import llama_bench as bench_output
from harness.formats import llama_log
from harness.measure import llama_bench, proof
from harness.measure.windows import windows
from harness.values.bench import LogFacts
from harness.values.cell import Cell
from harness.values.container import ContainerExit, Passthrough
from harness.values.facts import ImageFacts
from harness.values.failure import Failure
from harness.values.measured import Asked, Heard
from harness.values.record import Outcome
from harness.values.telemetry import Window


class LlamaBench:
    """Implements `harness.values.protocols.Measurement`."""

    def argv(
        self, cells: Sequence[Cell], image: ImageFacts, *, passthrough: Passthrough, repetitions: int, verbose: bool
    ) -> tuple[str, ...] | Failure:
        """One llama-bench for all cells of the run."""
        return llama_bench.argv(cells, image, passthrough=passthrough, repetitions=repetitions, verbose=verbose)

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
        """By the stamps of its rows."""
        output = bench_output.read(line.text for line in ended.stdout)
        return windows(cells, ended, output, begin_ns=begin_ns)

    def judge(
        self,
        cells: Sequence[Cell],
        ended: ContainerExit,
        heard: Heard | None,  # noqa: ARG002 - the protocol's
        asked: Asked,
    ) -> tuple[Outcome, ...]:
        """By its rows, and in the warm-up by its log."""
        return proof.judge(
            cells,
            ended,
            bench_output.read(line.text for line in ended.stdout),
            self.log(ended, verbose=asked.verbose),
            passthrough=asked.passthrough,
            backend=asked.backend,
            image=asked.image,
            model=asked.model,
            repetitions=asked.repetitions,
            telemetry=asked.telemetry,
            placed=asked.placed,
        )

    def log(self, ended: ContainerExit, *, verbose: bool) -> LogFacts | None:
        """Only a run with `-v` logs what it does."""
        return llama_log.read(line.text for line in ended.stderr) if verbose else None
