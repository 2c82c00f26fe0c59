"""Which container engine honours which request for a device, by engine and version."""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.machine.vendors.refusals import refuse
from harness.values.facts import EngineFacts
from harness.values.failure import Failure, Reason

DOCKER_DEVICE_REQUESTS = (19, 3)
"""First Docker Engine whose API knows device requests."""

PODMAN_DEVICE_REQUESTS = (5, 4)
"""First Podman whose Docker-compatible API honours device requests, those for the driver `cdi` only."""


def is_podman(engine: EngineFacts) -> bool:
    """Whether the engine is Podman, whose versions mean something else than Docker's."""
    return engine.name.casefold().startswith("podman")


def engine_version(engine: EngineFacts) -> tuple[int, int] | None:
    """Major and minor version; None where the engine does not state it as numbers (`dev`)."""
    found = re.match(r"v?(\d+)\.(\d+)", engine.version)
    return (int(found[1]), int(found[2])) if found else None


def dropped_requests(engine: EngineFacts, *, remedy: str = "") -> Failure | None:
    """Refuse an engine that does not act on device requests.

    Podman before 5.4 accepts such a request, starts the container and gives it no device, all without an error: it has
    to be known before.

    Args:
        engine: the engine that is to start the container.
        remedy: another way for this vendor's devices, as the end of a sentence; empty where there is none.

    Returns:
        The failure to record, or None where requests are honoured or refused aloud.
    """
    version = engine_version(engine)
    if is_podman(engine):
        if version is not None and version >= PODMAN_DEVICE_REQUESTS:
            return None
        return refuse(
            Reason.DEVICE_REQUEST,
            f"Podman {engine.version} drops device requests without an error, so the container would have no GPU",
            "use Podman 5.4 or newer with a CDI specification, or Docker Engine" + (f", or {remedy}" if remedy else ""),
        )
    if version is not None and version < DOCKER_DEVICE_REQUESTS:
        return refuse(
            Reason.DEVICE_REQUEST,
            f"Docker Engine {engine.version} knows no device requests",
            "use Docker Engine 20.10 or newer" + (f", or {remedy}" if remedy else ""),
        )
    return None


def cdi_request(device: str) -> Mapping[str, object]:
    """The request for one CDI device by its full name, such as `vendor.com/gpu=0`."""
    return {"Driver": "cdi", "DeviceIDs": [device]}
