"""What NVIDIA's driver and container toolkit say."""

from __future__ import annotations

from harness.formats.signatures.signature import DEVICE_LEFT, GIVE_DEVICE, Rank, Signature, texts
from harness.values.failure import Phase, Reason

_NEWER_DRIVER = "Update the driver of the host, or use an image with an older CUDA runtime."

LOG: tuple[Signature, ...] = (
    texts(
        Rank.DRIVER,
        Reason.DRIVER_TOO_OLD,
        Phase.LOAD,
        _NEWER_DRIVER,
        r"driver version is insufficient",
        r"forward compatibility was attempted on non supported HW",
        gpu_only=True,
    ),
    texts(
        Rank.PERMISSION,
        Reason.PERMISSION,
        Phase.LOAD,
        "Give the user of the engine access to the device nodes /dev/nvidia*.",
        r"/dev/nvidia\S*.*permission denied",
        r"permission denied.*/dev/nvidia",
        gpu_only=True,
    ),
    texts(
        Rank.DEVICE,
        Reason.NO_DEVICE,
        Phase.LOAD,
        GIVE_DEVICE,
        r"lib(?:cuda|nvidia-ml)\.so\S*: cannot open shared object file",
        gpu_only=True,
    ),
    texts(
        Rank.DEVICE_LOST,
        Reason.DEVICE_LOST,
        Phase.RUN,
        DEVICE_LEFT,
        r"fallen off the bus",
        r"Failed to initialize NVML: Unknown Error",
    ),
)

ENGINE: tuple[Signature, ...] = (
    texts(
        Rank.DRIVER,
        Reason.DRIVER_TOO_OLD,
        Phase.START,
        _NEWER_DRIVER,
        r"nvidia-container-cli: requirement error",
        r"unsatisfied condition: cuda",
    ),
    texts(
        Rank.DEVICE,
        Reason.NO_DEVICE,
        Phase.START,
        GIVE_DEVICE,
        r"nvidia-container-cli: (?:initialization|device) error",
        r"driver not loaded|unknown device id",
    ),
    texts(
        Rank.PERMISSION,
        Reason.PERMISSION,
        Phase.START,
        "Rootless engines need `no-cgroups = true` in the NVIDIA toolkit's configuration, or CDI.",
        r"failed to add device rules|bpf_prog_query",
    ),
)
