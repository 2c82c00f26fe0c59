"""What the tests of the flows share: a llama-bench that is played by the replay engine, and facts that fit to it."""

import io
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.artifacts.models import prepare_model as real_prepare_model
from harness.engine.replay import ReplayEngine, scripted
from harness.errors import BenchError
from harness.flows import gatekeeper
from harness.flows import measure as measure_flow
from harness.flows import prepare as prepare_flow
from harness.flows.campaign import Campaign, make_groups
from harness.flows.console import Display
from harness.flows.interrupts import Interrupts
from harness.flows.measure_request import MeasureRequest
from harness.flows.prepare import Prepared, Target
from harness.flows.roofs import Prober
from harness.flows.setting import Setting
from harness.flows.workspace import CHECKOUT, Workspace
from harness.machine.gate import GateResult
from harness.machine.vendors.cpu import Cpu
from harness.machine.watch import Watch
from harness.matrix.estimate import ModelSize
from harness.matrix.foresight import Foresight
from harness.matrix.rounds import group_cells
from harness.matrix.strategies.dominated import SkipDominated
from harness.matrix.strategies.rounds import Rounds, Wanted, fixed
from harness.store.history import History
from harness.store.records import RecordStore
from harness.values.cell import Cell, Test
from harness.values.container import ContainerExit, ContainerSpec, Passthrough
from harness.values.facts import Device, ImageFacts, ModelFacts
from harness.values.protocols import ImageStoreError
from harness.values.record import Record, Run, Violation
from harness.values.roof import Roof

CAPTURES = CHECKOUT / "tests" / "captures"
ROW = json.loads((CAPTURES / "cpu-b11312/good-v.stdout").read_text().splitlines()[0])
LOG = (CAPTURES / "cpu-b11312/good-v.stderr").read_text()
QUIET = GateResult(passed=True, waited_s=0.0, foreign_cpu=0.01, steal=0.0)
CPU = Device(vendor="cpu", kind="cpu", name="Test CPU")
IMAGE = ImageFacts(
    name="cpu", ref="images/cpu.Dockerfile", id="sha256:" + "b" * 64, build_number=11312, build_commit="0c1e57098"
)
GEMMA = ModelFacts(
    name="gemma",
    title="Gemma",
    source="file",
    path=Path("/nowhere/gemma.gguf"),
    sha256="c" * 64,
    size_bytes=253_113_024,
    synthetic=False,
    n_params=268_098_176,
)
PARAMS = {
    "n_gpu_layers": 0,
    "flash_attn": 0,
    "n_batch": 2048,
    "n_ubatch": 512,
    "type_k": "f16",
    "type_v": "f16",
    "load_mode": "mmap",
    "n_threads": 2,
}


@dataclass
class FakeBench:
    """What happens in the containers: rows for what the argv asks, unless something else was arranged.

    Attributes:
        kills: by the name of a test: how the process ends when it gets there, as fields of a `ContainerExit`, with
            `log` for what it last says.
        refused: the test whose row reports other parameters than were asked for.
        ends: ends that are used up first, one a container.
        seen: called with each spec before its container ends.
    """

    kills: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: str = ""
    ends: deque[ContainerExit] = field(default_factory=deque)
    seen: Callable[[ContainerSpec], None] = lambda _spec: None

    def __call__(self, spec: ContainerSpec) -> ContainerExit:
        self.seen(spec)
        if self.ends:
            return self.ends.popleft()
        options = dict(zip(spec.argv[1:], spec.argv[2:], strict=False))
        rows: list[str] = []
        for test in _tests(options):
            if test.name in self.kills:
                changes = dict(self.kills[test.name])
                ended = scripted("\n".join(rows), changes.pop("log", ""))
                return replace(ended, **{"exit_code": 134, **changes})
            row = _row(test, options)
            rows.append(json.dumps(row | {"type_v": "q8_0"} if test.name == self.refused else row))
        return scripted("\n".join(rows), LOG if "-v" in spec.argv else "")


def _tests(options: Mapping[str, str]) -> list[Test]:
    prompts, generations = ([int(n) for n in options[o].split(",") if n != "0"] for o in ("-p", "-n"))
    shapes = [(p, 0) for p in prompts] + [(0, n) for n in generations]
    return [Test(n_prompt=p, n_gen=n, n_depth=int(d)) for d in options["-d"].split(",") for p, n in shapes]


def _row(test: Test, options: Mapping[str, str]) -> dict[str, Any]:
    samples = [1_000_000 * test.n_tokens + 1000 * index for index in range(int(options["-r"]))]
    rates = [1e9 * test.n_tokens / sample for sample in samples]
    shape = {"n_prompt": test.n_prompt, "n_gen": test.n_gen, "n_depth": test.n_depth}
    parameters = {"n_gpu_layers": int(options["-ngl"]), "flash_attn": int(options["-fa"]), "type_v": options["-ctv"]}
    measured = {"samples_ns": samples, "samples_ts": rates, "avg_ts": sum(rates) / len(rates)}
    return ROW | shape | parameters | measured


