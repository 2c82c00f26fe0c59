"""What is asked of every engine about devices, and what it answers, in a form that can be kept and compared."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from docker import APIClient

from harness.engine.attach import AttachedSocket
from harness.engine.trouble import TROUBLE, words

LOOK = "env | grep ^FAKE_GPU; ls /dev | grep fake; true"
SPECIFICATION = {
    "cdiVersion": "0.6.0",
    "kind": "nvidia.com/gpu",
    "devices": [
        {
            "name": "0",
            "containerEdits": {
                "env": ["FAKE_GPU=0"],
                "deviceNodes": [{"path": "/dev/fake-gpu-0", "hostPath": "/dev/null"}],
            },
        },
        {
            "name": "stale-node",
            "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia9", "hostPath": "/dev/nvidia9"}]},
        },
        {
            "name": "stale-library",
            "containerEdits": {
                "mounts": [
                    {
                        "hostPath": "/usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14",
                        "containerPath": "/usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14",
                        "options": ["ro", "nosuid", "nodev", "bind"],
                    }
                ]
            },
        },
        {
            "name": "no-hook",
            "containerEdits": {
                "hooks": [
                    {
                        "hookName": "createContainer",
                        "path": "/usr/bin/nvidia-cdi-hook",
                        "args": ["nvidia-cdi-hook", "update-ldcache"],
                    }
                ]
            },
        },
    ],
}
"""A device that works, and what is left of a specification after an update of driver and toolkit."""

HOOK = """#!/bin/sh
# Stands in for NVIDIA's hook: says what it is told to say, and fails.
cat /run/engine/says >&2
exit 1
"""


def _request(**fields: object) -> Callable[[dict[str, Any]], None]:
    empty = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": None, "Options": None}

    def change(host: dict[str, Any]) -> None:
        host["DeviceRequests"] = [empty | fields]

    return change


def _cdi(*names: str) -> Callable[[dict[str, Any]], None]:
    return _request(Driver="cdi", DeviceIDs=list(names), Capabilities=[])


def _host(**fields: object) -> Callable[[dict[str, Any]], None]:
    return lambda host: host.update(copy.deepcopy(fields))


def _node(path: str) -> Callable[[dict[str, Any]], None]:
    return _host(Devices=[{"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rw"}])


GPU = [["gpu", "compute", "utility"]]
ASKED: dict[str, Callable[[dict[str, Any]], None]] = {
    "nothing": _host(),
    "nvidia-by-uuid": _request(Driver="nvidia", DeviceIDs=["GPU-5e7b0c2d"], Capabilities=GPU),
    "any-gpu": _request(Count=-1, Capabilities=[["gpu"]]),
    "amd-driver": _request(Driver="amd", Count=-1, Capabilities=[["gpu"]]),
    "number-and-ids": _request(Driver="nvidia", Count=1, DeviceIDs=["0"], Capabilities=GPU),
    "cdi-known": _cdi("nvidia.com/gpu=0"),
    "cdi-unknown": _cdi("nvidia.com/gpu=7"),
    "cdi-other-kind": _cdi("amd.com/gpu=0"),
    "cdi-no-name": _cdi("gpu0"),
    "cdi-count": _request(Driver="cdi", Count=1, Capabilities=[]),
    "cdi-stale-node": _cdi("nvidia.com/gpu=stale-node"),
    "cdi-stale-library": _cdi("nvidia.com/gpu=stale-library"),
    "cdi-no-hook": _cdi("nvidia.com/gpu=no-hook"),
    "node-missing": _node("/dev/kfd"),
    "node-with-name-of-cdi": _node("nvidia.com/gpu=0"),
    "group-by-name": _host(GroupAdd=["render"]),
    "group-by-number": _host(GroupAdd=["993"]),
    "runtime-nvidia": _host(Runtime="nvidia"),
    "no-init-needed": _host(Init=False),
}
"""Changes of a hardened container's configuration, by name."""

PROGRAMS = {"program-missing": "/app/llama-bench", "program-not-executable": "/etc/group"}

HOOK_SAYS = {
    "hook-driver-too-old": (
        "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.9, please update your driver to a "
        "newer version, or use an earlier cuda container"
    ),
    "hook-no-library": (
        "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared "
        "object file: no such file or directory"
    ),
    "hook-not-loaded": "nvidia-container-cli: initialization error: nvml error: driver not loaded",
    "hook-timeout": "nvidia-container-cli: initialization error: driver rpc error: timed out",
    "hook-unknown-device": "nvidia-container-cli: device error: GPU-5e7b0c2d: unknown device",
    "hook-cgroups": (
        "nvidia-container-cli: mount error: failed to add device rules: unable to find any existing device filters "
        "attached to the cgroup: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted"
    ),
}
"""Texts of NVIDIA's container CLI from its sources and issues; no real one was run. The engine around them is real."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An engine's answer to one request.

    Attributes:
        phase: `create` or `start` where it was refused, else empty.
        status: HTTP status of the refusal.
        text: its words on one line, without ids of this run.
        shown: whether the container that was created shows the device request.
        exit_code, output: of the container where it ran.
    """

    phase: str = ""
    status: int | None = None
    text: str = ""
    shown: bool | None = None
    exit_code: int | None = None
    output: tuple[str, ...] = field(default=())


def ask(client: APIClient, config: Mapping[str, Any]) -> Answer:
    """Create and start a container as the harness does, and remove it."""
    try:
        made = client.create_container_from_config(dict(config), None)["Id"]
    except TROUBLE as problem:
        return Answer(phase="create", status=getattr(problem, "status_code", None), text=plain(words(problem)))
    shown = None
    try:
        host = client.inspect_container(made)["HostConfig"]
        shown = bool(host.get("DeviceRequests")) if config["HostConfig"]["DeviceRequests"] else None
        AttachedSocket(client, made).close()
        client.start(made)
        code = client.wait(made, timeout=30)["StatusCode"]
        output = tuple(plain(line) for line in client.logs(made).decode().splitlines())
        return Answer(shown=shown, exit_code=code, output=output)
    except TROUBLE as problem:
        text = plain(words(problem))
        return Answer(phase="start", status=getattr(problem, "status_code", None), text=text, shown=shown)
    finally:
        client.remove_container(made, force=True)


def plain(text: str) -> str:
    """The words without what differs from one time to the next."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "<id>", text)
    text = re.sub(r"/var/lib/engine/overlay\S*?/(merged|rootfs)", r"<root>", text)
    text = re.sub(r"/proc/(?:self|\d+)/fd/\d+|fd/\d+", "<fd>", text)
    text = re.sub(r"/proc/\d+/", "/proc/<pid>/", text)
    text = re.sub(r"\[FATAL tini \(\d+\)\]", "[FATAL tini (<pid>)]", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>", text)
    return re.sub(r"lbh-engine-\w+", "<engine>", text)


def specification() -> str:
    """The specification as a file."""
    return json.dumps(SPECIFICATION)
