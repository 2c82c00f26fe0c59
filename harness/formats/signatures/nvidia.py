"""What NVIDIA's driver and container toolkit say, and engines about them."""

from __future__ import annotations

from harness.formats.signatures.signature import DEVICE_LEFT, Rank, Signature, texts
from harness.values.failure import Phase, Reason

_NEWER_DRIVER = (
    "The host's driver is older than the CUDA of the image: update the driver (CUDA 12 needs 525 or newer, CUDA 13 "
    "needs 580), or use an image with an older CUDA."
)
_MISMATCH = "The driver was updated, and the kernel still runs the old module: restart the machine."
_NO_DRIVER_LIBRARY = (
    "The engine finds no driver: install NVIDIA's driver on the host, so that `nvidia-smi` works there. An engine "
    "from a snap, or one that runs without root, may not see a driver that is there."
)

LOG: tuple[Signature, ...] = (
    texts(
        Rank.DRIVER,
        Reason.DRIVER_TOO_OLD,
        Phase.LOAD,
        _NEWER_DRIVER,
        r"driver version is insufficient",
        gpu_only=True,
    ),
    texts(
        Rank.DRIVER,
        Reason.DRIVER_TOO_OLD,
        Phase.LOAD,
        "The image brings a CUDA that is newer than the driver, in a way that only data-center cards allow: update the "
        "host's driver, or use an image with an older CUDA.",
        r"forward compatibility was attempted on non supported HW",
        gpu_only=True,
    ),
    texts(
        Rank.DRIVER,
        Reason.NO_DEVICE,
        Phase.LOAD,
        _MISMATCH,
        r"Failed to initialize NVML: Driver/library version mismatch",
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
        "The driver's libraries are not in the container: the engine did not hand the card over. Install NVIDIA's "
        "container toolkit, and let `invoke doctor` show whether a container sees the card.",
        r"lib(?:cuda|nvidia-ml)\.so\S*: cannot open shared object file",
        gpu_only=True,
    ),
    texts(
        Rank.DEVICE_LOST,
        Reason.DEVICE_LOST,
        Phase.RUN,
        DEVICE_LEFT,
        r"fallen off the bus",
    ),
    texts(
        Rank.DEVICE_LOST,
        Reason.DEVICE_LOST,
        Phase.RUN,
        "The container lost its card while it ran: `systemctl daemon-reload` takes device rules away from containers "
        "of engines with the systemd cgroup driver. Use CDI or the cgroupfs driver, or run `sudo nvidia-ctk system "
        "create-dev-char-symlinks --create-all`.",
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
    texts(Rank.DRIVER, Reason.NO_DEVICE, Phase.START, _MISMATCH, r"nvml error: driver/library version mismatch"),
    texts(
        Rank.PERMISSION,
        Reason.PERMISSION,
        Phase.START,
        "An engine without root may not set device rules: put `no-cgroups = true` under [nvidia-container-cli] in "
        "/etc/nvidia-container-runtime/config.toml, or use CDI.",
        r"failed to add device rules|bpf_prog_query",
    ),
    texts(Rank.DEVICE, Reason.NO_DEVICE, Phase.START, _NO_DRIVER_LIBRARY, r"load library failed: libnvidia-ml\.so"),
    texts(
        Rank.DEVICE,
        Reason.NO_DEVICE,
        Phase.START,
        "The driver's kernel module is not loaded: `sudo modprobe nvidia`, or restart after an update; `nvidia-smi` "
        "must work on the host.",
        r"nvml error: driver not loaded",
    ),
    texts(
        Rank.DEVICE,
        Reason.NO_DEVICE,
        Phase.START,
        "The driver does not answer in time: start `nvidia-persistenced`, and see the kernel's log for `Xid`, which "
        "tells of a card that hangs.",
        r"driver rpc error: timed out",
    ),
    texts(
        Rank.DEVICE,
        Reason.NO_DEVICE,
        Phase.START,
        "No card has this number or UUID: `nvidia-smi -L` lists them. Name it in the matrix by UUID or PCI address, "
        "since indices change.",
        r"device error:.*unknown device|unknown device id",
    ),
    texts(
        Rank.DEVICE,
        Reason.NO_DEVICE,
        Phase.START,
        "NVIDIA's container toolkit cannot start the driver: `nvidia-smi` must work on the host.",
        r"nvidia-container-cli: (?:initialization|device|mount|detection) error",
    ),
    texts(
        Rank.REQUEST,
        Reason.NO_RUNTIME,
        Phase.START,
        "The engine has no hook for NVIDIA's cards: install nvidia-container-toolkit, run `sudo nvidia-ctk runtime "
        "configure --runtime=docker`, and restart the engine. An engine in a virtual machine (Docker Desktop for "
        "Linux) or from a snap has none: `docker context use default`.",
        r"could not select device driver \\?\"(?:nvidia)?\\?\"",
        r"unknown (?:or invalid )?runtime (?:name: |specified )?nvidia",
    ),
    texts(
        Rank.REQUEST,
        Reason.CDI_DEVICE,
        Phase.START,
        "The CDI specification is of another version of the driver or of the toolkit: generate it again, "
        "`sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`.",
        r"lib(?:cuda|nvidia|GLX_nvidia|EGL_nvidia)[\w.+-]*\.so[\d.]+[`'\"]?: no such file or directory",
        r"stat CDI host device \"?/dev/nvidia",
        r"hook\b.*nvidia-(?:cdi-hook|ctk)",
    ),
    texts(
        Rank.REQUEST,
        Reason.CDI_DEVICE,
        Phase.START,
        "NVIDIA's runtime is in CDI mode and finds no specification that names the card: "
        "`sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`, again after each update of the driver.",
        r"could not apply required modification.*inject CDI devices",
    ),
    texts(
        Rank.REQUEST,
        Reason.CDI_DEVICE,
        Phase.START,
        "No CDI specification names this card: `sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml` "
        "(readable to all: `chmod 644`), then `nvidia-ctk cdi list` shows the names. Generate it again after each "
        "update of the driver.",
        r"unresolvable CDI devices.* nvidia\.com/",
        r"unresolvable CDI devices nvidia\.com/",
    ),
)
