"""Power limits: asked for, set on made-up cards, and put back whatever happens."""

import ctypes
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.errors import MachineError
from harness.machine.power_limit import NAME, PowerLimits
from harness.machine.vendors import discover_devices
from harness.values.facts import Device, PowerRange
from harness.values.failure import Failure, Reason
from harness.values.record import Check, Proof
from tests.rig.cards import CARDS
from tests.rig.machine import FakeMachine
from tests.rig.stub_image import NoCompilerError


@pytest.fixture(params=["rtx4090", "rx7900xtx"])
def rigged(request, tmp_path: Path) -> Iterator[tuple[FakeMachine, Path]]:
    if os.geteuid() != 0:
        pytest.skip("device nodes are made by root only")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lbh-rig-")))
        try:
            machine = stack.enter_context(FakeMachine([CARDS[request.param]], folder))
        except NoCompilerError as problem:
            pytest.skip(str(problem))
        yield machine, tmp_path


def card_of(machine: FakeMachine):
    return next(d for d in discover_devices(machine.vendors()) if d.kind == "gpu")


def limit_of(machine: FakeMachine) -> float:
    device = card_of(machine)
    return machine.vendors()[device.vendor].power_range(device).now_w


def limits(machine: FakeMachine, state: Path, **options) -> PowerLimits:
    return PowerLimits(state, **{"allowed": True, "vendors": machine.vendors(), **options})


def test_the_limit_holds_for_the_run_and_is_put_back(rigged) -> None:
    machine, state = rigged
    before, power = limit_of(machine), limits(machine, state)
    with power.during([card_of(machine)], 200.0) as held:
        assert limit_of(machine) == 200
        assert json.loads((state / NAME).read_text())[0]["watts"] == before
        found = held()
    assert isinstance(found, Check)
    assert found.proof is Proof.PROVEN
    assert limit_of(machine) == before
    assert not (state / NAME).exists()


def test_it_is_put_back_when_the_run_raises(rigged) -> None:
    machine, state = rigged
    before = limit_of(machine)
    with pytest.raises(KeyboardInterrupt), limits(machine, state).during([card_of(machine)], 200.0):
        raise KeyboardInterrupt
    assert limit_of(machine) == before


def test_the_next_start_puts_it_back_after_a_kill(rigged) -> None:
    """A killed process runs no `finally`: what it leaves is the card under its limit, and the file."""
    machine, state = rigged
    before = limit_of(machine)
    killed = limits(machine, state).during([card_of(machine)], 200.0)
    killed.__enter__()
    assert limit_of(machine) == 200
    (told,) = limits(machine, state, allowed=False).restore()
    assert "is in force again" in told
    assert limit_of(machine) == before
    assert limits(machine, state).restore() == ()


def test_a_limit_that_something_else_changed_meanwhile_gives_no_number(rigged) -> None:
    machine, state = rigged
    device = card_of(machine)
    with limits(machine, state).during([device], 200.0) as held:
        machine.vendors()[device.vendor].set_power_limit(device, 250.0)
        found = held()
    assert isinstance(found, Failure)
    assert "250 W at the end, asked for 200 W" in found.detail


def test_refused_without_the_option_and_outside_of_the_range(rigged) -> None:
    machine, state = rigged
    device, before = card_of(machine), limit_of(machine)
    without = limits(machine, state, allowed=False).refusal([device], 200.0)
    assert without is not None
    assert "--set-power-limit" in without.remedy
    outside = limits(machine, state).refusal([device], 5000.0)
    assert outside is not None
    assert outside.reason is Reason.POWER_LIMIT
    assert "5000 W is outside of" in outside.detail
    assert limits(machine, state).refusal([device], 200.0) is None
    assert limit_of(machine) == before


def test_a_processor_has_none(tmp_path: Path) -> None:
    cpu = next(d for d in discover_devices() if d.kind == "cpu")
    refused = PowerLimits(tmp_path, allowed=True).refusal([cpu], 50.0)
    assert refused is not None
    assert "processor" in refused.detail


@pytest.fixture
def denied(rigged) -> Iterator[ctypes.c_uint]:
    """NVML refuses to set limits while it is 1, as it does to users who are not root."""
    machine, _ = rigged
    if card_of(machine).vendor != "nvidia":
        pytest.skip("root may write every file")
    switch = ctypes.c_uint.in_dll(machine._nvml._library, "limits_denied")
    yield switch
    switch.value = 0


def test_who_may_not_set_it_is_told_so_and_nothing_is_left(rigged, denied) -> None:
    machine, state = rigged
    denied.value = 1
    with limits(machine, state).during([card_of(machine)], 200.0) as held:
        found = held()
    assert isinstance(found, Failure)
    assert "run the harness as root" in found.detail
    assert not (state / NAME).exists()


def test_what_cannot_be_put_back_is_an_error_and_stays_written_down(rigged, denied) -> None:
    machine, state = rigged
    with (
        pytest.raises(MachineError, match="run the harness as root"),
        limits(machine, state).during([card_of(machine)], 200.0),
    ):
        denied.value = 1
    assert (state / NAME).exists()
    denied.value = 0
    assert "is in force again" in limits(machine, state).restore()[0]


