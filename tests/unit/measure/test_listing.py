"""The proof before: real lists where there are captures, and what other devices would print in the same form."""

from dataclasses import replace

import pytest

from harness.measure.listing import CHECK, Listed, judge_listing, listing_argv, not_listed
from harness.values.backend import BACKENDS
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.failure import Failure, Phase, Reason
from harness.values.record import Proof

MIB = 1024 * 1024
SOFTWARE = Passthrough(expected=(ExpectedDevice(name="Vulkan0", maker="llvmpipe", software=True),))
RTX_4090 = ExpectedDevice(
    name="CUDA0", names=("NVIDIA GeForce RTX 4090",), exact=True, pci="0000:01:00.0", memory_bytes=24564 * MIB
)
XTX = ExpectedDevice(
    name="ROCm0",
    names=("AMD Radeon RX 7900 XTX",),
    marks=("gfx1100",),
    mark_pattern=r"\b(gfx[0-9a-f]{3,4})\b",
    memory_bytes=24560 * MIB,
)
CUDA_LINE = "  CUDA0: NVIDIA GeForce RTX 4090 (24080 MiB, 23650 MiB free)"


@pytest.fixture
def judged(ended):
    def make(*stdout, backend="cuda", expected=(RTX_4090,), stderr=(), **changes):
        lines = ("Available devices:", *(stdout or ("  (none)",)))
        return judge_listing(
            ended(lines, stderr, **changes), passthrough=Passthrough(expected=expected), backend=BACKENDS[backend]
        )

    return make


def refused(found, reason):
    assert isinstance(found, Failure)
    assert found.reason is reason
    assert found.remedy
    return found.detail


def test_the_software_device_is_listed_where_it_is_asked_for(captured):
    found = judge_listing(
        captured("vulkan-b11312/list-devices-software"), passthrough=SOFTWARE, backend=BACKENDS["vulkan"]
    )
    assert isinstance(found, Listed)
    assert (found.check.name, found.check.proof) == (CHECK, Proof.PROVEN)
    assert "llvmpipe" in found.check.evidence
    assert found.passthrough == SOFTWARE


@pytest.mark.parametrize(
    ("capture", "words"),
    [("list-devices-none", "No devices found"), ("list-devices-invalid-index", "Invalid device index 7")],
)
def test_vulkan_without_a_device(captured, capture, words):
    found = judge_listing(captured(f"vulkan-b11312/{capture}"), passthrough=SOFTWARE, backend=BACKENDS["vulkan"])
    assert words in refused(found, Reason.NO_DEVICE)
    assert found.phase is Phase.PREPARE


def test_a_software_device_instead_of_a_card(captured):
    card = ExpectedDevice(name="Vulkan0", names=("AMD Radeon RX 7900 XTX",), maker="AMD")
    found = judge_listing(
        captured("vulkan-b11312/list-devices-software"),
        passthrough=Passthrough(expected=(card,)),
        backend=BACKENDS["vulkan"],
    )
    assert "llvmpipe" in refused(found, Reason.WRONG_DEVICE)


def test_an_image_without_the_backend(captured):
    found = judge_listing(
        captured("cpu-b11312/list-devices"), passthrough=Passthrough(expected=(RTX_4090,)), backend=BACKENDS["cuda"]
    )
    assert "was not loaded" in refused(found, Reason.NO_DEVICE)


def test_the_card_as_expected(judged):
    found = judged(CUDA_LINE)
    assert found.check.proof is Proof.PROVEN
    assert found.passthrough.device == "CUDA0"


def test_without_a_driver_the_library_is_not_loaded(judged):
    found = judged(stderr=("load_backend: loaded CPU backend from /app/libggml-cpu-zen4.so",))
    assert "the CUDA backend was not loaded" in refused(found, Reason.NO_DEVICE)


def test_with_a_driver_and_no_device_the_library_is_loaded(judged):
    found = judged(stderr=("load_backend: loaded CUDA backend from /app/libggml-cuda.so",))
    assert "was loaded in the container and found no device" in refused(found, Reason.NO_DEVICE)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected", Reason.NO_DEVICE),
        (
            "ggml_cuda_init: failed to initialize CUDA: CUDA driver version is insufficient for CUDA runtime version",
            Reason.DRIVER_TOO_OLD,
        ),
        ("Unable to open /dev/kfd read-write: Permission denied", Reason.PERMISSION),
    ],
)
def test_what_standard_error_tells_is_the_reason(judged, line, reason):
    refused(judged(stderr=(line,)), reason)


CLOSED = "/dev/kfd (group 105, mode 0660)"
LOADED = "load_backend: loaded ROCm backend from /app/libggml-hip.so"
NO_CARD = "ggml_cuda_init: failed to initialize ROCm: no ROCm-capable device is detected"


