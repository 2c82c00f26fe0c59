"""What container engines say that could not create or start a container: Docker, Podman, their runtimes.

What they say about one vendor's devices stands in that vendor's file and comes first.
"""

from __future__ import annotations

from harness.formats.signatures.signature import Rank, Signature, texts
from harness.values.failure import Phase, Reason

_CDI_OFF = (
    'The engine has CDI switched off: Docker 25 to 28.1 need {"features": {"cdi": true}} in /etc/docker/daemon.json '
    "and a restart, 28.2 and newer have it on, older ones have none."
)

ENGINE: tuple[Signature, ...] = (
    texts(
        Rank.DEVICE,
        Reason.DEVICE_NODE,
        Phase.START,
        "There is no render node where the engine runs: load the card's kernel driver; `ls -l /dev/dri` must show it. "
        "Virtual machines of desktop engines have none.",
        r"custom device \\?\"/dev/dri|stat /dev/dri/\S+: no such file",
    ),
    texts(
        Rank.DEVICE,
        Reason.DEVICE_REQUEST,
        Phase.START,
        "The engine took a CDI name for a path: this API takes CDI names as device requests only, on Docker 28.2 or "
        "Podman 5.4 and newer.",
        r"custom device \\?\"[\w.-]+/[\w.-]+=",
        r"container create: stat [^/\s]\S*: no such file or directory",
    ),
    texts(
        Rank.DEVICE,
        Reason.DEVICE_NODE,
        Phase.START,
        "The device's node does not exist where the engine runs: load its kernel driver, and see that the engine "
        "runs on this machine and not in a virtual one.",
        r"gathering device information while adding custom device",
        r"stat /dev/\S+: no such file or directory",
    ),
    texts(
        Rank.REQUEST,
        Reason.REQUEST_DROPPED,
        Phase.START,
        "Podman drops requests for devices before 5.4, and later those that are not by CDI: use Podman 5.4 or newer "
        "with a CDI specification of the device, or Docker Engine.",
        r"drops the request for a device",
    ),
    texts(
        Rank.REQUEST,
        Reason.ENGINE,
        Phase.START,
        "The engine has no small init program to start containers with: install the package catatonit for Podman, "
        "tini or docker-init for Docker.",
        r"container-init binary not found|lookup init binary",
        r"exec: \"(?:catatonit|docker-init|tini)\": executable file not found",
    ),
    texts(
        Rank.REQUEST,
        Reason.ENGINE,
        Phase.START,
        "crun does not start containers where control groups of version 1 and 2 both hold controllers: boot with "
        "version 2 alone (`systemd.unified_cgroup_hierarchy=1`), or let Podman use runc (`runtime` in "
        "/etc/containers/containers.conf).",
        r"cgroups in hybrid mode not supported",
    ),
    texts(
        Rank.REQUEST,
        Reason.ENGINE,
        Phase.START,
        "The engine may not raise this limit, mostly because it runs in a container itself: lower `default_ulimits` "
        "in /etc/containers/containers.conf, or `default-ulimits` in /etc/docker/daemon.json.",
        r"setting rlimits?\b|setrlimit",
    ),
    texts(
        Rank.REQUEST,
        Reason.CDI_OFF,
        Phase.START,
        _CDI_OFF,
        r"could not select device driver \\?\"cdi\\?\"",
        r"no CDI specification directories specified",
    ),
    texts(
        Rank.REQUEST,
        Reason.CDI_DEVICE,
        Phase.START,
        "The CDI specification of this device names what is not there any more, mostly since a driver or a toolkit "
        "was updated: generate it again with the vendor's container toolkit.",
        r"failed to stat CDI host device",
        r"error executing hook|hook #\d+: fork/exec \S+: no such file",
    ),
    texts(
        Rank.REQUEST,
        Reason.CDI_DEVICE,
        Phase.START,
        "No CDI specification names this device: generate one with the vendor's container toolkit in /etc/cdi, "
        "readable to all (`chmod 644`); `invoke doctor` lists the names that the engine knows.",
        r"unresolvable CDI devices",
        r"CDI device injection failed|inject CDI devices|setting up CDI devices",
    ),
    texts(
        Rank.REQUEST,
        Reason.NO_RUNTIME,
        Phase.START,
        "The engine does not know this runtime or device driver: install the vendor's container toolkit, register it "
        "with the engine, and restart the engine.",
        r"could not select device driver",
        r"unknown (?:or invalid )?runtime",
    ),
    texts(
        Rank.REQUEST,
        Reason.GROUP,
        Phase.START,
        "The image has no group of this name: groups go by number (`stat -c %g /dev/dri/renderD128`), as the harness "
        "passes them.",
        r"unable to find group|looking up supplemental groups",
    ),
    texts(
        Rank.REQUEST,
        Reason.DEVICE_REQUEST,
        Phase.START,
        "The request itself is wrong, which is a mistake of this program: please report it with the record.",
        r"cannot set both Count and DeviceIDs",
        r"unexpected (?:count|options) in CDI device request|in CDI device request",
    ),
    texts(
        Rank.PERMISSION,
        Reason.PERMISSION,
        Phase.START,
        "The engine may not use the device node: give its user access, or use an engine with root.",
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
