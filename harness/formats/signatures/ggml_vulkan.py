"""What ggml's Vulkan backend says."""

from __future__ import annotations

from harness.formats.signatures.signature import (
    DEVICE_LEFT,
    LESS_DEVICE_MEMORY,
    Rank,
    Signature,
    texts,
)
from harness.values.failure import Phase, Reason

LOG: tuple[Signature, ...] = (
    texts(
        Rank.PERMISSION,
        Reason.PERMISSION,
        Phase.LOAD,
        "The process in the container may not open the render node: it has to be in the group that owns it (`ls -ln "
        "/dev/dri`), which the harness passes by its number and a rootless engine cannot pass.",
        r"/dev/dri\S*.*permission denied",
        r"permission denied.*/dev/dri",
        gpu_only=True,
    ),
    texts(
        Rank.DEVICE,
        Reason.NO_DEVICE,
        Phase.LOAD,
        "Vulkan sees no GPU in the container: the render node is not there or may not be opened, or the image has no "
        "Vulkan driver for the card (Mesa's for AMD and Intel; for others the vendor's, handed over with the "
        "`graphics` capability, and libglvnd). `invoke doctor` tells which part is missing.",
        r"ggml_vulkan: No devices found",
        gpu_only=True,
    ),
    texts(
        Rank.DEVICE,
        Reason.NO_DEVICE,
        Phase.LOAD,
        "Vulkan has fewer devices in the container than GGML_VK_VISIBLE_DEVICES names: take the variable away, or "
        "correct its index (it counts all Vulkan devices, those in software too).",
        r"Invalid device index \d+ in GGML_VK_VISIBLE_DEVICES",
        gpu_only=True,
    ),
    texts(
        Rank.DEVICE_LOST,
        Reason.DEVICE_LOST,
        Phase.RUN,
        DEVICE_LEFT,
        r"ErrorDeviceLost|DeviceLostError|device lost on",
    ),
    texts(
        Rank.DEVICE_MEMORY,
        Reason.OOM_DEVICE,
        Phase.LOAD,
        LESS_DEVICE_MEMORY,
        r"ErrorOutOf(?:Device|Host)Memory",
        r"ggml_vulkan: Device memory allocation of size \d+ failed",
        r"Requested buffer size exceeds device buffer size limit",
    ),
)
