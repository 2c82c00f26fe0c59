"""What ggml's CUDA backend says, which is compiled for ROCm (HIP) and MUSA too."""

from __future__ import annotations

from harness.formats.signatures.signature import (
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
        "The driver's library is in the container and finds no card: the request named none, or a variable such as "
        "CUDA_VISIBLE_DEVICES hides it. `invoke doctor` shows whether a container sees the card.",
        r"no CUDA-capable device",
        gpu_only=True,
    ),
    texts(
        Rank.DEVICE,
        Reason.NO_DEVICE,
        Phase.LOAD,
        "The container sees no card that ROCm can use: mostly the process is not in the group of /dev/kfd or the "
        "render node, or ROCR_VISIBLE_DEVICES and HIP_VISIBLE_DEVICES together hide it. `invoke doctor` tells which.",
        r"no ROCm-capable device",
        gpu_only=True,
    ),
    texts(
        Rank.DEVICE,
        Reason.NO_DEVICE,
        Phase.LOAD,
        GIVE_DEVICE,
        r"failed to initialize (?:CUDA|ROCm|MUSA):",
        gpu_only=True,
    ),
    texts(
        Rank.ARCHITECTURE,
        Reason.UNSUPPORTED,
        Phase.RUN,
        "The image was not compiled for this GPU's compute capability: use one that was (CUDA before 12.8 knows no "
        "Blackwell cards), or build it with the card's architecture.",
        r"no kernel image is available",
        gpu_only=True,
    ),
    texts(
        Rank.ARCHITECTURE,
        Reason.UNSUPPORTED,
        Phase.RUN,
        "The image was not compiled for this GPU's architecture (its gfx target, or compute capability): use one "
        "that was, or build it with the card's architecture.",
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
