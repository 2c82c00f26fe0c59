"""The doctor on a real engine: real probe containers, with and without a card, and JSON by its schema."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from harness.artifacts.images import known_images
from harness.flows.checkup.cards import Pair
from harness.flows.checkup.engine import Answering, looked_up
from harness.flows.checkup.probes import probe_cards, probe_image
from harness.flows.workspace import CHECKOUT
from harness.machine.devices import select
from harness.machine.vendors.cpu import Cpu
from harness.values.backend import BACKENDS
from harness.values.facts import Device
from harness.values.finding import State
from harness.values.matrix import ImageSource

pytestmark = [pytest.mark.engine, pytest.mark.real, pytest.mark.timeout(300)]

BASE = "llama-bench-harness/base:trixie"
RTX_4090 = Device(
    vendor="nvidia", kind="gpu", name="NVIDIA GeForce RTX 4090", uuid="GPU-1111", driver="570.26", simulated=True
)


@pytest.fixture
def answering():
    with looked_up() as (found, finding):
        if found is None:
            assert not os.environ.get("BENCH_TEST_ENGINE"), finding.found
            pytest.skip(finding.found)
        yield found


def image_of(source: ImageSource, answering: Answering, cache: Path) -> str:
    (row,) = known_images([source], store=answering.images, cache=cache)
    described = answering.images.inspect(row.tag)
    if described is None:
        pytest.skip(f"the image {row.tag} is not here")
    return str(described["Id"])


@pytest.mark.parametrize("name", ["cpu", "vulkan"])
def test_the_llama_bench_of_our_images_starts(answering: Answering, tmp_path: Path, name: str) -> None:
    source = ImageSource(name=name, build=name)
    finding = probe_image(source, image_of(source, answering, tmp_path), answering)
    assert finding.state is State.GREEN, finding


def test_an_image_without_llama_bench_is_red(answering: Answering) -> None:
    described = answering.images.inspect(BASE)
    if described is None:
        pytest.skip(f"the image {BASE} is not here")
    finding = probe_image(ImageSource(name="base", ref=BASE), str(described["Id"]), answering)
    assert (finding.state, finding.reason) == (State.RED, "image")
    assert "holds llama-bench" in finding.todo


def test_a_container_sees_the_software_device(answering: Answering, tmp_path: Path) -> None:
    source = ImageSource(name="vulkan", build="vulkan")
    software = select(Cpu().discover(), backend=BACKENDS["vulkan"], name="software")
    assert isinstance(software, Device)
    pair = Pair(backend=BACKENDS["vulkan"], image="vulkan", named="software", devices=(software,))
    (finding,) = probe_cards((pair,), source, image_of(source, answering, tmp_path), answering)
    assert finding.state is State.GREEN, finding
    assert "llvmpipe" in finding.found


@pytest.mark.parametrize("backend", ["cuda", "vulkan"])
def test_a_card_that_the_engine_cannot_hand_over_is_red_with_the_way_out(
    answering: Answering, tmp_path: Path, backend: str
) -> None:
    # The card is made up: what is real is the engine's answer to the request for it.
    source = ImageSource(name="vulkan", build="vulkan")
    pair = Pair(backend=BACKENDS[backend], image="vulkan", named="default", devices=(RTX_4090,))
    (finding,) = probe_cards((pair,), source, image_of(source, answering, tmp_path), answering)
    assert finding.state is State.RED
    assert finding.reason in {"no_runtime", "cdi_device", "request_dropped", "no_device"}
    assert finding.todo


def test_json_of_a_real_examination_fits_its_schema(answering: Answering) -> None:
    del answering  # there is an engine
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "doctor", "--file", "demo.yaml", "--json"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    found = json.loads(done.stdout)
    schema = json.loads((CHECKOUT / "harness/flows/doctor.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(found)
    assert done.returncode == found["exit_code"]
    assert {"machine", "engine", "image", "model", "disk", "lock"} <= {f["check"] for f in found["findings"]}
