"""One step of a bisection: two builds measured in the same rounds, in a folder of its own, and read from it again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.analysis.comparisons import paired_values
from harness.analysis.results import CellResult, read_results
from harness.errors import CellsFailedError
from harness.flows.console import Display
from harness.flows.interrupts import Interrupts
from harness.flows.measure import measure_plan
from harness.flows.measure_request import MeasureRequest
from harness.flows.read_matrix import read_matrix
from harness.flows.workspace import Workspace
from harness.matrix.strategies.rounds import Wanted
from harness.matrix.strategies.sided import Sided
from harness.stats.paired import compare_paired
from harness.stats.until import LOOKS
from harness.stats.verdicts import Comparison
from harness.store.files import make_folder, write_whole
from harness.values.failure import RETRIED_ON_RESUME
from harness.values.plan import Group

LABELS = ("base", "candidate")
WIDEST = "20%"
"""What the matrix of a step says for `until`. It is the question of the step that ends it, not this width; but so its
report has the intervals of a matrix that was looked at several times."""

Decided = Callable[[Comparison | None], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is measured in every step: one cell of a matrix, without image and label.

    Attributes:
        cell: backend, model, one test, device and parameters, as a matrix has them.
        models: the matrix's own.
        repetitions: of each run; None for the preset's.
    """

    cell: Mapping[str, Any]
    models: Mapping[str, Any]
    repetitions: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two builds, and what is known of the second against the first.

    Attributes:
        base, candidate: their numbers.
        comparison: None where too little is known.
        rounds: common rounds with a number in both.
        tokens_per_s: of base and candidate; None without a number.
        why_none: why the candidate, or the base, has no number; empty where both have.
        simulated: whether any of it came from a fake.
    """

    base: int
    candidate: int
    comparison: Comparison | None
    rounds: int
    tokens_per_s: tuple[float | None, float | None]
    why_none: str = ""
    simulated: bool = False


class Steps:
    """The steps of one bisection, each in a folder below that of the bisection.

    Args:
        folder: of the bisection.
        entry: an image of a matrix from a build's number.
        machine: the name of the machine in the records.
        confidence: of each interval.
    """

    def __init__(
        self,
        *,
        folder: Path,
        work: Work,
        entry: Callable[[int], dict[str, str]],
        machine: str,
        confidence: float,
        request: MeasureRequest,
        workspace: Workspace,
        display: Display,
        interrupts: Interrupts,
    ) -> None:
        self.folder = folder
        self.work = work
        self.entry = entry
        self.machine = machine
        self.confidence = confidence
        self.request = request
        self.workspace = workspace
        self.display = display
        self.interrupts = interrupts

    def known(self, base: int, candidate: int) -> Pair | None:
        """What the records on disk say of two builds; None where there are none of this machine."""
        folder = self._folder(base, candidate)
        for place in (folder, folder / "simulated"):
            if (place / "records" / f"{self.machine}.jsonl").is_file():
                machines = read_results(place, simulated=place != folder)
                found = next(result for result in machines if result.machine.machine == self.machine)
                return self._pair(base, candidate, found.cells)
        return None

    def done(self, pair: Pair | None, decided: Decided) -> bool:
        """Whether no more rounds are made. What was interrupted between two looks is not looked at before the next."""
        if pair is None:
            return False
        return bool(pair.why_none) or pair.rounds >= LOOKS[-1] or (pair.rounds in LOOKS and decided(pair.comparison))

    def measure(self, base: int, candidate: int, decided: Decided) -> Pair:
        """Rounds of two builds until it is decided what the second is to the first, on top of those on disk.

        Raises:
            InputError, MachineError: as `measure_plan`. InterruptedByUserError: what was measured is kept.
        """
        pair = self.known(base, candidate)
        if not self.request.fresh and pair is not None and self.done(pair, decided):
            return pair
        path = self._write_matrix(base, candidate)

        def rounds_by(groups: tuple[Group, ...]) -> Wanted:
            return Sided(groups, decided=decided, confidence=self.confidence)

        request = MeasureRequest(
            file=str(path),
            machine=self.machine,
            gate_wait_s=self.request.gate_wait_s,
            fresh=self.request.fresh,
            rounds_by=rounds_by,
        )
        try:
            measure_plan(
                read_matrix(str(path), self.workspace),
                request,
                folder=self._folder(base, candidate),
                workspace=self.workspace,
                display=self.display,
                interrupts=self.interrupts,
            )
        except CellsFailedError as error:
            self.display.say(error.what)
        found = self.known(base, candidate)
        if found is None:
            nothing = "nothing was recorded"
            return Pair(
                base=base, candidate=candidate, comparison=None, rounds=0, tokens_per_s=(None, None), why_none=nothing
            )
        return found

    def _folder(self, base: int, candidate: int) -> Path:
        return self.folder / f"b{candidate}-against-b{base}"

    def _write_matrix(self, base: int, candidate: int) -> Path:
        """The matrix file of a step. It follows from the question alone, so that the records of it are found again."""
        images = {label: self.entry(number) for label, number in zip(LABELS, (base, candidate), strict=True)}
        matrix: dict[str, Any] = {"title": f"b{candidate} against b{base}", "until": WIDEST, "images": images}
        matrix |= {"models": dict(self.work.models)} if self.work.models else {}
        matrix |= {"repetitions": self.work.repetitions} if self.work.repetitions else {}
        matrix["cells"] = [{**self.work.cell, "image": label, "label": label} for label in LABELS]
        folder = self.workspace.cache / "bisect"
        make_folder(folder)
        path = folder / f"{self.folder.name}.b{candidate}-against-b{base}.yaml"
        # JSON is YAML.
        write_whole(path, json.dumps(matrix, indent=1).encode() + b"\n")
        return path

    def _pair(self, base: int, candidate: int, cells: Sequence[CellResult]) -> Pair:
        first, second = (next(cell for cell in cells if cell.cell.label == label) for label in LABELS)
        a, b = paired_values(first, second)
        return Pair(
            base=base,
            candidate=candidate,
            comparison=compare_paired(a, b, confidence=self.confidence),
            rounds=len(a),
            tokens_per_s=(first.tokens_per_s, second.tokens_per_s),
            why_none=_why_none(second, candidate) or _why_none(first, base),
            simulated=first.simulated or second.simulated,
        )


def _why_none(result: CellResult, number: int) -> str:
    """Why a build has not one number; empty where it has some, or can still get one."""
    lasting = [failure for _, failure in result.failures if failure.reason not in RETRIED_ON_RESUME]
    if result.runs or not lasting:
        return ""
    return f"b{number}: {lasting[-1].reason}: {lasting[-1].detail}"