A, B = (Device(vendor="nvidia", kind="gpu", name=f"Card {n}", pci=f"0000:0{n}:00.0", index=n) for n in (1, 2))


class Cards:
    """Two cards whose limits stay as they were set. Those in `hidden` are not discovered, in `stuck` not set."""

    def __init__(self) -> None:
        self.watts = {A: 300.0, B: 400.0}
        self.hidden: set[Device] = set()
        self.stuck: set[Device] = set()

    def discover(self) -> tuple[Device, ...]:
        return tuple(device for device in self.watts if device not in self.hidden)

    def power_range(self, device: Device) -> PowerRange | str:
        return PowerRange(now_w=self.watts[device], least_w=100.0, most_w=450.0)

    def set_power_limit(self, device: Device, watts: float) -> str:
        if device in self.stuck:
            return "the driver refuses"
        self.watts[device] = watts
        return ""


@pytest.fixture
def killed_with_a_gone(tmp_path: Path) -> tuple[Cards, Path]:
    """A start was killed while card A was at 150 W, and A is not there when the next one looks for it."""
    cards = Cards()
    cards.watts[A] = 150.0
    cards.hidden.add(A)
    entry = {"vendor": A.vendor, "pci": A.pci, "name": A.name, "watts": 300.0}
    (tmp_path / NAME).write_text(json.dumps([entry]))
    (told,) = PowerLimits(tmp_path, allowed=True, vendors={"nvidia": cards}).restore()
    assert "it is not there" in told
    return cards, tmp_path


def test_the_limit_of_a_card_that_is_gone_stays_written_down_while_another_is_set(killed_with_a_gone) -> None:
    cards, state = killed_with_a_gone
    with PowerLimits(state, allowed=True, vendors={"nvidia": cards}).during([B], 200.0) as held:
        assert cards.watts == {A: 150.0, B: 200.0}
        assert isinstance(held(), Check)
    assert cards.watts == {A: 150.0, B: 400.0}
    cards.hidden.clear()
    (told,) = PowerLimits(state, allowed=False, vendors={"nvidia": cards}).restore()
    assert told == "Card 1: power limit of 300 W is in force again"
    assert cards.watts == {A: 300.0, B: 400.0}
    assert not (state / NAME).exists()


def test_what_was_first_in_force_is_put_back_and_not_what_a_killed_start_set(killed_with_a_gone) -> None:
    cards, state = killed_with_a_gone
    cards.hidden.clear()
    with PowerLimits(state, allowed=True, vendors={"nvidia": cards}).during([A, B], 200.0):
        assert cards.watts == {A: 200.0, B: 200.0}
    assert cards.watts == {A: 300.0, B: 400.0}


def test_only_the_cards_of_the_run_are_its_error(killed_with_a_gone) -> None:
    cards, state = killed_with_a_gone
    with (
        pytest.raises(MachineError) as caught,
        PowerLimits(state, allowed=True, vendors={"nvidia": cards}).during([B], 200.0),
    ):
        cards.stuck.add(B)
    assert caught.value.what == "Card 2: power limit of 400 W the driver refuses"
    assert [entry["watts"] for entry in json.loads((state / NAME).read_text())] == [300.0, 400.0]


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[" * 100_000,
        '{"a": 1}',
        "[1]",
        '[{"vendor": "nvidia", "pci": null, "name": "Card 1"}]',
        '[{"vendor": "nvidia", "pci": null, "name": 1, "watts": 300}]',
        '[{"vendor": ["nvidia"], "pci": null, "name": "Card 1", "watts": 300}]',
        '[{"vendor": "nvidia", "pci": {}, "name": "Card 1", "watts": 300}]',
        '[{"vendor": "nvidia", "pci": null, "name": "Card 1", "watts": "300"}]',
        '[{"vendor": "nvidia", "pci": null, "name": "Card 1", "watts": true}]',
        '[{"vendor": "nvidia", "pci": null, "name": "Card 1", "watts": NaN}]',
        '[{"vendor": "nvidia", "pci": null, "name": "Card 1", "watts": -1}]',
        f'[{{"vendor": "nvidia", "pci": null, "name": "Card 1", "watts": 1{"0" * 390}}}]',
    ],
)
def test_a_damaged_note_is_one_message_and_stays(tmp_path: Path, text: str, allowed: bool) -> None:
    (tmp_path / NAME).write_text(text)
    power = PowerLimits(tmp_path, allowed=allowed, vendors={"nvidia": Cards()})
    with pytest.raises(MachineError, match="is damaged") as caught:
        power.restore()
    assert caught.value.where == str(tmp_path / NAME)
    assert "remove the file" in caught.value.remedy
    assert (tmp_path / NAME).read_text() == text


def test_a_note_that_cannot_be_read_is_one_message(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(MachineError, match="cannot be read"):
        PowerLimits(tmp_path, allowed=False, vendors={"nvidia": Cards()}).restore()
