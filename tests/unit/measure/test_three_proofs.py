"""Each proof has a fault that it alone sees: here those before and after a run; the one during it has its own tests.

One made-up run on a card, as its list and its rows tell of it; in each test one of them tells of a fault.
"""

import pytest

from harness.measure.listing import Listed, judge_listing
from harness.values.backend import BACKENDS
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.failure import Reason
from harness.values.record import Proof

MIB = 1024 * 1024
NAME = "NVIDIA GeForce RTX 4060 Ti"
CARD = Passthrough(expected=(ExpectedDevice(name="CUDA0", names=(NAME,), exact=True, memory_bytes=16380 * MIB),))


@pytest.fixture
def before(ended):
    def listed(line: str = f"  CUDA0: {NAME} (15948 MiB, 15700 MiB free)"):
        return judge_listing(ended(("Available devices:", line)), passthrough=CARD, backend=BACKENDS["cuda"])

    return listed


@pytest.fixture
def after(judging, cell):
    def judged(**row):
        run = judging("vulkan-b11312/good-software-v", (cell(32, backend="cuda"),), passthrough=CARD, backend="cuda")
        fields = {"gpu_info": NAME, "backends": ("CUDA",), "devices": "CUDA0", **row}
        return run.outcomes(row=fields, verbose=False)[0]

    return judged


def test_nothing_speaks_against_a_good_run(before, after) -> None:
    assert isinstance(before(), Listed)
    assert after().ok


def test_only_before(before, after) -> None:
    """The card of the same name with half the memory: rows name cards, and have no memory in them."""
    assert before(f"  CUDA0: {NAME} (7796 MiB, 7600 MiB free)").reason is Reason.WRONG_DEVICE
    assert after().ok


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"gpu_info": "NVIDIA GeForce RTX 4060"}, Reason.WRONG_DEVICE),  # another card than a moment ago
        ({"gpu_info": ""}, Reason.CPU_FALLBACK),  # a driver and no device
        ({"gpu_info": "", "backends": ("CPU",)}, Reason.CPU_FALLBACK),  # no driver
        ({"backends": ("CPU",)}, Reason.CPU_FALLBACK),
        ({"devices": "none"}, Reason.CPU_FALLBACK),
    ],
)
def test_only_after(before, after, row, reason) -> None:
    assert before().check.proof is Proof.PROVEN
    assert after(**row).failure.reason is reason
