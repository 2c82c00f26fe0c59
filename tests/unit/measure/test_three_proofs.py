"""Each proof has a fault that it alone sees.

One made-up run on a card, as three tell of it: its list before, the driver's telemetry during, its row after. In each
test one of the three tells of a fault, and the others find nothing.
"""

from dataclasses import replace

import pytest

from harness.measure.listing import judge_listing
from harness.values.backend import BACKENDS
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.failure import Failure, Reason
from harness.values.record import DURING, Proof
from harness.values.telemetry import DeviceSummary, Telemetry, Trace, Window, WindowSummary

MIB = 1024 * 1024
NAME = "NVIDIA GeForce RTX 4060 Ti"
LISTED = f"  CUDA0: {NAME} (15948 MiB, 15700 MiB free)"
CARD = Passthrough(expected=(ExpectedDevice(name="CUDA0", names=(NAME,), exact=True, memory_bytes=16380 * MIB),))
WORKED = {"memory_growth_bytes": 4400 * MIB, "utilization_mean_percent": 97.0, "utilization_max_percent": 100.0}


def telemetry(cell, seen):
    window = Window(name=cell.id, begin_ns=0, end_ns=3_000_000_000)
    summary = DeviceSummary(readings=30, **seen)
    return Telemetry(
        interval_ms=100,
        devices=(Trace(subject=NAME, pci="0000:01:00.0"),),
        windows=(WindowSummary(window=window, devices=(summary,)),),
    )


@pytest.fixture
def telling(judging, cell, ended):
    """Judges the run with what was changed; returns by proof the reason of its failure, or how it was shown."""

    def judged(line=LISTED, *, seen=WORKED, **row):
        before = judge_listing(ended(("Available devices:", line)), passthrough=CARD, backend=BACKENDS["cuda"])
        asked = cell(32, backend="cuda")
        run = judging("vulkan-b11312/good-software-v", (asked,), passthrough=CARD, backend="cuda")
        fields = {"gpu_info": NAME, "backends": ("CUDA",), "devices": "CUDA0", "model_size": 4000 * MIB, **row}
        model = replace(run.model, size_bytes=4100 * MIB)
        (outcome,) = run.outcomes(row=fields, verbose=False, telemetry=telemetry(asked, seen), model=model)
        during = {check.proof for check in outcome.checks if check.name in DURING}
        after = {check.proof for check in outcome.checks if check.name not in DURING}
        against = outcome.failure.reason if outcome.failure else None
        return {
            "before": before.reason if isinstance(before, Failure) else before.check.proof,
            "during": against if Proof.CONTRADICTED in during else max(during),
            "after": against if Proof.CONTRADICTED in after else max(after),
        }

    return judged


SHOWN = dict.fromkeys(("before", "during", "after"), Proof.PROVEN)


def test_a_good_run_is_proven_three_times(telling) -> None:
    assert telling() == SHOWN


def test_only_before(telling) -> None:
    """The card of the same name with half the memory: rows name cards, and have no memory in them."""
    assert telling(f"  CUDA0: {NAME} (7796 MiB, 7600 MiB free)") == SHOWN | {"before": Reason.WRONG_DEVICE}


@pytest.mark.parametrize(
    "seen",
    [
        WORKED | {"memory_growth_bytes": 0},
        WORKED | {"utilization_mean_percent": 0.2, "utilization_max_percent": 2.0},
        {"memory_growth_bytes": 0, "utilization_mean_percent": 0.0, "utilization_max_percent": 0.0},
    ],
    ids=["no-memory", "idle", "neither"],
)
def test_only_during(telling, seen) -> None:
    """Everything that is printed is right, and the card's driver saw nothing of it."""
    assert telling(seen=seen) == SHOWN | {"during": Reason.CPU_FALLBACK}


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
def test_only_after(telling, row, reason) -> None:
    """The list was right and something is busy on the card, but not with this row."""
    assert telling(**row) == SHOWN | {"after": reason}