class AsIfReal(ReplayEngine):
    """A replay that does not say so, since its records are to go where those of real engines go."""

    @property
    def simulated(self) -> bool:
        return False


def make_cell(test: Test, *, model: str = "gemma", label: str = "", backend: str = "cpu", **changes: Any) -> Cell:
    identity = f"{backend}/{model}/{test.name}" + (f"#{label}" if label else "")
    fields: dict[str, Any] = {"backend": backend, "image": backend, "model": model, "label": label, "params": PARAMS}
    return Cell(id=identity, test=test, **{**fields, **changes})


def pp(n: int, **changes: Any) -> Cell:
    return make_cell(Test(n_prompt=n), **changes)


def tg(n: int, **changes: Any) -> Cell:
    return make_cell(Test(n_gen=n), **changes)


@dataclass
class Campaigning:
    """A campaign over fakes. `go()` runs it as a new start of the harness would, with what was recorded before.

    Attributes:
        records: what was stored, in order.
    """

    cells: tuple[Cell, ...]
    rounds: int = 1
    wanted: Wanted | None = None
    bench: FakeBench = field(default_factory=FakeBench)
    prepared: Prepared = field(
        default_factory=lambda: Prepared(
            targets={("cpu", "default"): Target(devices=(CPU,), passthrough=Passthrough())},
            images={"cpu": IMAGE},
            models={"gemma": GEMMA, "other": replace(GEMMA, name="other", sha256="d" * 64)},
        )
    )
    order: Callable[[int, int], Sequence[int]] = lambda n, _round: range(n)
    gate: Callable[..., GateResult] = lambda *_: QUIET
    strict: bool = False
    repetitions: int = 3
    sizes: Mapping[str, ModelSize] = field(default_factory=dict)
    identities: Mapping[str, str | None] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    watch: Watch | None = None
    kernel_caches: Path = Path("/nowhere")
    judged: Callable[[Run], tuple[Violation, ...]] = lambda _run: ()
    engine_class: type[ReplayEngine] = AsIfReal
    stream: io.StringIO = field(default_factory=io.StringIO)

    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    def go(self, *, on_record: Callable[[Record, Interrupts], None] = lambda _r, _i: None) -> ReplayEngine:
        """Run it; `on_record` is called after each record. Returns the engine with what was started."""
        engine = self.engine_class(self.bench)
        interrupts = Interrupts()
        self.last_interrupts = interrupts
        history = History()
        for record in self.records:
            history.take(record, earlier=True)

        def store(record: Record) -> Record:
            record = replace(record, invalid=record.invalid or self.judged(record.run))
            self.records.append(record)
            on_record(record, interrupts)
            return record

        setting = Setting(
            matrix="demo",
            matrix_sha256="a" * 64,
            machine="box",
            session="20261124T000000Z-000001",
            repetitions=self.repetitions,
            memory_bytes=1 << 30,
            kernel_caches=self.kernel_caches,
            prepared=self.prepared,
            identities=self.identities,
            engine=engine,
            gate=self.gate,
            journal=lambda _event, _fields: None,
            strict=self.strict,
            watch=self.watch,
        )
        groups = make_groups(group_cells(self.cells), setting)
        self.campaign = Campaign(
            strategy=SkipDominated(
                Rounds(
                    groups=groups,
                    order=lambda round_: self.order(len(groups), round_),
                    wanted=self.wanted or fixed(self.rounds),
                )
            ),
            timeouts={},
            setting=setting,
            store=store,
            history=history,
            foresight=Foresight(repetitions=self.repetitions, sizes=self.sizes),
            interrupts=interrupts,
            display=Display(terminal=False, stream=Console(file=self.stream, soft_wrap=True)),
        )
        self.campaign.run()
        return engine

    def reasons(self, *, round_: int | None = None) -> dict[str, list[str]]:
        """By cell: what became of it, one word for each record that holds it."""
        words: dict[str, list[str]] = {cell.id: [] for cell in self.cells}
        for record in self.records:
            if round_ is None or record.run.round == round_:
                for outcome in record.outcomes:
                    words[outcome.cell].append("ok" if outcome.failure is None else str(outcome.failure.reason))
        return words

    def runs(self) -> list[tuple[int, int, tuple[str, ...]]]:
        """Round, attempt and tests of each record."""
        return [(r.run.round, r.run.attempt, tuple(cell.test.name for cell in r.run.cells)) for r in self.records]


@pytest.fixture
def campaigning() -> type[Campaigning]:
    return Campaigning


