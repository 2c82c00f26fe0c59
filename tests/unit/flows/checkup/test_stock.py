"""Models, the memory that they need, and disk space."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.artifacts.models import KnownModel
from harness.flows.checkup import stock
from harness.flows.checkup.stock import check_disk, check_memory, check_models
from harness.flows.workspace import Workspace, find_workspace
from harness.values.finding import Finding, State
from harness.values.matrix import ModelSource

SEVENTY_B = KnownModel(
    name="70b", title="", kind="synthetic", state="absent", size_bytes=42_512_531_456, licence="", path=None
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return replace(find_workspace(), cache=tmp_path / "not/yet/there", reports=tmp_path)


def test_a_model_that_does_not_fit_the_card_is_told(pair: Any, wanted: Any) -> None:
    (finding,) = check_memory((SEVENTY_B,), (pair(),), wanted())
    assert finding.state is State.YELLOW
    assert "40 GiB of 24 GiB" in finding.found
    assert "--only" in finding.todo


def test_a_model_that_fits_is_green(pair: Any, wanted: Any) -> None:
    (finding,) = check_memory((replace(SEVENTY_B, size_bytes=20_219_150_336),), (pair(),), wanted())
    assert finding.state is State.GREEN


def test_without_a_matrix_memory_says_nothing(pair: Any, wanted: Any) -> None:
    assert list(check_memory((SEVENTY_B,), (pair(),), wanted(whole=True))) == []


def of_disk(monkeypatch: pytest.MonkeyPatch, free: int, rows: Any, wanted: Any, workspace: Workspace) -> Finding:
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(stock.shutil, "disk_usage", lambda _path: usage)
    return next(iter(check_disk(rows, wanted, workspace)))


@pytest.mark.parametrize(("free", "state"), [(60 << 30, State.GREEN), (43 << 30, State.YELLOW), (30 << 30, State.RED)])
def test_what_is_to_be_made_must_fit_the_disk(
    monkeypatch: pytest.MonkeyPatch, wanted: Any, workspace: Workspace, free: int, state: State
) -> None:
    finding = of_disk(monkeypatch, free, (SEVENTY_B,), wanted(), workspace)
    assert finding.state is state
    assert "40 GiB of models" in finding.found


def test_a_cache_in_a_folder_that_is_closed_to_this_user_is_no_traceback(wanted: Any, workspace: Workspace) -> None:
    closed = workspace.reports / "closed"
    closed.mkdir(mode=0)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        findings = list(
            check_disk((), wanted(), replace(workspace, cache=closed / "cache" / "ours", reports=Path("/")))
        )
    finally:
        if root:
            os.seteuid(0)
        closed.chmod(0o700)
    assert [finding.check for finding in findings] == ["disk", "disk"]


def model(**fields: Any) -> ModelSource:
    return ModelSource(name="m", **fields)


@pytest.mark.parametrize(
    ("source", "state"),
    [
        (model(kind="file", path="/nowhere/m.gguf"), State.RED),
        (model(kind="huggingface", repo="a/b", sha256="no hash"), State.RED),
        (model(kind="huggingface", repo="a/b", revision="a" * 40, filename="m.gguf", sha256="b" * 64), State.YELLOW),
    ],
)
def test_models(wanted: Any, workspace: Workspace, source: ModelSource, state: State) -> None:
    _, (finding,) = check_models(wanted(models={"m": source}), workspace)
    assert finding.state is state
    assert finding.todo


def test_of_the_registry_only_what_is_there_is_told(wanted: Any, workspace: Workspace) -> None:
    source = model(kind="huggingface", repo="a/b", revision="a" * 40, filename="m.gguf", sha256="b" * 64)
    rows, findings = check_models(wanted(whole=True, models={"m": source}), workspace)
    assert (len(rows), findings) == (1, ())
