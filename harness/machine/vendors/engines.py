"""Refusals of engines that would drop the request for a device, and what such a request looks like."""

from __future__ import annotations

from collections.abc import Mapping

from harness.machine.vendors.refusals import refuse
from harness.values.engine_support import drops, is_podman
from harness.values.facts import EngineFacts
from harness.values.failure import Failure, Reason


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
    if not drops(engine, cdi_request("any")):
        return None
    if is_podman(engine):
        return refuse(
            Reason.REQUEST_DROPPED,
            f"Podman {engine.version} drops device requests without an error, so the container would have no GPU",
            "use Podman 5.4 or newer with a CDI specification, or Docker Engine" + (f", or {remedy}" if remedy else ""),
        )
    return refuse(
        Reason.REQUEST_DROPPED,
        f"Docker Engine {engine.version} knows no device requests",
        "use Docker Engine 20.10 or newer" + (f", or {remedy}" if remedy else ""),
    )


def cdi_request(*devices: str) -> Mapping[str, object]:
    """The request for CDI devices by their full names, such as `vendor.com/gpu=0`."""
    return {"Driver": "cdi", "DeviceIDs": list(devices)}
