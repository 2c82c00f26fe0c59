"""A matrix that names several devices, on a machine that has them; every card here is made up."""

import pytest

from harness.engine.replay import scripted
from harness.errors import CellsFailedError, InputError
from harness.flows import measure as measure_flow
from harness.flows import read_matrix as read_matrix_flow
from harness.flows.read_matrix import read_matrix
from harness.values.facts import Device
from harness.values.failure import Reason

FIRST = Device(
    vendor="nvidia",
    kind="gpu",
    name="NVIDIA GeForce RTX 4090",
    index=0,
    pci="0000:01:00.0",
    uuid="GPU-aaaa0000-1",
    simulated=True,
)
SECOND = Device(
    vendor="nvidia",
    kind="gpu",
    name="NVIDIA GeForce RTX 4090",
    index=1,
    pci="0000:41:00.0",
    uuid="GPU-bbbb0000-1",
    simulated=True,
)
BROKEN = Device(vendor="nvidia", kind="gpu", name="NVIDIA GPU", index=2, pci="0000:81:00.0", problem="lost")
MATRIX = """
preset: quick
cells:
  - backend: cuda
    model: gemma3-270m-q4_k_m
    device: {device}
    tests: [pp8]
    timeout: 60
"""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    def with_devices(*devices: Device) -> None:
        for flow in (measure_flow, read_matrix_flow):
            monkeypatch.setattr(flow, "discover_devices", lambda: devices)

    return with_devices


def cells(harness, device: str, **how) -> list[tuple[str, str]]:
    plan = read_matrix(harness.matrix(MATRIX.format(device=device)), harness.workspace, **how)
    assert set(plan.timeouts) >= {cell.id for cell in plan.cells}
    return [(cell.id, cell.device) for cell in plan.cells]


def test_each_usable_device_in_turn(harness, machine) -> None:
    machine(FIRST, SECOND, BROKEN)
    assert cells(harness, "each") == [
        ("cuda@01:00.0/gemma3-270m-q4_k_m/pp8", "01:00.0"),
        ("cuda@41:00.0/gemma3-270m-q4_k_m/pp8", "41:00.0"),
    ]


@pytest.mark.parametrize("glob", ["cuda@41:00.0/*", "*@41*"])
def test_only_selects_one_of_them(harness, machine, glob: str) -> None:
    machine(FIRST, SECOND)
    assert [device for _, device in cells(harness, "each", only=(glob,))] == ["41:00.0"]


def test_only_as_in_the_file_selects_all_of_them(harness, machine) -> None:
    machine(FIRST, SECOND)
    assert len(cells(harness, "each", only=("cuda@each/*",))) == 2
    with pytest.raises(InputError, match="matches no cell"):
        cells(harness, "each", only=("cuda@81*",))


def test_a_uuid_is_not_stored(harness, machine) -> None:
    machine(FIRST, SECOND)
    assert cells(harness, "GPU-bbbb") == [("cuda@41:00.0/gemma3-270m-q4_k_m/pp8", "41:00.0")]
    assert cells(harness, "GPU-bbbb+0") == [("cuda@41:00.0+0/gemma3-270m-q4_k_m/pp8", "41:00.0+0")]


def test_a_uuid_that_is_not_here_is_not_stored_either(harness, machine) -> None:
    machine(FIRST)
    ((identity, name),) = cells(harness, "GPU-cccc0000")
    assert "cccc" not in identity + name
    assert name.startswith("uuid-")
    with pytest.raises(CellsFailedError):
        harness.measure(harness.matrix(MATRIX.format(device="GPU-cccc0000")))
    (outcome,) = (outcome for record in harness.records() for outcome in record.outcomes)
    assert outcome.failure is not None
    assert outcome.failure.reason is Reason.NO_DEVICE


def test_names_in_the_file_stay_as_they_are(harness, machine) -> None:
    machine(FIRST, SECOND)
    for name in ("all", "default", "0+1", "'*4090'"):
        assert [device for _, device in cells(harness, name)] == [name.strip("'")]


def test_devices_of_one_name_are_measured_under_keys_of_their_own(harness, machine) -> None:
    machine(FIRST, SECOND)
    bench, listed = harness.bench, "  CUDA0: NVIDIA GeForce RTX 4090 (24564 MiB, 24000 MiB free)"
    harness.bench = lambda spec: scripted(listed) if "--list-devices" in spec.argv else bench(spec)
    with pytest.raises(CellsFailedError):  # the rows are those of a CPU
        harness.measure(harness.matrix(MATRIX.format(device="each")))
    records = harness.records(simulated=True)
    assert len({record.run.key for record in records}) == 2
    assert all(record.simulated for record in records)


def test_without_a_device_it_is_one_failure(harness, machine) -> None:
    machine()
    with pytest.raises(CellsFailedError):
        harness.measure(harness.matrix(MATRIX.format(device="each")))
    (outcome,) = (outcome for record in harness.records() for outcome in record.outcomes)
    assert outcome.cell == "cuda@each/gemma3-270m-q4_k_m/pp8"
    assert outcome.failure is not None
    assert outcome.failure.reason is Reason.NO_DEVICE
