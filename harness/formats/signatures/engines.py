"""What container engines say that could not create or start a container: Docker, Podman, their runtimes."""

from __future__ import annotations

from harness.formats.signatures.signature import GIVE_DEVICE, Rank, Signature, texts
from harness.values.failure import Phase, Reason

ENGINE: tuple[Signature, ...] = (
    texts(
        Rank.DEVICE,
        Reason.NO_DEVICE,
        Phase.START,
        GIVE_DEVICE,
        r"gathering device information while adding custom device",
        r"stat (?:/dev/|\w+\.com/)\S+: no such file or directory",
    ),
    texts(
        Rank.REQUEST,
        Reason.DEVICE_REQUEST,
        Phase.START,
        "Install the vendor's container toolkit, or generate its CDI specification, and restart the engine.",
        r"could not select device driver",
        r"unresolvable CDI devices",
        r"CDI device injection failed|inject CDI devices|setting up CDI devices|no CDI specification",
        r"unknown (?:or invalid )?runtime",
        r"unable to find group|looking up supplemental groups",
        r"cannot set both Count and DeviceIDs",
        r"in CDI device request",
    ),
    texts(
        Rank.PERMISSION,
        Reason.PERMISSION,
        Phase.START,
        "Give the user of the engine access to the device node.",
        r"/dev/\S+.*(?:permission denied|operation not permitted)",
    ),
    texts(
        Rank.IMAGE,
        Reason.IMAGE,
        Phase.START,
        "Use an image for this machine's architecture that holds llama-bench where `binary_dir` says.",
        r"exec format error",
        r"executable file not found",
        r"exec:? .*(?:no such file or directory|permission denied|is a directory)",
        r"no such image|manifest unknown|image .* not found",
        r"image operating system|does not match the (?:specified|detected host) platform",
    ),
)
