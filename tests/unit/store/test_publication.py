"""Canaries: what must not be published stands in every place that a record has, and in no file of the copy."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.audit import audit
from harness.errors import InputError
from harness.store.imports import ImportedRow, read_import, write_imports
from harness.store.publication import copy_for_publication
from harness.store.redaction import MARK, Redaction
from harness.values.foreign import ForeignRow
from tests.rig.repository import change, repository

REPORTS = Path(__file__).parents[3] / "reports"

CANARIES = {
    "token": "hf_" + "cAnAry7" * 5,
    "uuid of a card": "GPU-12345678-9abc-def0-1234-56789abcdef0",
    "uuid of a slice": "MIG-12345678-9abc-def0-1234-56789abcdef0",
    "mac": "aa:bb:cc:dd:ee:0f",
    "mail": "canary.bird@mail.example.org",
    "home": "/home/canarybird",
    "home of a Mac": "/Users/canarybird",
    "variable": "s3cr3t-canary-value",
    "word": "Canary-Laptop",
}
REDACTION = Redaction.of({"MY_TOKEN": CANARIES["variable"], "HOME": "/root"}).for_publication(["Canary-Laptop"])


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    repository(tmp_path)
    return tmp_path / "reports/demo"


def texts(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.rglob("*")) if path.is_file())


def test_without_anything_to_strike_out_the_copy_is_the_same_bytes(demo: Path, tmp_path: Path) -> None:
    assert copy_for_publication(demo, tmp_path / "copy", REDACTION) == 0
    for path in sorted((tmp_path / "copy").rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (demo / path.relative_to(tmp_path / "copy")).read_bytes()
    assert audit(tmp_path / "copy").findings == ()


@pytest.mark.parametrize("name", CANARIES)
def test_a_canary_anywhere_is_struck_out_and_the_copy_still_fits(name: str, demo: Path, tmp_path: Path) -> None:
    canary = CANARIES[name]

    def put(value: dict[str, Any]) -> None:
        value["diagnosis"] = f"cannot open {canary}/x ({canary})"
        value["environment"] = {**value["environment"], "GGML_X": canary}
        value["container"] = {**value["container"], "mounts": [f"{canary}"]}

    change(demo, session=lambda data: data.update(notes=f"see {canary}", command=["matrix", canary]), record=put)
    journal = next((demo / "journal").glob("*.jsonl"))
    with journal.open("a") as file:
        file.write(json.dumps({"event": "note", "at_utc": "2027-01-01T00:00:00Z", "text": canary}) + "\n")
    assert canary in texts(demo)
    struck = copy_for_publication(demo, tmp_path / "copy", REDACTION)
    records = next((demo / "records").glob("*.jsonl")).read_bytes().count(b"\n")
    assert struck == records + 2
    assert canary not in texts(tmp_path / "copy")
    assert audit(tmp_path / "copy").findings == ()


def test_a_canary_in_a_session_alone_gives_every_record_of_it_a_new_id(demo: Path, tmp_path: Path) -> None:
    change(demo, session=lambda data: data.update(notes=CANARIES["mail"]))
    assert copy_for_publication(demo, tmp_path / "copy", REDACTION) == 1
    old, new = (next((f / "records").glob("*.jsonl")).read_text().splitlines() for f in (demo, tmp_path / "copy"))
    pairs = list(zip(old, new, strict=True))
    assert all(json.loads(a)["id"] != json.loads(b)["id"] for a, b in pairs)
    assert all(json.loads(a)["outcomes"] == json.loads(b)["outcomes"] for a, b in pairs)
    assert audit(tmp_path / "copy").findings == ()


@pytest.mark.parametrize("name", [name for name in CANARIES if name != "word"])
def test_a_canary_in_a_file_that_has_to_stay_is_refused_with_its_line_and_not_told(
    name: str, demo: Path, tmp_path: Path
) -> None:
    with (demo / "matrix.yaml").open("a") as file:
        file.write(f"# {CANARIES[name]}\n")
    lines = (demo / "matrix.yaml").read_text().count("\n")
    with pytest.raises(InputError) as caught:
        copy_for_publication(demo, tmp_path / "copy", REDACTION)
    assert caught.value.where.endswith(f"matrix.yaml, line {lines}")
    assert CANARIES[name] not in str(caught.value)


def test_only_what_belongs_to_a_report_is_copied_and_no_link_is_followed(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("canary")
    (demo / "records/other.jsonl").symlink_to(tmp_path / "secret")
    (demo / "notes.txt").write_text("canary")
    (demo / "archive").mkdir()
    (demo / "archive/old.jsonl").write_text("canary")
    copy_for_publication(demo, tmp_path / "copy", REDACTION)
    assert "canary" not in texts(tmp_path / "copy")


def test_what_is_no_person_stays() -> None:
    for text in (
        "vulkan@software/synthetic-17m-q4_0/pp16",
        "gemma3/tg128@d4096",
        "ghcr.io/ggml-org/llama.cpp:server@sha256:" + "a" * 64,
        "0000:01:00.0",
        "/dev/dri/renderD128 /app/llama-bench /models/home/x.gguf",
        "2026-11-24T10:11:12Z",
    ):
        assert REDACTION.text(text) == text
    assert REDACTION.text("at Canary-Laptop, not Canary-Laptops") == f"at {MARK}, not Canary-Laptops"


def test_imported_rows_are_redacted_and_stay_readable(demo: Path, tmp_path: Path) -> None:
    raw = {"model_filename": "/home/canarybird/models/x.gguf", "avg_ts": "1.5"}
    foreign = ForeignRow(program="llama-bench", form="json", line=1, model="m", metric="tg", tokens_per_s=1.5, raw=raw)
    row = ImportedRow(source="https://example.org/1", text_sha256="0" * 64, row=foreign)
    path = write_imports(demo, [row])
    assert copy_for_publication(demo, tmp_path / "copy", REDACTION) == 1
    assert "canarybird" not in texts(tmp_path / "copy")
    (found,) = read_import(tmp_path / "copy" / path.relative_to(demo))
    assert found.row.raw == {**raw, "model_filename": "~/models/x.gguf"}
    assert (found.source, found.row.tokens_per_s) == (row.source, 1.5)


@pytest.mark.parametrize("name", sorted(path.name for path in REPORTS.iterdir() if (path / "report.md").exists()))
def test_the_reports_of_this_repository_can_be_published(name: str, tmp_path: Path) -> None:
    assert copy_for_publication(REPORTS / name, tmp_path / "copy", Redaction().for_publication()) == 0
