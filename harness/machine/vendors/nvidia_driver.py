"""Is NVIDIA's driver new enough for the CUDA of an image?"""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.machine.vendors.refusals import DriverMatch, refuse
from harness.values.failure import Failure, Reason

VERSION_VARIABLE = "CUDA_VERSION"
"""What NVIDIA's own images, and those made from them, say of themselves."""

# By the toolkit's release notes: what every CUDA of a major version needs at least, and what a minor version came with.
LEAST = {11: (450, 80), 12: (525, 60), 13: (580, 65)}
SHIPPED = {
    (12, 0): (525, 60),
    (12, 1): (530, 30),
    (12, 2): (535, 54),
    (12, 3): (545, 23),
    (12, 4): (550, 54),
    (12, 5): (555, 42),
    (12, 6): (560, 28),
    (12, 8): (570, 26),
    (12, 9): (575, 51),
    (13, 0): (580, 65),
}


def against_image(driver: str | None, environment: Mapping[str, str]) -> DriverMatch | Failure | None:
    """Compare a driver with an image's CUDA.

    Args:
        driver: its version, such as `550.54.14`; None where unknown.
        environment: the variables that the image sets.

    Returns:
        What was found, None where either version is not known; or the failure to expect.
    """
    cuda = re.match(r"(\d+)\.(\d+)", environment.get(VERSION_VARIABLE, ""))
    found = re.match(r"(\d+)\.(\d+)", driver or "")
    if cuda is None or found is None:
        return None
    version, have = (int(cuda[1]), int(cuda[2])), (int(found[1]), int(found[2]))
    least = LEAST.get(version[0])
    if least is None:
        return None
    text = f"driver {driver}, CUDA {version[0]}.{version[1]} in the image"
    if have < least:
        return refuse(
            Reason.DRIVER_TOO_OLD,
            f"{text}, which needs {least[0]}.{least[1]} or newer",
            f"update the driver of the host, or use an image with CUDA {version[0] - 1} or older",
        )
    shipped = SHIPPED.get(version)
    if shipped and have < shipped:
        text = f"{text}, which came with {shipped[0]}.{shipped[1]}"
        return DriverMatch(
            found=text, doubt="It may run; NVIDIA's images refuse it. Update the driver, or use an older CUDA."
        )
    return DriverMatch(found=text)
