"""What a container of an image sees, from real texts."""

from typing import Any

import pytest

from harness.engine.replay import scripted
from harness.flows.checkup.images import check_images
from harness.flows.checkup.probes import probe_cards, probe_image
from harness.flows.workspace import Workspace, find_workspace
from harness.values.container import ContainerExit, ContainerSpec
from harness.values.finding import Finding, State
from harness.values.matrix import ImageSource
from tests.unit.flows.checkup.conftest import CPU, SOFTWARE, listing, refused

CUDA = ImageSource(name="cuda", ref="example/llama:full-cuda-b1")
ID = "sha256:" + "a" * 64


def card(answering: Any, pair: Any, ended: Any) -> Finding:
    (finding,) = probe_cards((pair(),), CUDA, ID, answering(lambda _spec: ended))
    return finding


def test_a_container_that_sees_the_card_is_green(answering: Any, pair: Any) -> None:
    finding = card(answering, pair, listing("CUDA0: NVIDIA GeForce RTX 4090"))
    assert finding.state is State.GREEN
    assert "CUDA0 NVIDIA GeForce RTX 4090" in finding.found


def test_the_container_is_asked_for_exactly_that_card(answering: Any, pair: Any) -> None:
    found = answering(lambda _spec: listing("CUDA0: NVIDIA GeForce RTX 4090"))
    list(probe_cards((pair(),), CUDA, ID, found))
    (spec,) = found.engine.started
    assert spec.image == ID
    assert spec.argv == ("/app/llama-bench", "--list-devices")
    assert spec.passthrough.device_requests[0]["DeviceIDs"] == ["GPU-1111"]
    assert spec.memory_bytes


@pytest.mark.parametrize(
    ("ended", "reason", "todo"),
    [
        (listing("CUDA0: NVIDIA GeForce RTX 3060"), "wrong_device", "index or PCI address"),
        (listing(), "no_device", "found no such card"),
        (
            listing(stderr="ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected"),
            "no_device",
            "CUDA_VISIBLE_DEVICES",
        ),
        (
            listing(stderr="ggml_cuda_init: failed to initialize CUDA: CUDA driver version is insufficient"),
            "driver_too_old",
            "older than the CUDA of the image",
        ),
        (
            refused('could not select device driver "nvidia" with capabilities: [[gpu]]'),
            "no_runtime",
            "nvidia-ctk runtime configure",
        ),
        (
            refused("CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=0"),
            "cdi_device",
            "nvidia-ctk cdi generate",
        ),
    ],
)  # fmt: skip
def test_a_container_that_does_not_is_red_with_what_to_do(
    answering: Any, pair: Any, ended: Any, reason: str, todo: str
) -> None:
    finding = card(answering, pair, ended)
    assert (finding.state, finding.reason) == (State.RED, reason)
    assert todo in finding.todo


def test_an_image_without_llama_bench_is_red(answering: Any) -> None:
    absent = refused('exec: "/app/llama-bench": stat /app/llama-bench: no such file or directory')
    finding = probe_image(CUDA, ID, answering(lambda _spec: absent))
    assert (finding.state, finding.reason) == (State.RED, "image")
    assert "full" in finding.todo or "holds llama-bench" in finding.todo


def test_a_llama_bench_that_starts_is_green(answering: Any) -> None:
    assert probe_image(CUDA, ID, answering()).state is State.GREEN


@pytest.fixture
def workspace() -> Workspace:
    return find_workspace()


def present(*environment: str) -> dict[str, Any]:
    return {CUDA.ref: {"Id": ID, "Size": 1, "Config": {"Env": list(environment)}}}


def states(findings: Any) -> dict[str, State]:
    return {finding.check: finding.state for finding in findings}


def test_an_absent_image_is_yellow_and_starts_nothing(answering: Any, pair: Any, wanted: Any, workspace: Any) -> None:
    found = answering()
    looked = check_images(wanted(images={"cuda": CUDA}), (pair(),), found, workspace, may_start=True)
    assert states(looked) == {"image": State.YELLOW}
    assert found.engine.started == []


def test_a_present_image_is_started_with_and_without_the_card(
    answering: Any, pair: Any, wanted: Any, workspace: Any
) -> None:
    def ends(spec: ContainerSpec) -> ContainerExit:
        return listing(*["CUDA0: NVIDIA GeForce RTX 4090"] * bool(spec.passthrough.device_requests))

    found = answering(ends, present=present("CUDA_VERSION=12.4.1"))
    looked = check_images(wanted(images={"cuda": CUDA}), (pair(),), found, workspace, may_start=True)
    assert states(looked) == dict.fromkeys(("image", "driver", "llama_bench", "container"), State.GREEN)
    assert len(found.engine.started) == 2


def test_nothing_is_started_beside_another_harness(answering: Any, pair: Any, wanted: Any, workspace: Any) -> None:
    found = answering(present=present())
    looked = check_images(wanted(images={"cuda": CUDA}), (pair(),), found, workspace, may_start=False)
    assert states(looked) == {"image": State.GREEN, "llama_bench": State.YELLOW}
    assert found.engine.started == []


@pytest.mark.parametrize(("cuda", "state"), [("12.8.1", State.YELLOW), ("13.0.1", State.RED), ("12.4.0", State.GREEN)])
def test_a_driver_is_held_against_the_images_runtime(
    answering: Any, pair: Any, wanted: Any, cuda: str, state: State
) -> None:
    found = answering(present=present(f"CUDA_VERSION={cuda}"))
    looked = check_images(wanted(images={"cuda": CUDA}), (pair(),), found, find_workspace(), may_start=False)
    assert states(looked)["driver"] is state


def test_an_image_whose_llama_bench_does_not_start_is_not_asked_for_cards(
    answering: Any, pair: Any, wanted: Any, workspace: Any
) -> None:
    found = answering(lambda _spec: scripted(exit_code=127), present=present())
    looked = check_images(wanted(images={"cuda": CUDA}), (pair(),), found, workspace, may_start=True)
    assert "container" not in states(looked)
    assert len(found.engine.started) == 1


def test_the_cpu_needs_no_look_by_its_own_container(answering: Any, pair: Any) -> None:
    source = ImageSource(name="cpu", build="cpu")
    assert list(probe_cards((pair(CPU, backend="cpu"),), source, ID, answering())) == []


def test_the_software_device_is_seen_by_its_name(answering: Any, pair: Any) -> None:
    source = ImageSource(name="vulkan", build="vulkan")
    ended = listing("Vulkan0: llvmpipe (LLVM 19.1.7, 256 bits)")
    (finding,) = probe_cards((pair(SOFTWARE, backend="vulkan"),), source, ID, answering(lambda _spec: ended))
    assert finding.state is State.GREEN
