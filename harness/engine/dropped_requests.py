"""Requests for devices that an engine drops without a word are found out before the container is started."""

from __future__ import annotations

from docker import APIClient

from harness.values.container import ContainerSpec
from harness.values.engine_support import drops, is_podman
from harness.values.facts import EngineFacts


def require_kept(client: APIClient, container_id: str, spec: ContainerSpec, engine: EngineFacts | None) -> None:
    """Make sure that a container that was created will be given what the spec requests, or an error.

    Docker Engine shows the requests of a container. Podman never does: from 5.4 on it resolves those by CDI at the
    start and refuses unknown ones there, and drops all others (seen on 4.3.1, 5.4.2 and 5.8.6).

    Raises:
        ValueError: a request was dropped; the container would run without the device.
    """
    if client.inspect_container(container_id)["HostConfig"].get("DeviceRequests"):
        return
    lost = [request for request in spec.passthrough.device_requests if engine is None or drops(engine, request)]
    if engine is not None and is_podman(engine) and not lost:
        return
    name = f"{engine.name} {engine.version}" if engine else "the engine"
    drivers = {str(request.get("Driver") or request.get("driver") or "any") for request in lost}
    which = f" (driver {', '.join(sorted(drivers))})" if drivers else ""
    msg = f"{name} drops the request for a device{which}: the container would see no device"
    raise ValueError(msg)