@pytest.fixture(name="make_cell")
def _make_cell() -> Callable[..., Cell]:
    return make_cell


@pytest.fixture(name="pp")
def _pp() -> Callable[..., Cell]:
    return pp


@pytest.fixture(name="tg")
def _tg() -> Callable[..., Cell]:
    return tg


@pytest.fixture
def as_simulated() -> type[ReplayEngine]:
    return ReplayEngine


class FakeImages:
    """Images whose files cannot be had."""

    def export(self, _image: str, folder: str) -> Iterator[bytes]:
        raise ImageStoreError(f"no {folder} here")


@dataclass
class FakeOpenEngine:
    """What `open_engine` gives, without an engine behind it."""

    engine: ReplayEngine
    images: object = field(default_factory=FakeImages)
    host: str = "replay://"

    def probe(self, **_labels: str) -> Callable[..., tuple[int | None, str, str]]:
        return lambda _image, _argv: (0, "", "")


@dataclass
class Harness:
    """`measure` with everything that is outside of Python replaced.

    Attributes:
        had: what was asked of the artifacts: `image cpu`, `model gemma`.
        missing: `image NAME` or `model NAME` to what it fails with.
        lines: what the user saw in the last start.
        started: the containers of the last start.
    """

    workspace: Workspace
    bench: FakeBench = field(default_factory=FakeBench)
    engine_class: type[ReplayEngine] = AsIfReal
    image: ImageFacts = IMAGE
    model: ModelFacts = GEMMA
    had: list[str] = field(default_factory=list)
    missing: dict[str, BenchError] = field(default_factory=dict)
    no_engine: BenchError | None = None
    lines: list[str] = field(default_factory=list)
    started: list[ContainerSpec] = field(default_factory=list)
    leftovers: tuple[str, ...] = ()
    roofs: tuple[Roof, ...] = ()

    def matrix(self, text: str, name: str = "tiny") -> str:
        path = self.workspace.cwd / f"{name}.yaml"
        path.write_text(text)
        return str(path)

    def measure(self, file: str, **request: Any) -> None:
        stream = io.StringIO()
        display = Display(terminal=False, stream=Console(file=stream, soft_wrap=True, highlight=False))
        self.started = []
        try:
            measure_flow.measure(
                MeasureRequest(file=file, machine=request.pop("machine", "box"), **request),
                workspace=self.workspace,
                display=display,
            )
        finally:
            self.lines = stream.getvalue().splitlines()

    def records(self, matrix: str = "tiny", *, simulated: bool = False) -> tuple[Record, ...]:
        folder = self.workspace.reports / matrix
        return RecordStore(folder / "simulated" if simulated else folder, simulated=simulated).read("box")

    @contextmanager
    def open_engine(self, _say: Callable[[str], None]) -> Iterator[FakeOpenEngine]:
        if self.no_engine is not None:
            raise self.no_engine
        engine = self.engine_class(self.bench)
        engine.leftovers, self.leftovers = self.leftovers, ()
        try:
            yield FakeOpenEngine(engine=engine)
        finally:
            self.started = engine.started
            self.swept = engine.swept

    def prepare_image(self, source: Any, **_how: Any) -> ImageFacts:
        return self._have(f"image {source.name}", replace(self.image, name=source.name))

    def prepare_model(self, source: Any, **how: Any) -> ModelFacts:
        if source.kind == "file":
            return real_prepare_model(source, **how)
        return self._have(f"model {source.name}", replace(self.model, name=source.name))

    def _have(self, what: str, found: Any) -> Any:
        self.had.append(what)
        if what in self.missing:
            raise self.missing[what]
        return found


TINY = """
preset: quick
repetitions: 2
cells:
  - backend: cpu
    model: gemma3-270m-q4_k_m
    n_threads: 2
    tests: [pp8, tg4]
"""


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Harness:
    workspace = Workspace(
        cwd=tmp_path,
        matrices=CHECKOUT / "matrices",
        images=CHECKOUT / "images",
        reports=tmp_path / "reports",
        cache=tmp_path / "cache",
        state=tmp_path / "state",
    )
    made = Harness(workspace=workspace)
    monkeypatch.setenv("BENCH_LOCK_DIR", str(tmp_path / "lock"))
    monkeypatch.setattr(measure_flow, "open_engine", made.open_engine)
    monkeypatch.setattr(measure_flow, "discover_devices", Cpu().discover)
    monkeypatch.setattr(Prober, "roofs", lambda _self, _cells: made.roofs)
    monkeypatch.setattr(gatekeeper, "wait_until_quiet", lambda **_how: QUIET)
    monkeypatch.setattr(prepare_flow, "prepare_image", made.prepare_image)
    monkeypatch.setattr(prepare_flow, "prepare_model", made.prepare_model)
    return made


@pytest.fixture
def tiny() -> str:
    return TINY
