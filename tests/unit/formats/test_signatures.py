"""The table of failure texts: one order for all who say them."""

import pytest

from harness.formats.signatures import ENGINE_SIGNATURES, LOG_SIGNATURES
from harness.formats.signatures.signature import Signature
from harness.values.failure import Reason


def first(signatures: tuple[Signature, ...], *lines: str) -> Reason | None:
    return next((s.reason for s in signatures for line in lines if s.pattern.search(line)), None)


@pytest.mark.parametrize("signatures", [LOG_SIGNATURES, ENGINE_SIGNATURES])
def test_they_stand_in_order_of_decisiveness(signatures: tuple[Signature, ...]) -> None:
    ranks = [signature.rank for signature in signatures]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) > 3


def test_a_cause_of_one_speaker_comes_before_the_consequence_that_another_tells() -> None:
    lines = (
        "llama_model_load: failed to load model",
        "ggml_cuda_init: failed to initialize ROCm: no ROCm-capable device is detected",
        "Unable to open /dev/kfd read-write: Permission denied",
    )
    assert first(LOG_SIGNATURES, *lines) is Reason.PERMISSION
    assert first(LOG_SIGNATURES, *lines[:2]) is Reason.NO_DEVICE
    assert first(LOG_SIGNATURES, *lines[:1]) is Reason.LOAD


@pytest.mark.parametrize("name", ["CUDA0", "ROCm1", "Vulkan0", "SYCL0"])
def test_a_buffer_of_a_device_is_device_memory_whatever_the_backend(name: str) -> None:
    assert first(LOG_SIGNATURES, f"unable to allocate {name} buffer") is Reason.OOM_DEVICE


@pytest.mark.parametrize("name", ["CPU", "CPU_REPACK", "CUDA_Host"])
def test_a_buffer_of_the_host_is_host_memory(name: str) -> None:
    assert first(LOG_SIGNATURES, f"unable to allocate {name} buffer") is Reason.OOM_HOST
