"""Which container engine honours which request for a device, by engine and version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from harness.values.facts import EngineFacts

DOCKER_DEVICE_REQUESTS: Final = (19, 3)
"""First Docker Engine whose API knows device requests."""

DOCKER_CDI: Final = (25, 0)
"""First Docker Engine that knows CDI, where it is switched on."""

DOCKER_CDI_ON: Final = (28, 2)
"""First Docker Engine where CDI is on unless it is switched off, and that lists its devices."""

PODMAN_DEVICE_REQUESTS: Final = (5, 4)
"""First Podman whose Docker-compatible API honours device requests, those for the driver `cdi` only."""


def is_podman(engine: EngineFacts) -> bool:
    """Whether the engine is Podman, whose versions mean something else than Docker's."""
    return engine.name.casefold().startswith("podman")


def engine_version(engine: EngineFacts) -> tuple[int, int] | None:
    """Major and minor version; None where the engine does not state it as numbers (`dev`)."""
    found = re.match(r"v?(\d+)\.(\d+)", engine.version)
    return (int(found[1]), int(found[2])) if found else None


def drops(engine: EngineFacts, request: Mapping[str, object]) -> bool:
    """Whether the engine starts a container without the device that is asked for, and without an error.

    Podman does, before 5.4 for every request, later for all but those that name CDI devices (measured on 4.3.1, 5.4.2
    and 5.8.6).
    Docker Engine keeps what it knows and refuses aloud what it cannot do; before 19.03 it knows no requests.

    Args:
        engine: the engine that is to start the container.
        request: fields of a device request by name, as the API or as the SDK writes them.
    """
    version = engine_version(engine)
    if not is_podman(engine):
        return version is not None and version < DOCKER_DEVICE_REQUESTS
    fields = {key.casefold().replace("_", ""): value for key, value in request.items()}
    by_cdi = fields.get("driver") == "cdi" and bool(fields.get("deviceids"))
    return version is None or version < PODMAN_DEVICE_REQUESTS or not by_cdi


def cdi_is_off(engine: EngineFacts) -> bool:
    """Whether it is known that the engine resolves no CDI device.

    Podman has no switch. Docker Engine tells its folders from API 1.44 on, and none where CDI is off.
    """
    version = engine_version(engine)
    if is_podman(engine):
        return version is not None and version < PODMAN_DEVICE_REQUESTS
    if version is not None and version < DOCKER_CDI:
        return True
    return engine.cdi_folders == ()
