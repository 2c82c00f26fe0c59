"""How a container is closed. Pure: a spec in, the body of a create request out; `docs/security.md` has the reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from docker.types import DeviceRequest

from harness.values.container import BindMount, ContainerSpec

MANAGED_LABEL: Final = "llama-bench-harness.managed"
"""Every container of ours carries it, with the value `1`."""

USER: Final = "65532:65532"
TMP_BYTES: Final = 256 * 1024 * 1024
SHM_BYTES: Final = 64 * 1024 * 1024
LOG_BYTES: Final = 20 * 1024 * 1024

_CACHES: Final = {"HOME": "/tmp", "XDG_CACHE_HOME": "/tmp"}  # noqa: S108 - the container's own tmpfs

_ULIMITS: Final = (
    {"Name": "core", "Soft": 0, "Hard": 0},
    # Podman's Docker API fails without these two; 4096 is ample for a process with at most 512 threads.
    {"Name": "nofile", "Soft": 4096, "Hard": 4096},
    {"Name": "nproc", "Soft": 4096, "Hard": 4096},
)


def container_config(
    spec: ContainerSpec, *, image_volumes: Iterable[str] = (), selinux: bool = False
) -> dict[str, object]:
    """The body of the create request.

    Args:
        spec: what to start.
        image_volumes: paths that the image declares as volumes: each becomes a small tmpfs, else the engine would
            give it a folder on the host's disk without a limit.
        selinux: the engine labels containers; the label is switched off, else a model in a home folder cannot be read.

    Raises:
        ValueError: the spec asks for something that the engine would silently understand otherwise.
    """
    if not spec.argv:
        msg = "there is no program to start"
        raise ValueError(msg)
    return {
        "Image": spec.image,
        # All of argv is the entrypoint, so that neither entrypoint nor command of the image is used.
        "Entrypoint": list(spec.argv),
        "Cmd": [],
        "Env": [f"{key}={value}" for key, value in _environment(spec).items()],
        "User": spec.user or USER,
        # A fixed name: the default is random, and it lies in the environment, whose size moves the stack.
        "Hostname": "llama-bench",
        "Labels": {**spec.labels, MANAGED_LABEL: "1"},
        "Healthcheck": {"Test": ["NONE"]},
        "Tty": False,
        "OpenStdin": False,
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": _host_config(spec, image_volumes, selinux=selinux),
    }


def _environment(spec: ContainerSpec) -> dict[str, str]:
    return {**_CACHES, **spec.passthrough.environment, **spec.environment}


def _host_config(spec: ContainerSpec, image_volumes: Iterable[str], *, selinux: bool) -> dict[str, object]:
    config: dict[str, object] = {
        "NetworkMode": "none",
        "IpcMode": "private",
        "Privileged": False,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges", *(["label=disable"] if selinux else [])],
        "ReadonlyRootfs": True,
        "Tmpfs": _tmpfs(spec),
        "Mounts": [_bind(mount) for mount in spec.mounts] + _volumes(spec, image_volumes),
        "ShmSize": SHM_BYTES,
        "PidsLimit": spec.pids,
        "Ulimits": [dict(limit) for limit in _ULIMITS],
        "OomScoreAdj": 500,
        # As process 1 a program would ignore SIGTERM and SIGABRT, and its exit codes would lie.
        "Init": True,
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": f"{LOG_BYTES // 2}", "max-file": "2"}},
        "GroupAdd": [str(group) for group in dict.fromkeys(spec.passthrough.groups)],
        "Devices": [_device(node) for node in spec.passthrough.device_nodes],
        "DeviceRequests": [_device_request(request) for request in spec.passthrough.device_requests],
    }
    if spec.memory_bytes is not None:
        # Both equal: no swap.
        config |= {"Memory": spec.memory_bytes, "MemorySwap": spec.memory_bytes}
    return config


def _tmpfs(spec: ContainerSpec) -> dict[str, str]:
    sizes = {"/tmp": TMP_BYTES, **spec.tmpfs}  # noqa: S108 - the container's own
    return {path: f"rw,noexec,nosuid,nodev,size={size},mode=1777" for path, size in sizes.items()}


def _bind(mount: BindMount) -> dict[str, object]:
    if not mount.source.is_absolute():
        msg = f"the mount of {mount.source} needs an absolute path"
        raise ValueError(msg)
    return {
        "Type": "bind",
        "Source": str(mount.source),
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }


def _volumes(spec: ContainerSpec, image_volumes: Iterable[str]) -> list[dict[str, object]]:
    taken = {"/tmp", *spec.tmpfs, *(mount.target for mount in spec.mounts)}  # noqa: S108 - the container's own
    return [
        {"Type": "tmpfs", "Target": path, "TmpfsOptions": {"SizeBytes": SHM_BYTES, "Mode": 0o1777}}
        for path in sorted(set(image_volumes))
        if path not in taken
    ]


def _device(node: str) -> dict[str, str]:
    # Read and write; not "m", which would allow making further nodes.
    return {"PathOnHost": node, "PathInContainer": node, "CgroupPermissions": "rw"}


def _device_request(fields: Mapping[str, object]) -> dict[str, object]:
    values: dict[str, Any] = {key: _plain(value) for key, value in fields.items()}
    request = dict(DeviceRequest(**values))
    if not request["Count"] and not request["DeviceIDs"]:
        # Engines answer such a request with no device at all, and say nothing.
        msg = f"a device request without a device: {dict(fields)}"
        raise ValueError(msg)
    if request["Count"] and request["DeviceIDs"]:
        msg = f"a device request names both a number and ids: {dict(fields)}"
        raise ValueError(msg)
    return request


def _plain(value: object) -> object:
    """Lists for tuples and dictionaries for other mappings, as the SDK wants them."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value
