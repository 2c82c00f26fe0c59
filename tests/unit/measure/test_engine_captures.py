"""Answers of real engines (`tests/captures/engines/`, made by `tests/slow/engines/`) become the right typed failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.measure.diagnosis import diagnose
from harness.values.container import ContainerExit
from harness.values.failure import RETRIED_ON_RESUME, Reason

CAPTURES = Path(__file__).parents[2] / "captures/engines"
REASONS = {
    "nvidia-by-uuid": {Reason.NO_RUNTIME},
    "any-gpu": {Reason.NO_RUNTIME},
    "amd-driver": {Reason.NO_RUNTIME},
    "number-and-ids": {Reason.NO_RUNTIME, Reason.DEVICE_REQUEST},
    "cdi-unknown": {Reason.CDI_DEVICE},
    "cdi-other-kind": {Reason.CDI_DEVICE},
    "cdi-no-name": {Reason.CDI_DEVICE, Reason.DEVICE_REQUEST},
    "cdi-count": {Reason.DEVICE_REQUEST},
    "cdi-stale-node": {Reason.CDI_DEVICE},
    "cdi-stale-library": {Reason.CDI_DEVICE},
    "cdi-no-hook": {Reason.CDI_DEVICE},
    "node-missing": {Reason.DEVICE_NODE},
    "node-with-name-of-cdi": {Reason.DEVICE_REQUEST},
    "group-by-name": {Reason.GROUP},
    "runtime-nvidia": {Reason.NO_RUNTIME},
    "hook-driver-too-old": {Reason.DRIVER_TOO_OLD},
    "hook-no-library": {Reason.NO_DEVICE},
    "hook-not-loaded": {Reason.NO_DEVICE},
    "hook-timeout": {Reason.NO_DEVICE},
    "hook-unknown-device": {Reason.NO_DEVICE},
    "hook-cgroups": {Reason.PERMISSION},
    "nothing": {Reason.ENGINE},
}
"""What each request fails with, where an engine refuses it."""

CDI_OFF = {"docker-20.10", "docker-20.10-hook", "docker-26.1", "docker-28.5-cdi-off"}
REMEDIES = {
    "nvidia-by-uuid": "nvidia-ctk runtime configure",
    "cdi-unknown": "nvidia-ctk cdi generate",
    "cdi-other-kind": "amd-ctk cdi generate",
    "cdi-stale-node": "nvidia-ctk cdi generate",
    "cdi-stale-library": "nvidia-ctk cdi generate",
    "cdi-no-hook": "nvidia-ctk cdi generate",
    "node-missing": "modprobe amdgpu",
    "group-by-name": "by number",
    "nothing": "init program",
}


def refusals() -> list[tuple[str, str, dict[str, object]]]:
    return [
        (file.stem, name, answer)
        for file in sorted(CAPTURES.glob("*.json"))
        for name, answer in json.loads(file.read_text())["answers"].items()
        if answer["phase"] and "nothing that is known" not in answer["text"]
    ]


def ended(answer: dict[str, object]) -> ContainerExit:
    phase, text = str(answer["phase"]), str(answer["text"])
    return ContainerExit(exit_code=None, error=text, error_phase=phase, started_ns=0, ended_ns=1)


@pytest.mark.parametrize(("setup", "name", "answer"), refusals())
def test_a_refusal_of_a_real_engine(setup: str, name: str, answer: dict[str, object]) -> None:
    failure = diagnose(ended(answer))
    off = setup in CDI_OFF and name.startswith("cdi-")
    assert failure.reason in ({Reason.CDI_OFF} if off else REASONS[name])
    assert failure.reason in RETRIED_ON_RESUME
    assert ('"cdi": true' if off else REMEDIES.get(name, "")) in failure.remedy
    assert failure.remedy


def test_every_engine_of_the_tables_was_asked() -> None:
    engines = {"docker-20.10", "docker-26.1", "docker-28.5", "podman-4.3", "podman-5.4", "podman-5.8"}
    assert engines <= {file.stem for file in CAPTURES.glob("*.json")}
    assert len(refusals()) > 100


def test_podman_refuses_nothing_that_it_drops() -> None:
    """Why a dropped request has to be known beforehand: the container runs, and sees nothing."""
    for setup in ("podman-4.3", "podman-5.4", "podman-5.8"):
        answers = json.loads((CAPTURES / f"{setup}.json").read_text())["answers"]
        for name in ("nvidia-by-uuid", "any-gpu", "amd-driver", "cdi-count", "runtime-nvidia"):
            assert (answers[name]["exit_code"], answers[name]["output"]) == (0, [])
        assert bool(answers["cdi-known"]["output"]) == (setup != "podman-4.3")
