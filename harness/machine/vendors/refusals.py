"""Why a device is not passed to a container: the failures that all vendors have in common."""

from __future__ import annotations

from dataclasses import dataclass

from harness.values.backend import Backend
from harness.values.facts import Device
from harness.values.failure import Failure, Phase, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverMatch:
    """A driver beside what an image says of itself: what was found, and what may be wrong with it; empty if nothing."""

    found: str
    doubt: str = ""


def refuse(reason: Reason, detail: str, remedy: str) -> Failure:
    """A failure before any container was started."""
    return Failure(phase=Phase.PREPARE, reason=reason, detail=detail, remedy=remedy)


def unusable(device: Device, *, remedy: str, reason: Reason = Reason.NO_DEVICE) -> Failure:
    """The device was found, but what was found speaks against it."""
    return refuse(reason, f"{device.name}: {device.problem}", remedy)


def wrong_backend(device: Device, backend: Backend, *, served_by: str) -> Failure:
    """The backend does not compute on this vendor's devices.

    Args:
        device: the device that was asked for.
        backend: the backend that was asked for.
        served_by: the backends that do, for people.
    """
    return refuse(
        Reason.NO_DEVICE,
        f"the {backend.title} backend does not compute on {device.name}",
        f"use {served_by} for this device, or name another device",
    )