@pytest.mark.parametrize(
    ("stderr", "closed", "reason"),
    [
        ((NO_CARD, LOADED), (CLOSED,), Reason.PERMISSION),
        ((LOADED,), (CLOSED,), Reason.PERMISSION),
        ((NO_CARD, LOADED), (), Reason.NO_DEVICE),
        (
            (NO_CARD.replace("no ROCm", "driver version is insufficient: no ROCm"), LOADED),
            (CLOSED,),
            Reason.DRIVER_TOO_OLD,
        ),
        (("load_backend: loaded CPU backend from /app/libggml-cpu-zen4.so",), (CLOSED,), Reason.NO_DEVICE),
    ],
)
def test_a_node_that_may_not_be_opened_is_the_reason_where_llama_cpp_only_says_none(ended, stderr, closed, reason):
    """HIP says the same of a card that is closed to it and of one that is not there."""
    passed = Passthrough(expected=(XTX,), device_nodes=("/dev/kfd",), groups=(44,))
    lines = ("Available devices:", "  (none)")
    found = judge_listing(ended(lines, stderr), passthrough=passed, backend=BACKENDS["rocm"], closed=closed)
    detail = refused(found, reason)
    if reason is Reason.PERMISSION:
        assert detail == f"the container may not open {CLOSED}; its groups are 44"


def test_nothing_printed_at_all_is_no_device(ended):
    passthrough = Passthrough(expected=(RTX_4090,))
    refused(judge_listing(ended(), passthrough=passthrough, backend=BACKENDS["cuda"]), Reason.NO_DEVICE)


@pytest.mark.parametrize(
    "line",
    [
        "  CUDA0: NVIDIA GeForce RTX 4090 D (24080 MiB, 23650 MiB free)",
        "  CUDA0: NVIDIA GeForce RTX 3060 (11909 MiB, 11000 MiB free)",
        "  CUDA0: NVIDIA GeForce RTX 4090 (11909 MiB, 11000 MiB free)",  # the name of one with the memory of another
    ],
)
def test_another_card(judged, line):
    """Only the proof before sees the last one: rows have no memory in them."""
    assert "the container lists CUDA0" in refused(judged(line), Reason.WRONG_DEVICE)


def test_a_device_of_another_backend_does_not_count(judged):
    refused(judged("  Vulkan0: NVIDIA GeForce RTX 4090 (24564 MiB, 23650 MiB free)"), Reason.NO_DEVICE)


def test_an_engine_that_refuses_names_its_reason(judged):
    text = 'could not select device driver "nvidia" with capabilities: [[gpu]]'
    found = judged(error=text, error_phase="start", exit_code=None)
    assert isinstance(found, Failure)
    assert found.phase is Phase.START
    assert found.detail == text


def test_a_list_that_does_not_come(judged):
    refused(judged(timed_out=True, exit_code=137, kill_stage="term"), Reason.TIMEOUT)


ROCM_LINE = "  ROCm0: AMD Radeon Graphics (24560 MiB, 24000 MiB free)"


@pytest.mark.parametrize(
    ("architecture", "proof"), [("gfx1100", Proof.PROVEN), ("", Proof.UNOBSERVABLE), ("gfx1101", None)]
)
def test_the_architecture_decides_where_names_do_not(judged, architecture, proof):
    lines = ("ggml_cuda_init: found 1 ROCm devices:", f"  Device 0: AMD Radeon Graphics, {architecture} (0x1)")
    found = judged(ROCM_LINE, backend="rocm", expected=(XTX,), stderr=lines if architecture else ())
    if proof is None:
        assert "gfx1101" in refused(found, Reason.WRONG_DEVICE)
    else:
        assert found.check.proof is proof


PAIR = (
    ExpectedDevice(name="Vulkan0", names=("NVIDIA GeForce RTX 4090",), exact=True),
    ExpectedDevice(name="Vulkan1", names=("AMD Radeon RX 7900 XTX",), maker="AMD"),
)
NVIDIA_FIRST = (
    "  Vulkan0: NVIDIA GeForce RTX 4090 (24564 MiB, 24000 MiB free)",
    "  Vulkan1: AMD Radeon RX 7900 XTX (RADV NAVI31) (24560 MiB, 24000 MiB free)",
)


def test_several_devices_in_the_expected_order(judged):
    assert judged(*NVIDIA_FIRST, backend="vulkan", expected=PAIR).passthrough.device == "Vulkan0/Vulkan1"


def test_several_devices_that_the_loader_numbers_otherwise(judged):
    first, second = NVIDIA_FIRST
    swapped = (second.replace("Vulkan1", "Vulkan0"), first.replace("Vulkan0", "Vulkan1"))
    found = judged(*swapped, backend="vulkan", expected=PAIR)
    assert found.passthrough.device == "Vulkan1/Vulkan0"
    assert [device.names[0] for device in found.passthrough.expected] == [device.names[0] for device in PAIR]


def test_one_of_several_devices_is_missing(judged):
    assert "Vulkan1 is not listed" in refused(
        judged(NVIDIA_FIRST[0], backend="vulkan", expected=PAIR), Reason.WRONG_DEVICE
    )


def test_two_equal_devices_need_two_lines(judged):
    twice = (RTX_4090, replace(RTX_4090, name="CUDA1"))
    refused(judged(CUDA_LINE, expected=twice), Reason.WRONG_DEVICE)
    assert judged(CUDA_LINE, CUDA_LINE.replace("CUDA0", "CUDA1"), expected=twice).passthrough.device == "CUDA0/CUDA1"


def test_a_build_without_the_option_is_unobservable(image_facts, judged):
    assert listing_argv(image_facts(flags={"-m": ""})) is None
    assert listing_argv(image_facts(flags={"--list-devices": ""})) == ("/app/llama-bench", "--list-devices")
    assert not_listed(SOFTWARE).check.proof is Proof.UNOBSERVABLE
    words = "error: invalid parameter for argument: --list-devices"
    assert judged(stderr=(words,), exit_code=1).check.proof is Proof.UNOBSERVABLE
