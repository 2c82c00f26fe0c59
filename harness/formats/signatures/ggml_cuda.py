"""What ggml's CUDA backend says, which is compiled for ROCm (HIP) and MUSA too."""

from __future__ import annotations

from harness.formats.signatures.signature import (
    BUILT_FOR_OTHERS,
    GIVE_DEVICE,
    LESS_DEVICE_MEMORY,
    REPORT,
    Rank,
    Signature,
    texts,
)
from harness.values.failure import Phase, Reason

LOG: tuple[Signature, ...] = (
    texts(
        Rank.DEVICE,
        Reason.NO_DEVICE,
        Phase.LOAD,
        GIVE_DEVICE,
        r"no (?:CUDA|ROCm)-capable device",
        r"failed to initialize (?:CUDA|ROCm|MUSA):",
        gpu_only=True,
    ),
    texts(
        Rank.ARCHITECTURE,
        Reason.UNSUPPORTED,
        Phase.RUN,
        BUILT_FOR_OTHERS,
        r"no kernel image is available",
        r"invalid device function",
        gpu_only=True,
    ),
    texts(
        Rank.DEVICE_MEMORY,
        Reason.OOM_DEVICE,
        Phase.LOAD,
        LESS_DEVICE_MEMORY,
        r"cudaMalloc failed: out of memory",
        r"(?:CUDA|ROCm|HIP|MUSA) error:? .*out of memory",
    ),
    texts(
        Rank.ABORT,
        Reason.ABORT,
        Phase.RUN,
        REPORT,
        r"\.(?:cu|cpp|c|h|m):\d+: (?:CUDA|ROCm|MUSA) error",
        r"(?:CUDA|ROCm|HIP|MUSA) error\b",
    ),
)
