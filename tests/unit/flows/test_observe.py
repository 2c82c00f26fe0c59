"""From looks at a fake card to the record: what the device was seen to do decides, whatever llama-bench prints.

The looks are those of the real thread. Nothing trusts it to come in time: each container runs until it was looked at.
"""

import io
import json
import time
from dataclasses import replace
from threading import Event
from types import MappingProxyType

import pytest
from rich.console import Console

from harness.engine.replay import ReplayEngine
from harness.flows import observe
from harness.flows.console import Display
from harness.flows.gatekeeper import Gatekeeper
from harness.flows.prepare import Prepared, Target
from harness.machine import gate as gate_module
from harness.machine.gate import GateResult
from harness.machine.roots import MachineRoots
from harness.machine.vendors.probing import FieldProbe
from harness.machine.watch import Watch
from harness.values.bench import LogFacts
from harness.values.container import ExpectedDevice, Line, Passthrough
from harness.values.facts import Device
from harness.values.failure import Reason
from harness.values.record import DURING, Proof
from harness.values.telemetry import DeviceReading, Throttle, ThrottleKind

MIB = 1024**2
CARD = Device(vendor="fake", kind="gpu", name="NVIDIA GeForce RTX 4090", pci="0000:01:00.0")
TWIN = Device(vendor="fake", kind="gpu", name="NVIDIA GeForce RTX 4090", pci="0000:41:00.0", index=1)
MODEL_MIB = 240
HOT = Throttle(kind=ThrottleKind.THERMAL, name="hw_thermal_slowdown")


class Card:
    """A card that takes the model and works while a container runs, as far as it is told to.

    Attributes:
        looks: how often everything was asked of it.
    """

    def __init__(self, *, takes=True, works=True, throttle=()):
        self.takes, self.works, self.throttle = takes, works, throttle
        self.running = False
        self.looks = 0

    def probe(self):
        busy = lambda: 98 if self.running and self.works else 0  # noqa: E731 - two getters in two lines
        held = lambda: (500 + (MODEL_MIB + 300) * (self.running and self.takes)) * MIB  # noqa: E731 - likewise

        def throttle():  # asked last
            self.looks += 1
            return self.throttle if self.running else ()

        return FieldProbe({"utilization_percent": busy, "memory_used_bytes": held, "throttle": throttle})


def looked_at(cards, times):
    """Wait until each card was looked at so many times more. The first of them may have begun before."""
    wanted = [card.looks + times for card in cards]
    end = time.monotonic() + 60
    while any(card.looks < enough for card, enough in zip(cards, wanted, strict=True)):
        assert time.monotonic() < end, "nobody looks at the cards"
        time.sleep(0.002)


class Vendor:
    def __init__(self, cards):
        self.cards = cards

    def telemetry(self, device):
        return self.cards[device].probe()


class SlowEngine(ReplayEngine):
    """The container takes a while, in which its cards work; it prints rows as a GPU's llama-bench does."""

    cards = ()

    @property
    def simulated(self):
        return False

    def start(self, spec, *, on_line=None):
        running = super().start(spec, on_line=on_line)
        begin = time.monotonic_ns()
        for card in self.cards:
            card.running = True

        return Slow(running, begin, self.cards)


class Slow:
    container_id = "c1"

    def __init__(self, running, begin_ns, cards):
        self.running, self.begin_ns, self.cards = running, begin_ns, cards

    def wait(self, *, deadline_ns, cancel):
        looked_at(self.cards, 2)
        timed_ns = time.monotonic_ns()
        time.sleep(0.03)
        looked_at(self.cards, 4)
        ended = self.running.wait(deadline_ns=deadline_ns, cancel=cancel)
        now = time.monotonic_ns()
        looked_at(self.cards, 1)  # one that has begun ends as it began
        for card in self.cards:
            card.running = False
        lines = tuple(Line(at_ns=now, text=_as_gpu(line.text, now - timed_ns)) for line in ended.stdout)
        return replace(ended, stdout=lines, stderr=(), started_ns=self.begin_ns, ended_ns=now)


