from typing import Any

import pytest

from harness.store.migrations import MIGRATIONS, SCHEMA, VERSION, VersionError, migrate


def of(version: Any, **more: Any) -> dict[str, Any]:
    return {"schema": SCHEMA, "version": version, **more}


def made_up_0_to_1(data: dict[str, Any]) -> dict[str, Any]:
    """Version 0, which never was, had seconds."""
    return {**{k: v for k, v in data.items() if k != "seconds"}, "duration_ns": round(data["seconds"] * 1e9)}


def made_up_1_to_2(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "new": True}


def test_the_current_version_stays_as_it_is() -> None:
    assert migrate(of(VERSION, x=1)) == of(VERSION, x=1)


def test_an_older_version_goes_through_the_whole_chain() -> None:
    steps = {0: made_up_0_to_1, 1: made_up_1_to_2}
    expected = of(2, duration_ns=1_500_000_000, new=True)
    assert migrate(of(0, seconds=1.5), version=2, migrations=steps) == expected
    assert migrate(of(1, duration_ns=5), version=2, migrations=steps) == of(2, duration_ns=5, new=True)


def test_a_newer_version_is_refused_by_name() -> None:
    with pytest.raises(VersionError, match=f"version {VERSION + 1} is newer than this program's {VERSION}"):
        migrate(of(VERSION + 1))


def test_a_version_without_a_way_here_is_refused() -> None:
    with pytest.raises(VersionError, match="version 0 can no longer be read"):
        migrate(of(0))


@pytest.mark.parametrize("data", [None, [], "text", {}, {"schema": "another/record", "version": 1}])
def test_what_is_no_record_is_refused(data: Any) -> None:
    with pytest.raises(VersionError, match="no record"):
        migrate(data)


@pytest.mark.parametrize("version", [None, "1", 1.0, True])
def test_a_version_is_a_whole_number(version: Any) -> None:
    with pytest.raises(VersionError, match="not a number"):
        migrate(of(version))


def test_every_version_since_the_first_has_a_way_here() -> None:
    assert set(MIGRATIONS) == set(range(1, VERSION))
