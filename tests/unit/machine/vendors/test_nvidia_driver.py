"""Drivers against the CUDA of images, by the toolkit's release notes."""

import pytest

from harness.machine.vendors import driver_problem
from harness.machine.vendors.nvidia_driver import LEAST, SHIPPED, against_image
from harness.machine.vendors.refusals import DriverMatch
from harness.values.facts import Device
from harness.values.failure import Failure, Reason


@pytest.mark.parametrize(
    ("driver", "cuda", "least"),
    [("520.61.05", "12.8.1", "525.60"), ("470.256.02", "12.0.0", "525.60"), ("570.133.07", "13.0.1", "580.65")],
)
def test_a_driver_older_than_its_cuda_needs_is_a_failure(driver: str, cuda: str, least: str) -> None:
    told = against_image(driver, {"CUDA_VERSION": cuda})
    assert isinstance(told, Failure)
    assert told.reason is Reason.DRIVER_TOO_OLD
    assert driver in told.detail
    assert least in told.detail
    assert told.remedy


@pytest.mark.parametrize(
    ("driver", "cuda", "doubtful"),
    [
        ("570.26", "12.8.1", False),
        ("570.25", "12.8.1", True),
        ("550.54.14", "12.8.1", True),
        ("550.54.14", "12.4.0", False),
        ("595.1", "13.4.1", False),
        ("580.65.06", "12.4", False),
    ],
)
def test_a_driver_that_may_do_is_told_with_its_doubt(driver: str, cuda: str, doubtful: bool) -> None:
    told = against_image(driver, {"CUDA_VERSION": cuda})
    assert isinstance(told, DriverMatch)
    assert bool(told.doubt) is doubtful


@pytest.mark.parametrize(
    ("driver", "environment"),
    [(None, {"CUDA_VERSION": "12.8"}), ("570.26", {}), ("dev", {"CUDA_VERSION": "12.8"}),
     ("570.26", {"CUDA_VERSION": "99.0"})],
)  # fmt: skip
def test_nothing_is_said_of_what_is_not_known(driver: str | None, environment: dict[str, str]) -> None:
    assert against_image(driver, environment) is None


def test_the_table_is_consistent() -> None:
    for (major, _), driver in SHIPPED.items():
        assert driver >= LEAST[major]
    assert list(SHIPPED.values()) == sorted(SHIPPED.values())


def test_other_vendors_drivers_take_every_image() -> None:
    card = Device(vendor="amd", kind="gpu", name="AMD Radeon RX 7900 XTX", driver="6.12")
    assert driver_problem(card, {"CUDA_VERSION": "12.8"}) is None
