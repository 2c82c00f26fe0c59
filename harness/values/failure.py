"""What can go wrong with a cell, as a closed set of phases and reasons. A failure is an outcome, never an exception."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """When it went wrong."""

    PREPARE = "prepare"
    """Before any container: image, model, device."""
    START = "start"
    """The engine could not create or start the container."""
    LOAD = "load"
    """llama.cpp started but did not load the model or make its context."""
    RUN = "run"
    """While the tests ran."""
    READ = "read"
    """The output is not what llama-bench prints."""
    PROOF = "proof"
    """A number came out, but it is not the number that was asked for."""


class Reason(StrEnum):
    """Why there is no number. The text of each is shown in reports."""

    OOM_DEVICE = "oom_device"
    """The device had no memory left."""
    OOM_HOST = "oom_host"
    """The kernel killed it at the container's memory limit, or the machine had none left."""
    LOAD = "load"
    """The model could not be loaded."""
    CONTEXT = "context"
    """The context could not be made with these parameters."""
    UNSUPPORTED = "unsupported"
    """The build does not know a parameter or a value of it, or the model's architecture."""
    TIMEOUT = "timeout"
    """Its own deadline passed; it ended when told to."""
    HANG = "hang"
    """Its own deadline passed and it did not end when told to."""
    ABORT = "abort"
    """It ended itself: SIGABRT, a C++ exception, GGML_ABORT."""
    CRASH = "crash"
    """A signal ended it: SIGSEGV, SIGBUS, SIGILL, SIGKILL from elsewhere."""
    EXIT = "exit"
    """It ended with an exit code and no known cause."""
    MALFORMED = "malformed"
    """The output cannot be read or does not satisfy the schema."""
    MISSING_ROWS = "missing_rows"
    """Rows or samples that were asked for are not in the output."""
    INCONSISTENT = "inconsistent"
    """Printed rates and printed samples contradict each other, or samples are impossible."""
    WRONG_PARAMETERS = "wrong_parameters"
    """The row reports other parameters than the cell's."""
    WRONG_DEVICE = "wrong_device"
    """Another device than the cell's did the work."""
    CPU_FALLBACK = "cpu_fallback"
    """A GPU backend was asked for and the CPU did the work."""
    NO_DEVICE = "no_device"
    """The backend sees no such device in the container."""
    DEVICE_LOST = "device_lost"
    """The device went away during the run."""
    PERMISSION = "permission"
    """The container may not open the device."""
    DRIVER_TOO_OLD = "driver_too_old"
    """The driver is older than the image's runtime needs."""
    DEVICE_REQUEST = "device_request"
    """The engine refused or does not understand the request for the device, for another reason than those below."""
    NO_RUNTIME = "no_runtime"
    """The engine has no runtime or hook for this vendor's devices."""
    CDI_OFF = "cdi_off"
    """The engine does not know CDI, or has it switched off."""
    CDI_DEVICE = "cdi_device"
    """No CDI specification names the device, or what one names is not there any more."""
    DEVICE_NODE = "device_node"
    """The device's node does not exist where the engine looks for it."""
    GROUP = "group"
    """The container cannot be given the group that may open the device."""
    REQUEST_DROPPED = "request_dropped"
    """The engine accepted the request for the device and did not act on it."""
    IMAGE = "image"
    """The image cannot be had, or has no llama-bench."""
    MODEL = "model"
    """The model cannot be had."""
    ENGINE = "engine"
    """The engine refused the container or went away during the run."""
    DEBUG_BUILD = "debug_build"
    """A debug or sanitizer build: its numbers mean nothing."""
    NOT_QUIET = "not_quiet"
    """Other programs used the machine for longer than the user wanted to wait (`--strict`)."""
    INTERRUPTED = "interrupted"
    """The user stopped it."""
    POWER_LIMIT = "power_limit"
    """The power limit that the cell asks for could not be set, or may not be."""
    SKIPPED_DOMINATED = "skipped_dominated"
    """A smaller cell already ran out of memory."""


RETRIED_ON_RESUME = frozenset(
    {
        Reason.INTERRUPTED,
        Reason.NOT_QUIET,
        Reason.ENGINE,
        Reason.IMAGE,
        Reason.MODEL,
        Reason.NO_DEVICE,
        Reason.DEVICE_LOST,
        Reason.DEVICE_REQUEST,
        Reason.NO_RUNTIME,
        Reason.CDI_OFF,
        Reason.CDI_DEVICE,
        Reason.DEVICE_NODE,
        Reason.GROUP,
        Reason.REQUEST_DROPPED,
        Reason.PERMISSION,
        Reason.DRIVER_TOO_OLD,
        Reason.POWER_LIMIT,
    }
)
"""Reasons that lie outside the cell and can be gone at the next start. All others are results and stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a cell has no number.

    Attributes:
        phase: when it went wrong.
        reason: why, from the closed set.
        detail: one line of evidence: the decisive line of the log, the engine's words, the field that differs.
        remedy: what the user can do; empty where nothing is known.
    """

    phase: Phase
    reason: Reason
    detail: str
    remedy: str = ""
