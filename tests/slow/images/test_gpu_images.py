"""The CUDA and ROCm images that were built here, on a machine without a GPU: a typed failure each, never a number.

What they print is what `tests/captures/` holds, though CUDA's driver here is a stub and there the real one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.artifacts.bench_help import parse_help
from harness.formats import llama_log
from harness.measure.diagnosis import diagnose
from harness.measure.listing import judge_listing
from harness.values.backend import BACKENDS
from harness.values.container import ContainerExit, ExpectedDevice, Passthrough
from harness.values.failure import Failure, Reason
from tests.slow.images.conftest import BUILT_FOR

pytestmark = pytest.mark.slow

CAPTURES = Path(__file__).parents[2] / "captures"
OTHER_DRIVER = {"12.4": 12040, "11.4": 11040}
CARD = {
    "cuda": Passthrough(expected=(ExpectedDevice(name="CUDA0", names=("NVIDIA GeForce RTX 4090",), exact=True),)),
    "rocm": Passthrough(expected=(ExpectedDevice(name="ROCm0", names=("AMD Radeon RX 7900 XTX",), maker="AMD"),)),
}


def text(lines) -> list[str]:
    return [line.text for line in lines]


def said(ended: ContainerExit) -> list[str]:
    """Standard error without the line of the CPU's library, which differs between machines."""
    return [line for line in text(ended.stderr) if "CPU backend" not in line]


def captured(name: str) -> list[str]:
    return [line for line in (CAPTURES / f"{name}.stderr").read_text().splitlines() if "CPU backend" not in line]


@pytest.mark.parametrize("backend", BUILT_FOR)
def test_it_starts_and_knows_its_options(gpu_images, backend: str) -> None:
    ended = gpu_images.llama_bench(backend, "--help")
    assert ended.exit_code == 0
    core = (CAPTURES / "llama-bench-help/b11312.txt").read_text()
    assert parse_help("\n".join(text(ended.stdout))) == parse_help(core)


@pytest.mark.parametrize("backend", BUILT_FOR)
def test_the_library_is_where_the_table_of_backends_says(gpu_images, backend: str) -> None:
    ended = gpu_images.llama_bench(backend, "-c", f"ls /app/{BACKENDS[backend].library}.so", program="/bin/sh")
    assert ended.exit_code == 0, text(ended.stderr)


@pytest.mark.parametrize("backend", BUILT_FOR)
def test_every_library_that_it_needs_is_in_the_image(gpu_images, backend: str) -> None:
    """But for the driver's, which comes with the device."""
    ended = gpu_images.llama_bench(backend, "-c", f"ldd /app/{BACKENDS[backend].library}.so", program="/bin/sh")
    missing = {line.split()[0] for line in text(ended.stdout) if "not found" in line}
    assert ended.stdout
    assert missing == ({"libcuda.so.1"} if backend == "cuda" else set())


@pytest.mark.parametrize(
    ("backend", "driver", "capture", "loaded", "reason", "words"),
    [
        ("cuda", "", "list-devices-no-driver", False, Reason.NO_DEVICE, "the CUDA backend was not loaded"),
        ("cuda", "12.4", "list-devices-driver-550", True, Reason.NO_DEVICE, "no CUDA-capable device is detected"),
        ("cuda", "11.4", "list-devices-driver-470", True, Reason.DRIVER_TOO_OLD, "driver version is insufficient"),
        ("rocm", "", "list-devices-no-nodes", True, Reason.NO_DEVICE, "no ROCm-capable device is detected"),
    ],
)
def test_no_device_is_listed_and_the_reason_is_named(  # noqa: PLR0917 - the columns of a table
    gpu_images, backend: str, driver: str, capture: str, loaded: bool, reason: Reason, words: str
) -> None:
    mounts = gpu_images.driver(OTHER_DRIVER[driver]) if driver else ()
    ended = gpu_images.llama_bench(backend, "--list-devices", mounts=mounts)
    assert ended.exit_code == 0
    assert text(ended.stdout) == ["Available devices:", "  (none)"]
    if capture:
        assert said(ended) == captured(f"{backend}-b11312/{capture}")
    libraries = llama_log.read(text(ended.stderr)).libraries
    assert (BACKENDS[backend].registry_name in libraries) is loaded
    found = judge_listing(ended, passthrough=CARD[backend], backend=BACKENDS[backend])
    assert isinstance(found, Failure)
    assert found.reason is reason
    assert words in found.detail
    assert found.remedy


@pytest.mark.parametrize("backend", BUILT_FOR)
def test_a_device_that_is_asked_for_by_name_is_refused(gpu_images, backend: str) -> None:
    """The guard of every run: `-dev` is always given, so nothing is computed on the CPU instead."""
    device = CARD[backend].device
    ended = gpu_images.llama_bench(backend, "-m", "/nowhere.gguf", "-dev", device)
    assert ended.exit_code == 1
    assert f"error: invalid device: {device}" in text(ended.stderr)
    assert diagnose(ended, backend=backend).reason is Reason.NO_DEVICE
