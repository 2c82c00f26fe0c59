import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InputError
from harness.store.manifest import (
    MANIFEST,
    Manifest,
    PublishedReport,
    SiteFile,
    is_safe_path,
    read_manifest,
    render_manifest,
)
from harness.values.declaration import Kind

GOOD = Manifest(
    title="Ours",
    harness="0.1.0",
    reports=(PublishedReport(name="demo", declared={Kind.NO_CONTROL: "an hour's loan"}, struck=2),),
    files=(SiteFile(path="index.html", bytes=3, sha256="a" * 64),),
)


def test_it_is_read_as_it_was_written() -> None:
    assert read_manifest(render_manifest(GOOD), where="m") == GOOD


@pytest.mark.parametrize(
    "path",
    [
        "../x", "/etc/passwd", "a/../b", "a//b", "a\\b", "C:/x", ".hidden", "a/.git/config", "", "a/", "a\nb", "ä",
        "manifest.json", "manifest.json.sig", "x" * 200, "/".join("a" * 20), "a b", "con:", "a/~", "%2e%2e/x",
    ],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    data = json.loads(render_manifest(GOOD))
    data["files"][0]["path"] = path
    with pytest.raises(InputError, match="no path of a file"):
        read_manifest(json.dumps(data).encode(), where="m")


@given(st.text())
def test_a_safe_path_stays_below_its_folder(text: str) -> None:
    if is_safe_path(text):
        assert not text.startswith(("/", "."))
        assert ".." not in text.split("/")
        assert "\\" not in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "other"}, "no manifest of a site"),
        ({"version": 2}, "update the harness"),
        ({"more": 1}, "other fields"),
        ({"title": "a\nb"}, "no text"),
        ({"files": [{"path": "a", "bytes": -1, "sha256": "a" * 64}]}, "not given as they have to be"),
        ({"files": [{"path": "a", "bytes": True, "sha256": "a" * 64}]}, "not given as they have to be"),
        ({"files": [{"path": "a", "bytes": 1, "sha256": "x"}]}, "not given as they have to be"),
        ({"files": [{"path": "a", "bytes": 3 * 1024**3, "sha256": "a" * 64}]}, "more than is read"),
        ({"files": [{"path": p, "bytes": 1, "sha256": "a" * 64} for p in ("a", "A")]}, "twice"),
        ({"files": [{"path": p, "bytes": 1, "sha256": "a" * 64} for p in ("a", "A/b")]}, "and a folder"),
        ({"files": [{"path": f"{MANIFEST}/a", "bytes": 1, "sha256": "a" * 64}]}, "and a folder"),
        ({"reports": [{"name": "../x", "declared": {}, "struck": 0}]}, "no name of a report"),
        ({"reports": [{"name": "x", "declared": {"whatever": "y"}, "struck": 0}]}, "whatever"),
        ({"files": [1]}, "no manifest"),
        ({"files": 5}, "no manifest"),
    ],
)
def test_what_is_no_manifest_is_refused(change: dict[str, Any], said: str) -> None:
    data = json.loads(render_manifest(GOOD)) | change
    with pytest.raises(InputError, match=said):
        read_manifest(json.dumps(data).encode(), where="m")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        read_manifest(data, where="m")