def _as_gpu(text, lasted_ns):
    """A row of the CPU as a GPU's, whose samples took that long together."""
    row = json.loads(text)
    sample = lasted_ns // len(row["samples_ns"])
    rate = 1e9 * row["n_prompt"] / sample
    samples = {"samples_ns": [sample] * len(row["samples_ns"]), "samples_ts": [rate] * len(row["samples_ns"])}
    card = {"backends": "CUDA", "gpu_info": CARD.name, "devices": "CUDA0", "n_gpu_layers": 99}
    return json.dumps(row | samples | {"avg_ts": rate} | card)


@pytest.fixture
def on_card(campaigning, pp, monkeypatch, tmp_path):
    """A campaign of one cell on a fake card; returns it with its records."""
    # What takes seconds on a card takes a tenth of one here.
    monkeypatch.setattr("harness.measure.during.SHORTEST_BUSY_NS", 10_000_000)
    monkeypatch.setattr("harness.machine.sampler.WATCH_EVERY", 2)
    monkeypatch.setattr("harness.measure.summaries.SHORTEST_BUSY_NS", 10**12)
    # The machine of the tests is busy, and may swap.
    monkeypatch.setattr("harness.machine.sampler._STOP_WAIT_S", 60.0)
    host = MachineRoots(proc=tmp_path, sys=tmp_path, etc=tmp_path)

    def run(*cards, vendor=None, **changes):
        devices = dict(zip((CARD, TWIN), cards, strict=False))
        cell = pp(40, backend="cuda")
        cell = replace(cell, params={**cell.params, "n_gpu_layers": 99})
        made = campaigning(cells=(cell,), rounds=1, engine_class=SlowEngine, kernel_caches=tmp_path, **changes)
        target = Target(devices=(CARD,), passthrough=Passthrough(expected=(ExpectedDevice(name="CUDA0"),)))
        made.prepared = Prepared(
            targets={("cuda", "default"): target},
            images={"cuda": made.prepared.images["cpu"]},
            models=made.prepared.models,
        )
        SlowEngine.cards = seen = cards if vendor is None else ()
        made.watch = Watch(tuple(devices), vendors={"fake": vendor or Vendor(devices)}, interval_s=0.005, roots=host)
        made.gate = lambda _looks, _bytes: _seen_idle(seen)
        made.go()
        return made

    return run


def _seen_idle(cards):
    looked_at(cards, 3)  # the median of them is idle, also where a fourth meets the start of the container
    return GateResult(passed=True, waited_s=0.0, foreign_cpu=0.0, steal=0.0)


def proofs(record):
    (outcome,) = record.outcomes
    return {check.name: check.proof for check in outcome.checks if check.name in DURING}


def test_a_card_that_took_the_model_and_worked_is_proven(on_card):
    warm_up, counted = on_card(Card()).records
    for record in (warm_up, counted):
        assert proofs(record) == dict.fromkeys(DURING, Proof.PROVEN)
        assert record.outcomes[0].ok
        assert record.invalid == ()
    assert [w.window.name for w in counted.telemetry.windows] == ["idle", "load", "cuda/gemma/pp40"]
    (trace,) = counted.telemetry.devices
    assert (trace.subject, trace.pci, trace.asked) == (CARD.name, CARD.pci, True)
    assert counted.telemetry.problem == ""


def test_a_card_that_did_neither_has_no_number_whatever_was_printed(on_card):
    made = on_card(Card(takes=False, works=False))
    # A lasting failure of the warm-up: no further round is tried.
    (record,) = made.records
    (outcome,) = record.outcomes
    assert proofs(record) == dict.fromkeys(DURING, Proof.CONTRADICTED)
    assert (outcome.failure.reason, outcome.samples_ns) == (Reason.CPU_FALLBACK, ())
    assert outcome.row["gpu_info"] == CARD.name


