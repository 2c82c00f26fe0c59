"""A session and its records in a few words."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.store.sessions import Session
from harness.values.cell import Cell, Test
from harness.values.facts import EngineFacts, ImageFacts, MachineFacts, ModelFacts
from harness.values.failure import Failure
from harness.values.record import Check, Outcome, Record, Run

MakeCell = Callable[..., Cell]
MakeSession = Callable[..., Session]
MakeRecord = Callable[..., Record]


@pytest.fixture
def make_cell() -> MakeCell:
    def make(id_: str = "cpu/gemma/tg10", **changes: Any) -> Cell:
        fields: dict[str, Any] = {"backend": "cpu", "image": "cpu", "model": "gemma", "test": Test(n_gen=10)}
        fields["params"] = {"n_gpu_layers": 99, "flash_attn": 0, "type_k": "f16", "type_v": "f16", "n_batch": 2048}
        return Cell(id=id_, **{**fields, **changes})

    return make


@pytest.fixture
def make_session() -> MakeSession:
    def make(
        cells: Sequence[Cell],
        *,
        id_: str = "20261124T000000Z-000001",
        keys: Mapping[str, str] | None = None,
        rounds: int = 6,
        **changes: Any,
    ) -> Session:
        model = {"title": "Gemma", "source": "file", "path": Path("m.gguf"), "size_bytes": 1, "synthetic": False}
        fields: dict[str, Any] = {
            "started_utc": "2026-11-24T00:00:00.000Z",
            "harness_version": "0.1.0",
            "harness_source": "1f3a9b2c4d5e",
            "command": ("invoke", "matrix"),
            "matrix": "demo",
            "title": "Demo",
            "notes": "",
            "matrix_sha256": "a" * 64,
            "preset": "standard",
            "repetitions": 3,
            "screening": False,
            "seed": 1,
            "machine": MachineFacts(
                machine="box",
                os="Debian 13",
                kernel="6.12",
                cpu_model="CPU",
                cpu_cores=2,
                cpu_threads=2,
                memory_bytes=1,
                swap_bytes=0,
            ),
            "engine": EngineFacts(name="Docker Engine", version="27", api_version="1.46", host="unix:///x"),
            "images": (ImageFacts(name="cpu", ref="images/cpu.Dockerfile", id="sha256:" + "b" * 64),),
            "models": (
                ModelFacts(name="gemma", sha256="c" * 64, **model),  # type: ignore[arg-type] # fields by name
                ModelFacts(name="noise", sha256="d" * 64, **{**model, "synthetic": True}),  # type: ignore[arg-type] # likewise
            ),
        }
        plan = keys if keys is not None else {cell.id: "key" for cell in cells}
        return Session(id=id_, cells=tuple(cells), keys=plan, rounds=rounds, **{**fields, **changes})

    return make


@pytest.fixture
def make_record() -> MakeRecord:
    def make(
        *results: tuple[Cell, Sequence[int] | Failure],
        round_: int = 1,
        attempt: int = 1,
        key: str = "key",
        session: str = "20261124T000000Z-000001",
        checks: tuple[Check, ...] = (),
        **changes: Any,
    ) -> Record:
        outcomes = tuple(
            Outcome(cell=cell.id, failure=result)
            if isinstance(result, Failure)
            else Outcome(cell=cell.id, samples_ns=tuple(result), row={}, checks=checks)
            for cell, result in results
        )
        fields: dict[str, Any] = {
            "matrix": "demo",
            "matrix_sha256": "a" * 64,
            "machine": "box",
            "backend": "cpu",
            "device": "CPU",
            "image": "sha256:" + "b" * 64,
            "model_sha256": "c" * 64,
            "argv": ("/app/llama-bench", f"-r{round_}"),
            "started_utc": "2026-11-24T00:00:00.000Z",
            "ended_utc": "2026-11-24T00:00:01.000Z",
            "duration_ns": 1,
        }
        run = Run(key=key, round=round_, order=0, attempt=attempt, cells=tuple(cell for cell, _ in results))
        return Record(
            id=f"{key}-{round_}-{attempt}", session=session, run=run, outcomes=outcomes, **{**fields, **changes}
        )

    return make
