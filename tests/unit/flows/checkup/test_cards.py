"""Which card each backend is to compute on, and how the engine would hand it over."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.flows.checkup.cards import check_access, check_cards, handed_over, pairs
from harness.values.facts import Device
from harness.values.failure import Failure, Reason
from harness.values.finding import Finding, State
from tests.unit.flows.checkup.conftest import CPU, DOCKER, RTX_4090, SOFTWARE

MACHINE = (RTX_4090, CPU, SOFTWARE)


def found(findings: Any, check: str) -> list[Finding]:
    return [finding for finding in findings if finding.check == check]


def test_without_a_matrix_every_card_is_looked_at_with_every_backend_that_serves_it(wanted: Any) -> None:
    uses = wanted(("cpu", "default"), ("cuda", "default"), ("rocm", "default"), ("vulkan", "default"), whole=True)
    titles = [pair.title for pair in pairs(uses, MACHINE)]
    assert titles == ["CPU on Test CPU", "CUDA on NVIDIA GeForce RTX 4090", "Vulkan on NVIDIA GeForce RTX 4090",
                      "Vulkan on llvmpipe"]  # fmt: skip


def test_with_a_matrix_only_its_devices_are_looked_at(wanted: Any) -> None:
    assert [pair.devices for pair in pairs(wanted(("cuda", "*RTX 4090")), MACHINE)] == [(RTX_4090,)]


def test_a_card_that_the_matrix_names_and_the_machine_lacks_is_red(wanted: Any) -> None:
    of_matrix = pairs(wanted(("cuda", "*RTX 5090"), ("rocm", "default")), MACHINE)
    findings = list(check_cards(of_matrix, MACHINE, whole=False))
    assert [(f.state, f.reason, f.subject) for f in findings] == [
        (State.RED, Reason.NO_DEVICE, "CUDA on *RTX 5090"),
        (State.RED, Reason.NO_DEVICE, "ROCm on default"),
    ]
    assert all(f.todo for f in findings)
    assert RTX_4090.name in findings[0].found


def test_a_machine_without_a_gpu_is_yellow_where_no_matrix_asks_for_one(wanted: Any) -> None:
    (finding,) = check_cards(pairs(wanted(whole=True), (CPU, SOFTWARE)), (CPU, SOFTWARE), whole=True)
    assert finding.state is State.YELLOW


def test_a_card_is_told_with_driver_memory_and_place(pair: Any) -> None:
    (finding,) = check_cards((pair(),), MACHINE, whole=True)
    assert finding.state is State.GREEN
    assert finding.found == "nvidia 0: 24 GiB, driver 550.54.14, sm_89, 0000:01:00.0"


def test_what_is_wrong_with_a_card_is_told_and_a_simulated_one_says_so(pair: Any) -> None:
    lost = replace(RTX_4090, problem="the card has fallen off the bus", simulated=True)
    (finding,) = check_cards((pair(lost),), (lost,), whole=False)
    assert finding.state is State.RED
    assert "fallen off the bus" in finding.found
    assert "simulated" in finding.found


def test_a_request_to_an_engine_without_runtime_and_names_is_doubtful(pair: Any) -> None:
    (way,) = found(check_access((pair(),), DOCKER), "way")
    assert way.state is State.YELLOW
    assert "nvidia-ctk runtime configure" in way.todo


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"runtimes": ("nvidia", "runc")}, "has the runtime nvidia"),
        ({"cdi_devices": ("nvidia.com/gpu=0", "nvidia.com/gpu=all")}, "lists 2 CDI names of the vendor"),
    ],
)
def test_a_runtime_or_cdi_names_of_the_vendor_are_a_way(pair: Any, changes: dict[str, Any], told: str) -> None:
    (way,) = found(check_access((pair(),), replace(DOCKER, **changes)), "way")
    assert way.state is State.GREEN
    assert told in way.found


def test_an_engine_that_drops_requests_is_red(pair: Any) -> None:
    podman = replace(DOCKER, name="Podman", version="4.3.1")
    (way,) = found(check_access((pair(),), podman), "way")
    assert way.state is State.RED
    assert "drops device requests" in way.found
    assert way.reason


def test_a_node_that_is_not_there_is_red(pair: Any, tmp_path: Path) -> None:
    card = Device(vendor="amd", kind="gpu", name="Radeon", nodes=(str(tmp_path / "kfd"),))
    (node,) = found(check_access((pair(card, backend="rocm"),), None), "access")
    assert (node.state, node.reason) == (State.RED, "device_node")


def test_a_node_is_told_with_its_group_and_mode(pair: Any, tmp_path: Path) -> None:
    node = tmp_path / "renderD128"
    node.touch()
    node.chmod(0o660)
    card = Device(vendor="amd", kind="gpu", name="Radeon", render_node=str(node))
    (access,) = found(check_access((pair(card, backend="rocm"),), None), "access")
    assert access.state is State.GREEN
    assert f"mode 0660 and group {node.stat().st_gid}" in access.found


def test_without_an_engine_nothing_is_said_of_ways(pair: Any) -> None:
    assert found(check_access((pair(),), None), "way") == []


def test_what_no_device_serves_has_no_way(pair: Any) -> None:
    nothing = Failure(phase="prepare", reason=Reason.NO_DEVICE, detail="none", remedy="buy one")  # type: ignore[arg-type] # a text does
    assert list(check_access((pair(nothing),), DOCKER)) == []


def test_several_cards_are_handed_over_together(wanted: Any) -> None:
    second = replace(RTX_4090, index=1, pci="0000:02:00.0", uuid="GPU-2222")
    (both,) = pairs(wanted(("cuda", "0+1")), (RTX_4090, second, CPU))
    assert both.title == "CUDA on NVIDIA GeForce RTX 4090 + NVIDIA GeForce RTX 4090"
    asked = handed_over(both, DOCKER)
    assert not isinstance(asked, Failure)
    assert asked.device == "CUDA0/CUDA1"
    assert len(found(check_cards((both,), MACHINE, whole=False), "card")) == 2
