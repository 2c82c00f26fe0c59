"""What AMD's kernel driver and the libraries of ROCm say."""

from __future__ import annotations

from harness.formats.signatures.signature import (
    BUILT_FOR_OTHERS,
    DEVICE_LEFT,
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
        Rank.PERMISSION,
        Reason.PERMISSION,
        Phase.LOAD,
        "Give the user of the engine access to the device nodes: the groups that own /dev/kfd and /dev/dri.",
        r"/dev/kfd\S*.*permission denied",
        r"permission denied.*/dev/kfd",
        gpu_only=True,
    ),
    texts(
        Rank.DEVICE,
        Reason.NO_DEVICE,
        Phase.LOAD,
        GIVE_DEVICE,
        r"Could not initialize Tensile host: No devices found",
        gpu_only=True,
    ),
    texts(
        Rank.ARCHITECTURE,
        Reason.UNSUPPORTED,
        Phase.RUN,
        BUILT_FOR_OTHERS,
        r"TensileLibrary.*(?:Illegal seek|Cannot read|No such file)",
        r"Cannot read .*TensileLibrary",
        gpu_only=True,
    ),
    texts(
        Rank.DEVICE_LOST,
        Reason.DEVICE_LOST,
        Phase.RUN,
        DEVICE_LEFT,
        r"Memory access fault by GPU",
    ),
    texts(
        Rank.DEVICE_MEMORY,
        Reason.OOM_DEVICE,
        Phase.LOAD,
        LESS_DEVICE_MEMORY,
        r"HSA_STATUS_ERROR_OUT_OF_RESOURCES",
    ),
    texts(Rank.ABORT, Reason.ABORT, Phase.RUN, REPORT, r"HSA_STATUS_ERROR_\w+"),
)