def test_its_twin_did_it(on_card):
    (record,) = on_card(Card(takes=False, works=False), Card()).records
    assert record.outcomes[0].failure.reason is Reason.WRONG_DEVICE
    assert "0000:41:00.0" in record.outcomes[0].failure.detail
    assert [trace.asked for trace in record.telemetry.devices] == [True, False]


def test_a_hot_card_makes_runs_that_are_repeated_and_do_not_count(on_card):
    made = on_card(Card(throttle=(HOT,)))
    assert [(r.run.round, r.run.repeat, bool(r.invalid)) for r in made.records] == [
        (0, 0, True), (1, 0, True), (1, 1, True), (1, 2, True), (1, 3, True),
    ]  # fmt: skip
    assert made.records[-1].invalid[0].rule == "thermal_slowdown"
    assert made.records[-1].outcomes[0].ok  # kept, with its samples
    assert made.campaign.strategy.lacking(made.campaign.history) == ("cuda/gemma/pp40",)


def test_a_driver_that_fails_costs_no_run(on_card):
    class Broken:
        missing = substitutes = MappingProxyType({})

        def telemetry(self, _device):
            return self

        def read(self):
            raise RuntimeError("driver bug")

        def close(self):
            raise RuntimeError("again")

    made = on_card(Card(), vendor=Broken())
    assert [record.outcomes[0].ok for record in made.records] == [True, True]
    assert "driver bug" in made.records[0].telemetry.problem
    assert proofs(made.records[0]) == dict.fromkeys(DURING, Proof.UNOBSERVABLE)


def test_a_summary_that_fails_costs_no_run(on_card, monkeypatch):
    def broken(*_arguments, **_named):
        raise ZeroDivisionError

    monkeypatch.setattr(observe, "telemetry", broken)
    made = on_card(Card())
    assert [record.outcomes[0].ok for record in made.records] == [True, True]
    assert "could not be summarised: ZeroDivisionError" in made.records[0].telemetry.problem


class TestTheGatekeeper:
    def keeper(self, monkeypatch, stream, **changes):
        monkeypatch.setattr(gate_module, "WINDOW_S", 0.0)
        display = Display(terminal=False, stream=Console(file=stream, soft_wrap=True))
        return Gatekeeper(**{"max_wait_s": 0.0, "cancel": Event(), "display": display, **changes})

    def test_remembers_the_first_look_and_says_what_it_waits_for(self, monkeypatch):
        stream = io.StringIO()
        keeper = self.keeper(monkeypatch, stream, max_wait_s=0.01)
        monkeypatch.setattr(gate_module, "foreign_share", lambda _before, _after: 0.0)
        keeper(lambda: ((CARD, DeviceReading(at_ns=0, temperature_c=40)),), 0)
        result = keeper(lambda: ((CARD, DeviceReading(at_ns=0, temperature_c=71)),), 0)
        assert [c.name for c in result.closed if c.name == "temperature"] == ["temperature"]
        assert "71 °C, first 40 °C" in stream.getvalue()
        assert stream.getvalue().count("waiting until") == 1


@pytest.mark.parametrize(
    ("backend", "layers", "share"), [("cpu", 0, 1.0), ("cuda", 99, 0.0), ("cuda", -1, 0.0), ("cuda", 10, 0.5)]
)
def test_what_will_lie_on_the_host(at_nineteen_layers, backend, layers, share):
    cell, model = at_nineteen_layers(backend, layers)
    assert observe.resident_bytes(cell, model, None) == 1000 * share


def test_what_lies_on_the_host_by_the_log(at_nineteen_layers):
    log = LogFacts(model_buffers={"CPU_Mapped": 300, "CUDA0": 700})
    assert observe.resident_bytes(*at_nineteen_layers("cuda", 10), log) == 300


@pytest.fixture
def at_nineteen_layers(campaigning, pp):
    def make(backend, layers):
        cell = pp(8, backend=backend)
        cell = replace(cell, params={**cell.params, "n_gpu_layers": layers})
        return cell, replace(campaigning(cells=()).prepared.models["gemma"], n_layers=19, size_bytes=1000)

    return make
