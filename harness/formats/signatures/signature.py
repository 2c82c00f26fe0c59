"""What a failure looks like: a text, and what it tells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from harness.values.failure import Phase, Reason


class Rank(IntEnum):
    """How decisive a text is, the most decisive first.

    Where several texts are found, the first rank names the reason. So causes come before their consequences: a driver
    that is too old is why there is no device, and no device is why the model did not load.
    """

    DRIVER = 1
    PERMISSION = 2
    DEVICE = 3
    REQUEST = 4
    ARCHITECTURE = 5
    DEVICE_LOST = 6
    DEVICE_MEMORY = 7
    HOST_MEMORY = 8
    OPTION = 9
    MODEL = 10
    COMBINATION = 11
    IMAGE = 12
    ABORT = 13
    EXIT = 14
    LOAD = 15
    CONTEXT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One text.

    Attributes:
        rank: which text counts where there are several.
        pattern: searched in each line, whatever its case.
        gpu_only: means nothing in a run on the CPU (an image for a GPU says there that it found none), nor, where it
            is about the start, in a run that had its model loaded.
    """

    rank: Rank
    pattern: re.Pattern[str]
    reason: Reason
    phase: Phase
    remedy: str
    gpu_only: bool = False


def texts(rank: Rank, reason: Reason, phase: Phase, remedy: str, *patterns: str, gpu_only: bool = False) -> Signature:
    """A signature of several texts that mean the same."""
    joined = re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)
    return Signature(rank=rank, pattern=joined, reason=reason, phase=phase, remedy=remedy, gpu_only=gpu_only)


LESS_HOST_MEMORY = "Raise `memory` in the matrix and add --retry-failed, or use a smaller model, context or batch."
LESS_DEVICE_MEMORY = (
    "Offload fewer layers (n_gpu_layers), or use a smaller context, micro-batch, KV cache type or model; "
    "see that no other process uses the device."
)
GIVE_DEVICE = (
    "See that the device works on the host, that the engine hands it to containers, and that the image is for it; "
    "`invoke doctor` tells which part is missing."
)
DEVICE_LEFT = "See the kernel's log of the host; a lower power limit or clock, or a newer driver, often helps."
REPORT = "Try another build; if it stays so, report it to llama.cpp with the lines in the record."
