from __future__ import annotations

import pytest

from harness.values.engine_support import cdi_is_off, drops, engine_version
from harness.values.facts import EngineFacts

CDI = {"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0"]}
CLASSIC = {"driver": "nvidia", "device_ids": ["GPU-1"]}
FOLDERS = ("/etc/cdi", "/var/run/cdi")


def facts(name: str = "Docker Engine", version: str = "28.5.2", folders: tuple[str, ...] | None = None) -> EngineFacts:
    return EngineFacts(name=name, version=version, api_version="1.41", host="unix:///x", cdi_folders=folders)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("20.10.24+dfsg1", (20, 10)),
        ("28.5.2+dfsg4", (28, 5)),
        ("v28.5.2", (28, 5)),
        ("5.4.0-rc1", (5, 4)),
        ("dev", None),
        ("", None),
    ],
)
def test_versions(text: str, version: tuple[int, int] | None) -> None:
    assert engine_version(facts(version=text)) == version


@pytest.mark.parametrize(
    ("name", "version", "cdi", "classic"),
    [
        ("Docker Engine", "18.09.9", True, True),
        ("Docker Engine", "19.03.0", False, False),
        ("Docker Engine", "5.4.0", True, True),
        ("Docker Engine", "dev", False, False),
        ("Podman", "4.3.1", True, True),
        ("Podman", "5.3.9", True, True),
        ("Podman", "5.4.2", False, True),
        ("Podman", "5.8.6", False, True),
        ("Podman", "", True, True),
    ],
)
def test_what_is_dropped(name: str, version: str, *, cdi: bool, classic: bool) -> None:
    engine = facts(name, version)
    assert (drops(engine, CDI), drops(engine, CLASSIC)) == (cdi, classic)


@pytest.mark.parametrize(
    ("name", "version", "folders", "off"),
    [
        ("Docker Engine", "20.10.24", None, True),
        ("Docker Engine", "25.0.3", (), True),
        ("Docker Engine", "26.1.5", (), True),
        ("Docker Engine", "26.1.5", FOLDERS, False),
        ("Docker Engine", "28.5.2", FOLDERS, False),
        ("Docker Engine", "28.5.2", (), True),
        ("Docker Engine", "dev", None, False),
        ("Podman", "4.3.1", None, True),
        ("Podman", "5.8.6", None, False),
    ],
)
def test_where_cdi_is_off(name: str, version: str, folders: tuple[str, ...] | None, *, off: bool) -> None:
    assert cdi_is_off(facts(name, version, folders)) is off


@pytest.mark.parametrize("request_", [{"Driver": "cdi", "Count": 1}, {"driver": "cdi", "device_ids": []}])
def test_podman_drops_a_request_by_cdi_that_names_no_device(request_: dict[str, object]) -> None:
    assert drops(facts("Podman", "5.8.6"), request_)
    assert not drops(facts("Docker Engine", "28.5.2"), request_)
