"""The proof before, within a start: what is asked, when, and what becomes of the answer."""

from dataclasses import replace

import pytest

from harness.engine.replay import scripted
from harness.errors import CellsFailedError
from harness.flows.engines import LOCK_LABEL
from harness.values.container import ContainerExit, ContainerSpec
from harness.values.failure import Reason

VULKAN = """
preset: quick
repetitions: 2
cells:
  - backend: vulkan
    model: [gemma3-270m-q4_k_m, synthetic-17m-q4_0]
    device: software
    n_threads: 2
    tests: [pp8]
"""
LISTED = "Available devices:\n  Vulkan0: llvmpipe (LLVM 19.1.7, 256 bits) (24105 MiB, 22417 MiB free)"


@pytest.fixture
def listing(harness):
    """A harness whose containers list what is given here before they measure."""

    def make(stdout: str, stderr: str = "", **changes: object):
        bench = harness.bench
        harness.image = replace(harness.image, flags={})

        def play(spec: ContainerSpec) -> ContainerExit:
            if "--list-devices" in spec.argv:
                return replace(scripted(stdout, stderr), **changes)
            return bench(spec)

        harness.bench = play
        return harness

    return make


def asked(harness) -> list[ContainerSpec]:
    return [spec for spec in harness.started if "--list-devices" in spec.argv]


def reasons(harness) -> set[Reason]:
    return {outcome.failure.reason for record in harness.records() for outcome in record.outcomes if outcome.failure}


def test_a_device_that_is_not_listed_stops_its_cells_before_any_model_is_fetched(listing) -> None:
    harness = listing("Available devices:\n  (none)", "ggml_vulkan: No devices found.")
    with pytest.raises(CellsFailedError):
        harness.measure(harness.matrix(VULKAN))
    assert harness.had == ["image vulkan"]
    assert len(asked(harness)) == len(harness.started) == 1
    assert reasons(harness) == {Reason.NO_DEVICE}


def test_an_engine_that_refuses_the_device_is_typed_too(listing) -> None:
    text = 'error gathering device information while adding custom device "/dev/kfd": no such file or directory'
    harness = listing("", exit_code=None, error=text, error_phase="start")
    with pytest.raises(CellsFailedError):
        harness.measure(harness.matrix(VULKAN))
    assert reasons(harness) == {Reason.DEVICE_NODE}


def test_one_container_an_image_and_device_is_asked_and_it_is_as_those_that_measure(listing) -> None:
    harness = listing(LISTED)
    with pytest.raises(CellsFailedError):  # the rows are those of a CPU
        harness.measure(harness.matrix(VULKAN))
    probe, run = harness.started[0], harness.started[1]
    assert asked(harness) == [probe]
    assert (probe.image, probe.passthrough, probe.environment, probe.memory_bytes, probe.pids, probe.tmpfs) == (
        run.image, run.passthrough, run.environment, run.memory_bytes, run.pids, run.tmpfs,
    )  # fmt: skip
    assert set(probe.mounts) == {mount for mount in run.mounts if not mount.read_only}
    # What a killed harness leaves of it is swept like a run.
    assert probe.labels[LOCK_LABEL] == run.labels[LOCK_LABEL] != ""


def test_what_was_listed_stands_among_the_checks_of_every_row(listing) -> None:
    harness = listing(LISTED)
    with pytest.raises(CellsFailedError):
        harness.measure(harness.matrix(VULKAN))
    checks = [outcome.checks[0] for record in harness.records() for outcome in record.outcomes if outcome.checks]
    assert checks
    assert {check.name for check in checks} == {"device_listed"}
    assert "llvmpipe" in checks[0].evidence


def test_the_cpu_is_not_asked(harness, tiny: str) -> None:
    harness.measure(harness.matrix(tiny))
    assert asked(harness) == []
