"""`invoke bisect --good b... --bad b...`: the first slow build between a fast one and a slow one.

    the bad build against the good one -> what counts as slow -> candidates against the good one -> the change alone

State is the records on disk: the same command goes on where it was interrupted, and walks the same way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.artifacts.images import prepare_image
from harness.errors import ArtifactError, InputError, UndecidedError
from harness.flows.bisect_builds import Asked, Builds, find_builds
from harness.flows.bisect_steps import Pair, Steps, Work
from harness.flows.bisect_words import Found, as_json, as_markdown, how_slow, last_words, share
from harness.flows.console import Display
from harness.flows.engines import open_engine
from harness.flows.interrupts import Interrupts
from harness.flows.journalling import JournalledImages, journalled_probe
from harness.flows.measure import this_machine
from harness.flows.measure_request import MeasureRequest
from harness.flows.two_arms import parse_setting
from harness.flows.workspace import Workspace, find_workspace, shown_path
from harness.matrix.strategies.bisection import Narrowed, most_steps, narrow
from harness.stats.sides import Side, confidence_of_looks, halfway, side_of, well_beyond
from harness.stats.verdicts import Comparison
from harness.store.files import make_folder, write_whole
from harness.store.records import RecordStore
from harness.values.matrix import ImageSource

DEFAULT_TEST = "tg128"


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectRequest:
    """What the user asked for on the command line.

    Attributes:
        builds: the range, and where its images come from.
        model: a name of the registry, or a GGUF file. test: one, such as `tg128`.
        setting: parameters such as `flash_attn=1,n_ubatch=1024`.
        slower: what counts as slow, as a share; None for half of the difference between the bad and the good build.
    """

    builds: Asked
    model: str
    test: str = DEFAULT_TEST
    backend: str = "cpu"
    device: str = ""
    setting: str = ""
    slower: float | None = None
    repetitions: int | None = None
    machine: str = ""
    gate_wait_s: float = 300.0
    fresh: bool = False
    as_json: bool = False


def bisect(request: BisectRequest, *, workspace: Workspace | None = None, display: Display | None = None) -> Found:
    """Find the first slow build.

    Raises:
        InputError: a mistake in what was asked, or the bad build is not slower. Nothing more is measured then.
        UndecidedError: the bad build is not shown to be slower; or the answer is a range, since builds were skipped.
        ArtifactError: the good or the bad build's image cannot be had.
        MachineError: no engine, or the machine cannot be used.
        InterruptedByUserError: the same command continues.
    """
    workspace = workspace or find_workspace()
    # With --json, standard output holds nothing but JSON.
    progress = display or (
        Display(stream=Console(stderr=True, highlight=False, soft_wrap=True)) if request.as_json else Display()
    )
    work = _work(request, workspace)
    builds = find_builds(request.builds, workspace, names=lambda: _present(progress))
    folder = workspace.reports / _name(request, work)
    interrupts = Interrupts()
    with interrupts.installed():
        search = _Search(
            request, builds, work, folder=folder, workspace=workspace, display=progress, interrupts=interrupts
        )
        found = search.run()
    make_folder(folder)
    write_whole(folder / "bisect.md", as_markdown(found).encode())
    write_whole(folder / "bisect.json", json.dumps(as_json(found), indent=1).encode() + b"\n")
    for line in last_words(found):
        progress.say(line)
    progress.say(f"report: {shown_path(folder / 'bisect.md', workspace)}")
    if request.as_json:
        (display or Display()).say(json.dumps(as_json(found), indent=1))
    if not found.narrowed.found:
        raise UndecidedError(
            f"{len(found.narrowed.skipped)} builds could not be judged",
            where=folder.name,
            remedy="A quieter machine, a larger --slower or more builds (--among) may tell them apart.",
        )
    return found


def _present(display: Display) -> Sequence[str]:
    with open_engine(display.say) as opened:
        return opened.images.names()


def _work(request: BisectRequest, workspace: Workspace) -> Work:
    if not request.model:
        raise InputError("is needed", where="--model", remedy="`invoke models` lists names; a GGUF file does too.")
    cell: dict[str, Any] = {"backend": request.backend, "model": request.model, "tests": [request.test]}
    models: dict[str, Any] = {}
    file = workspace.cwd / Path(request.model).expanduser()
    if file.suffix == ".gguf":
        cell["model"], models = "model", {"model": {"file": str(file)}}
    cell |= {"device": request.device} if request.device else {}
    cell |= parse_setting(request.setting) if request.setting else {}
    return Work(cell=cell, models=models, repetitions=request.repetitions)


def _name(request: BisectRequest, work: Work) -> str:
    """The name of the folder follows from the question, so that the same command goes on."""
    asked = request.builds
    question = [
        asked.good, asked.bad, asked.image, asked.build, sorted(asked.among), asked.present, request.slower,
        work.cell, work.models, work.repetitions,
    ]  # fmt: skip
    digest = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
    return f"bisect-{digest[:12]}"


class _Search:
    """One bisection under way."""

    def __init__(
        self,
        request: BisectRequest,
        builds: Builds,
        work: Work,
        *,
        folder: Path,
        workspace: Workspace,
        display: Display,
        interrupts: Interrupts,
    ) -> None:
        measuring = MeasureRequest(
            file="", machine=request.machine, gate_wait_s=request.gate_wait_s, fresh=request.fresh
        )
        self.request = request
        self.builds = builds
        self.folder = folder
        self.workspace = workspace
        self.display = display
        self.interrupts = interrupts
        self.machine = this_machine(measuring, workspace).machine
        # The ends and the change are questions too.
        self.most = most_steps(len(builds.numbers)) + 2
        self.confidence = confidence_of_looks(self.most)
        self.steps = Steps(
            folder=folder,
            work=work,
            entry=builds.entry,
            machine=self.machine,
            confidence=self.confidence,
            request=measuring,
            workspace=workspace,
            display=display,
            interrupts=interrupts,
        )
        self.asked = f"{work.cell['model']}, {request.test}, {request.backend}"
        self.made: list[Pair] = []
        self.sides: dict[int, Side] = {}
        self.skipped: dict[int, str] = {}

    @property
    def good(self) -> int:
        return self.builds.numbers[0]

    @property
    def bad(self) -> int:
        return self.builds.numbers[-1]

    def run(self) -> Found:
        """From the two ends to the answer."""
        between = len(self.builds.numbers) - 2
        self.display.say(
            f"{self.folder.name}: b{self.good} (good) to b{self.bad} (bad), {between} builds between, "
            f"at most {self.most} steps of 8 to 20 rounds"
        )
        for number in (self.good, self.bad):
            self._have(number)
        limit, ends = self._ends()
        while (narrowed := narrow(self.builds.numbers, self.sides)).next is not None:
            self._look_at(narrowed.next, limit)
        return Found(
            good=self.good,
            bad=self.bad,
            limit=limit,
            ends=ends,
            steps=tuple(self.made),
            sides=self.sides,
            skipped=self.skipped,
            narrowed=narrowed,
            change=self._change(narrowed),
            confidence=self.confidence,
            asked=self.asked,
        )

    def _ends(self) -> tuple[float, Pair]:
        """What counts as slow, from the bad build against the good one; what is wrong with the range is told here."""
        slower = self.request.slower
        given = None if slower is None else 1 - slower
        if given is None:
            pair = self.steps.measure(self.good, self.bad, well_beyond)
        else:
            pair = self.steps.measure(self.good, self.bad, lambda found: side_of(found, given) is not Side.UNDECIDED)
        if pair.why_none:
            raise InputError(
                pair.why_none, where=f"b{self.good} and b{self.bad}", remedy="Both ends of the range have to run."
            )
        comparison = pair.comparison
        if comparison is not None and comparison.low > (given or 1):
            raise InputError(
                f"b{self.bad} is not slow against b{self.good}: {how_slow(pair)}",
                where="--bad",
                remedy="Give another range" + (", or a smaller --slower." if given else "."),
            )
        if comparison is None or not comparison.high < (given or 1):
            raise UndecidedError(
                f"b{self.bad} is not shown to be slower than b{self.good}"
                + (f" by more than {share(given)}" if given else "")
                + f": {how_slow(pair)}",
                where="--bad",
                remedy="There is nothing to look for, or it is smaller than this machine's noise: try another test, "
                "a larger model, or a quieter machine.",
            )
        limit = given or halfway(comparison)
        self.display.say(
            f"b{self.bad} (bad) against b{self.good} (good): {how_slow(pair)}; slow is what is slower by more than "
            f"{share(limit)}"
        )
        return limit, pair

    def _look_at(self, number: int, limit: float) -> None:
        """One candidate against the good build."""

        def decided(found: Comparison | None) -> bool:
            return side_of(found, limit) is not Side.UNDECIDED

        pair = self.steps.known(self.good, number)
        if self.request.fresh or not self.steps.done(pair, decided):
            try:
                self._have(number)
            except ArtifactError as error:
                self._skip(number, error.what)
                return
            pair = self.steps.measure(self.good, number, decided)
        if pair is None:
            return
        self.made.append(pair)
        if pair.why_none:
            self._skip(number, pair.why_none)
            return
        side = side_of(pair.comparison, limit)
        if side is Side.UNDECIDED:
            self._skip(number, f"undecided after {pair.rounds} rounds: {how_slow(pair)}")
            return
        self.sides[number] = side
        self.display.say(f"b{number} is {side}: {how_slow(pair)}")

    def _skip(self, number: int, why: str) -> None:
        self.sides[number] = Side.UNDECIDED
        self.skipped[number] = why
        self.display.say(f"b{number} is skipped: {why}")

    def _change(self, narrowed: Narrowed) -> Pair | None:
        """The first slow build against the last fine one: nobody measured these two side by side yet."""
        if narrowed.fine == self.good:
            return None
        return self.steps.measure(
            narrowed.fine, narrowed.slow, lambda found: found is not None and (found.high < 1 or found.low > 1)
        )

    def _have(self, number: int) -> None:
        """The image of a build, before a round of the other one is spent on it.

        Raises:
            ArtifactError: it cannot be had.
        """
        store = RecordStore(self.folder)

        def journal(event: str, fields: Any) -> None:
            store.journal(self.machine, event, fields)

        entry = self.builds.entry(number)
        source = ImageSource(
            name=f"b{number}",
            build=entry.get("build", ""),
            llama_source=entry.get("source", ""),
            ref=entry.get("ref", ""),
        )
        with open_engine(self.display.say) as opened, self.display.step(f"image b{number}") as step:
            prepare_image(
                source,
                store=JournalledImages(opened.images, journal),
                probe=journalled_probe(opened.probe(), journal),
                cache=self.workspace.cache,
                say=self.display.say,
                progress=step,
                images=self.workspace.images,
            )
