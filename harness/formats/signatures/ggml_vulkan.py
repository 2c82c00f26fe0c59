"""What ggml's Vulkan backend says."""

from __future__ import annotations

from harness.formats.signatures.signature import (
    DEVICE_LEFT,
    GIVE_DEVICE,
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
        "Give the user of the engine access to the render node: the group that owns it in /dev/dri.",
        r"/dev/dri\S*.*permission denied",
        r"permission denied.*/dev/dri",
        gpu_only=True,
    ),
    texts(
        Rank.DEVICE,
        Reason.NO_DEVICE,
        Phase.LOAD,
        GIVE_DEVICE,
        r"ggml_vulkan: No devices found",
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
