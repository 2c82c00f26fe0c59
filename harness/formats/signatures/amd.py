"""What AMD's kernel driver and the libraries of ROCm say, and engines about them."""

from __future__ import annotations

from harness.formats.signatures.signature import (
    DEVICE_LEFT,
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
        "The process in the container is not in the group that owns /dev/kfd: see `ls -ln /dev/kfd /dev/dri`. The "
        "harness passes that group by its number; rootless engines cannot, so open the nodes by a udev rule, or use "
        "an engine with root.",
        r"/dev/kfd\S*.*permission denied",
        r"permission denied.*/dev/kfd",
        gpu_only=True,
    ),
    texts(
        Rank.DEVICE,
        Reason.NO_DEVICE,
        Phase.LOAD,
        "rocBLAS finds no card in the container: mostly /dev/kfd or the render node is missing there, or may not be "
        "opened; `invoke doctor` tells which.",
        r"Could not initialize Tensile host: No devices found",
        gpu_only=True,
    ),
    texts(
        Rank.ARCHITECTURE,
        Reason.UNSUPPORTED,
        Phase.RUN,
        "The image's rocBLAS has no kernels for this GPU's architecture: use an image that was built for it; for a "
        "close relative of a supported one HSA_OVERRIDE_GFX_VERSION helps (such as 11.0.0 for gfx1103), and is "
        "recorded.",
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

ENGINE: tuple[Signature, ...] = (
    texts(
        Rank.DEVICE,
        Reason.DEVICE_NODE,
        Phase.START,
        "There is no /dev/kfd where the engine runs: load the driver (`sudo modprobe amdgpu`). WSL 2 has none, nor has "
        "the virtual machine of Docker Desktop: `docker context use default`.",
        r"custom device \\?\"/dev/kfd|stat /dev/kfd: no such file",
    ),
    texts(
        Rank.REQUEST,
        Reason.CDI_DEVICE,
        Phase.START,
        "No CDI specification names this card: `sudo amd-ctk cdi generate --output=/etc/cdi/amd.json`, then "
        "`amd-ctk cdi list` shows the names.",
        r"unresolvable CDI devices.* amd\.com/",
        r"unresolvable CDI devices amd\.com/",
    ),
    texts(
        Rank.REQUEST,
        Reason.NO_RUNTIME,
        Phase.START,
        "The engine has no driver for requests of AMD's cards (Docker 29.3 is the first): name the card by its "
        "nodes, which works on every engine, or install AMD's container toolkit and restart the engine.",
        r"could not select device driver \\?\"amd\\?\"",
        r"unknown (?:or invalid )?runtime (?:name: |specified )?amd",
    ),
)
