"""What the CUDA image built here really printed on a machine without a card: each way ends in a typed failure.

`no-driver` is a container without the driver's library, `driver-550` and `driver-470` have the real one of those
versions (Debian's packages of it) and no card. The toolkit is CUDA 12.4, for which 470 is too old.
"""

import pytest

from harness.formats import llama_bench, llama_log
from harness.measure.diagnosis import diagnose, explained
from harness.measure.listing import judge_listing
from harness.measure.proof import judge
from harness.values.backend import BACKENDS
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.failure import Failure, Phase, Reason

CARD = Passthrough(expected=(ExpectedDevice(name="CUDA0", names=("NVIDIA GeForce RTX 4090",), exact=True),))
MACHINES = [
    ("no-driver", Reason.NO_DEVICE, "the CUDA backend was not loaded"),
    ("driver-550", Reason.NO_DEVICE, "no CUDA-capable device is detected"),
    ("driver-470", Reason.DRIVER_TOO_OLD, "driver version is insufficient"),
]


@pytest.mark.parametrize(("machine", "reason", "words"), MACHINES)
def test_before_a_run_the_list_is_empty_and_says_why(captured, machine, reason, words):
    found = judge_listing(captured(f"cuda-b11312/list-devices-{machine}"), passthrough=CARD, backend=BACKENDS["cuda"])
    assert isinstance(found, Failure)
    assert (found.phase, found.reason) == (Phase.PREPARE, reason)
    assert words in found.detail
    assert found.remedy


@pytest.mark.parametrize(
    ("machine", "backends"), [("no-driver", "CPU"), ("driver-550", "CUDA"), ("driver-470", "CUDA")]
)
def test_the_library_is_loaded_where_there_is_a_driver_and_is_no_proof_of_a_device(captured, machine, backends):
    ended = captured(f"cuda-b11312/silent-cpu-fallback-{machine}-v")
    assert ended.exit_code == 0
    log = llama_log.read(line.text for line in ended.stderr)
    assert ("CUDA" in log.libraries) is (backends == "CUDA")
    assert log.devices == {}
    rows = llama_bench.read(line.text for line in ended.stdout).rows
    assert [(row.backends, row.gpu_info) for row in rows] == [((backends,), "")] * 2


@pytest.mark.parametrize("verbose", [True, False])
@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        ("no-driver", Reason.CPU_FALLBACK),  # nothing is printed that tells why: the library's error is not shown
        ("driver-550", Reason.NO_DEVICE),
        ("driver-470", Reason.DRIVER_TOO_OLD),
    ],
)
def test_rows_that_the_cpu_made_are_no_numbers(  # noqa: PLR0917 - fixtures, and the columns of a table
    captured, cell, image_facts, model_facts, machine, reason, verbose
):
    """Without `-dev`, which no run of ours leaves out, llama.cpp computes on the CPU and exits with 0."""
    ended = captured(f"cuda-b11312/silent-cpu-fallback-{machine}-v")
    cells = tuple(cell(n_prompt, n_gen, backend="cuda") for n_prompt, n_gen in ((16, 0), (0, 4)))
    outcomes = judge(
        cells,
        ended,
        llama_bench.read(line.text for line in ended.stdout),
        llama_log.read(line.text for line in ended.stderr) if verbose else None,
        passthrough=CARD,
        backend="cuda",
        image=image_facts(),
        model=model_facts(16_783_616, 10_003_456),
        repetitions=2,
    )
    assert len(outcomes) == 2
    for outcome in outcomes:
        told = explained(outcome, ended)
        assert told.samples_ns == ()
        assert told.failure.reason is reason


@pytest.mark.parametrize(("machine", "reason", "words"), MACHINES)
def test_a_run_asks_for_its_device_by_name_and_is_refused(captured, machine, reason, words):
    ended = captured(f"cuda-b11312/no-device-asked-{machine}")
    assert ended.exit_code == 1
    failure = diagnose(ended, backend="cuda")
    assert failure.reason is reason
    assert ("invalid device: CUDA0" if machine == "no-driver" else words) in failure.detail
    assert failure.remedy
