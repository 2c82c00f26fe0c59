"""Made-up cards, as the harness's own vendors find them, and as they follow stubs that run on this machine."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.machine.vendors import discover_devices, passthrough
from harness.measure.device_match import SeenDevice, compare
from harness.values.backend import BACKENDS
from harness.values.container import Passthrough
from harness.values.facts import EngineFacts
from harness.values.record import Proof
from harness.values.telemetry import DeviceReading
from tests.rig.cards import CARDS
from tests.rig.following import doing, stub_of
from tests.rig.machine import FakeMachine
from tests.rig.script import Fault
from tests.rig.stand_in import stand_in
from tests.rig.stub_image import NoCompilerError
from tests.rig.templates import templates

ENGINE = EngineFacts(
    name="Docker Engine",
    version="28.5.2",
    api_version="1.51",
    host="unix:///x",
    cdi_devices=tuple(f"nvidia.com/gpu={card.uuid}" for card in CARDS.values() if card.uuid),
)
MIB = 1024**2


@pytest.fixture
def machine() -> Iterator[Callable[..., FakeMachine]]:
    if os.geteuid() != 0:
        pytest.skip("device nodes are made by root only")
    with ExitStack() as stack:

        def make(*cards: str, **options: object) -> FakeMachine:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lbh-rig-")))
            try:
                return stack.enter_context(FakeMachine([CARDS[name] for name in cards], folder, **options))  # type: ignore[arg-type]
            except NoCompilerError as problem:
                pytest.skip(str(problem))

        yield make


@pytest.mark.parametrize("name", CARDS)
def test_each_card_is_found_and_is_what_its_backends_show(machine, name: str) -> None:
    """The texts of a backend have to prove the card that the driver names, or runs on the rig would prove nothing."""
    card = CARDS[name]
    vendors = machine(name).vendors()
    (device,) = [found for found in discover_devices(vendors) if found.vendor == card.vendor]
    assert device.problem == ""
    assert device.simulated
    assert device.pci == card.pci
    for backend in card.shown:
        given = passthrough([device], backend=BACKENDS[backend], engine=ENGINE, vendors=vendors)
        assert isinstance(given, Passthrough)
        (expected,) = given.expected
        shown = card.shown[backend]
        seen = SeenDevice(text=shown.name, detail=shown.banner, pci=card.pci, memory_bytes=shown.mib * MIB)
        assert compare(expected, seen)[0] is Proof.PROVEN, shown


def test_an_apu_and_a_card_side_by_side(machine) -> None:
    made = machine("rtx4090", "strix-halo")
    card, apu = (d for d in discover_devices(made.vendors()) if d.kind in {"gpu", "integrated"})
    assert (apu.kind, apu.memory_bytes, apu.architecture) == ("integrated", None, "gfx1151")
    assert (apu.shared_memory_bytes or 0) > 100 * 1024**3
    assert (card.kind, card.architecture, card.driver) == ("gpu", "sm_89", "580.95.05")


def test_an_apu_is_known_without_its_compute_driver_too(machine) -> None:
    (apu,) = (d for d in discover_devices(machine("strix-halo", kfd=False).vendors()) if d.vendor == "amd")
    assert (apu.kind, apu.architecture) == ("integrated", None)
    assert not any(node.endswith("kfd") for node in apu.nodes)


@pytest.fixture
def run(program: Path, tmp_path: Path, tiny_source) -> Callable[..., subprocess.Popen[str]]:
    def go(made: FakeMachine, backend: str, *faults: Fault) -> subprocess.Popen[str]:
        hang = Fault(kind="hang", at="tg8")
        script = made.script(backend, faults=(*faults, hang))
        folder = tmp_path / script.sha256[:8]
        folder.mkdir()
        (folder / "llama-bench").hardlink_to(program)
        # On this machine itself there is no container that a card could be handed to: it is simply there.
        text = script.text().replace(f"/dev/fake-gpu-{made.cards[0].uuid}" if made.cards[0].uuid else "\0", "/dev/null")
        (folder / "script.txt").write_text(text)
        for name, content in templates(backend).items():
            (folder / name).write_text(content)
        model = stand_in(tiny_source, tmp_path)
        device = f"{BACKENDS[backend].device_prefix}0"
        argv = [
            str(folder / "llama-bench"),
            "-m",
            str(model.path),
            "-p",
            "2000000",
            "-n",
            "8",
            "-dev",
            device,
            "-o",
            "jsonl",
        ]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return go


def while_it_runs(process: subprocess.Popen[str], read: Callable[[], DeviceReading], seen) -> DeviceReading:
    """The first reading of which `seen` holds; the last one where none does within some seconds."""
    try:
        end = time.monotonic() + 10
        while not seen(reading := read()) and time.monotonic() < end:
            time.sleep(0.02)
        return reading
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("card", "backend"), [("rtx4090", "cuda"), ("rx7900xtx", "rocm"), ("strix-halo", "vulkan")])
def test_memory_and_work_follow_the_stub_and_end_with_it(machine, run, card, backend) -> None:
    made = machine(card)
    vendors = made.vendors()
    (device,) = [found for found in discover_devices(vendors) if found.vendor == CARDS[card].vendor]
    probe = vendors[device.vendor].telemetry(device)

    def held(reading: DeviceReading) -> int:
        return (reading.memory_used_bytes or 0) + (reading.gtt_used_bytes or 0)

    idle = probe.read()
    assert idle.utilization_percent == 0
    process = run(made, backend)
    busy = while_it_runs(process, probe.read, lambda r: (r.power_w or 0) > (idle.power_w or 0) + 50)
    assert busy.utilization_percent == 97
    assert held(busy) > held(idle) + 300 * MIB
    assert (busy.power_w or 0) > (idle.power_w or 0) + 50
    end = time.monotonic() + 10
    while (after := probe.read()).utilization_percent and time.monotonic() < end:
        time.sleep(0.05)
    assert after.utilization_percent == 0
    assert held(after) == held(idle)
    probe.close()


def test_a_card_that_nothing_shows_on(machine, run) -> None:
    made = machine("rtx4090", faults=("memory-stays", "never-busy"))
    (device, _cpu, *_) = discover_devices(made.vendors())
    probe = made.vendors()["nvidia"].telemetry(device)
    idle = probe.read()
    process = run(made, "cuda")
    works = Path(f"/proc/{process.pid}/comm")
    reading = while_it_runs(process, probe.read, lambda _r: works.read_text().endswith(":97\n") and not time.sleep(0.3))
    assert (reading.memory_used_bytes, reading.utilization_percent) == (idle.memory_used_bytes, 0)
    probe.close()


def test_the_name_of_a_stub() -> None:
    found = stub_of(7, "rig:3:1024:97\n")
    assert found is not None
    assert (found.cards, found.held_bytes, found.percent) == ((0, 1), 1024 * MIB, 97)
    assert [(card.held, card.percent) for card in doing([found], 3)] == [
        ({7: 512 * MIB}, 97),
        ({7: 512 * MIB}, 97),
        ({}, 0),
    ]
    assert stub_of(7, "bash") is None
    assert stub_of(7, "b2f:1:9:9") is None, "of another rig"


def test_an_unknown_fault_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not among"):
        FakeMachine([], tmp_path, faults=("no-such-fault",))
