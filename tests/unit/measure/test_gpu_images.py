"""What the images for GPUs that were built here really printed without a card: each way ends in a typed failure.

Of CUDA `no-driver` is a container without the driver's library; `driver-550` and `driver-470` have the real one of
those versions (Debian's packages of it) and no card. The toolkit is CUDA 12.4, for which 470 is too old.
Of ROCm `no-nodes` is a container without `/dev/kfd` and render node; in `closed-nodes` they may not be opened.
"""

import pytest

from harness.formats import llama_bench, llama_log
from harness.measure.diagnosis import diagnose, explained
from harness.measure.listing import judge_listing
from harness.measure.proof import judge
from harness.values.backend import BACKENDS
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.failure import Failure, Phase, Reason

CARD = {
    "cuda": Passthrough(expected=(ExpectedDevice(name="CUDA0", names=("NVIDIA GeForce RTX 4090",), exact=True),)),
    "rocm": Passthrough(
        expected=(ExpectedDevice(name="ROCm0", names=("AMD Radeon RX 7900 XTX",), marks=("gfx1100",)),)
    ),
}
MACHINES = [
    ("cuda", "no-driver", Reason.NO_DEVICE, "the CUDA backend was not loaded"),
    ("cuda", "driver-550", Reason.NO_DEVICE, "no CUDA-capable device is detected"),
    ("cuda", "driver-470", Reason.DRIVER_TOO_OLD, "driver version is insufficient"),
    ("rocm", "no-nodes", Reason.NO_DEVICE, "no ROCm-capable device is detected"),
]


@pytest.mark.parametrize(("backend", "machine", "reason", "words"), MACHINES)
def test_before_a_run_the_list_is_empty_and_says_why(captured, backend, machine, reason, words):
    ended = captured(f"{backend}-b11312/list-devices-{machine}")
    found = judge_listing(ended, passthrough=CARD[backend], backend=BACKENDS[backend])
    assert isinstance(found, Failure)
    assert (found.phase, found.reason) == (Phase.PREPARE, reason)
    assert words in found.detail
    assert found.remedy


def test_nodes_that_are_closed_look_like_nodes_that_are_not_there_and_are_told_from_the_host(captured):
    ended = captured("rocm-b11312/list-devices-closed-nodes")
    assert "no ROCm-capable device is detected" in ended.stderr[0].text
    closed = ("/dev/kfd (group 105, mode 0660)",)
    found = judge_listing(ended, passthrough=CARD["rocm"], backend=BACKENDS["rocm"], closed=closed)
    assert isinstance(found, Failure)
    assert found.reason is Reason.PERMISSION


@pytest.mark.parametrize(
    ("backend", "machine", "loaded"),
    [
        ("cuda", "no-driver", "CPU"),
        ("cuda", "driver-550", "CUDA"),
        ("cuda", "driver-470", "CUDA"),
        ("rocm", "no-nodes", "ROCm"),
    ],
)
def test_a_library_that_is_loaded_is_no_proof_of_a_device(captured, backend, machine, loaded):
    """CUDA's needs the driver's for that; HIP's is in the image and always loads."""
    ended = captured(f"{backend}-b11312/silent-cpu-fallback-{machine}-v")
    assert ended.exit_code == 0
    log = llama_log.read(line.text for line in ended.stderr)
    assert (BACKENDS[backend].registry_name in log.libraries) is (loaded != "CPU")
    assert log.devices == {}
    rows = llama_bench.read(line.text for line in ended.stdout).rows
    assert [(row.backends, row.gpu_info) for row in rows] == [((loaded,), "")] * 2


@pytest.mark.parametrize("verbose", [True, False])
@pytest.mark.parametrize(
    ("backend", "machine", "reason"),
    [
        ("cuda", "no-driver", Reason.CPU_FALLBACK),  # nothing printed tells why: the library's error is not shown
        ("cuda", "driver-550", Reason.NO_DEVICE),
        ("cuda", "driver-470", Reason.DRIVER_TOO_OLD),
        ("rocm", "no-nodes", Reason.NO_DEVICE),
    ],
)
def test_rows_that_the_cpu_made_are_no_numbers(  # noqa: PLR0917 - fixtures, and the columns of a table
    captured, cell, image_facts, model_facts, backend, machine, reason, verbose
):
    """Without `-dev`, which no run of ours leaves out, llama.cpp computes on the CPU and exits with 0."""
    ended = captured(f"{backend}-b11312/silent-cpu-fallback-{machine}-v")
    cells = tuple(cell(n_prompt, n_gen, backend=backend) for n_prompt, n_gen in ((16, 0), (0, 4)))
    outcomes = judge(
        cells,
        ended,
        llama_bench.read(line.text for line in ended.stdout),
        llama_log.read(line.text for line in ended.stderr) if verbose else None,
        passthrough=CARD[backend],
        backend=backend,
        image=image_facts(),
        model=model_facts(16_783_616, 10_003_456),
        repetitions=2,
    )
    assert len(outcomes) == 2
    for outcome in outcomes:
        told = explained(outcome, ended)
        assert told.samples_ns == ()
        assert told.failure.reason is reason


@pytest.mark.parametrize(("backend", "machine", "reason", "words"), MACHINES)
def test_a_run_asks_for_its_device_by_name_and_is_refused(captured, backend, machine, reason, words):
    ended = captured(f"{backend}-b11312/no-device-asked-{machine}")
    assert ended.exit_code == 1
    failure = diagnose(ended, backend=backend)
    assert failure.reason is reason
    assert ("invalid device: CUDA0" if machine == "no-driver" else words) in failure.detail
    assert failure.remedy
