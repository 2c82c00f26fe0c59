"""Small records and sessions, as the flows make them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.store.records import RecordStore
from harness.store.sessions import Session
from harness.values.bench import LogFacts
from harness.values.cell import Cell, Test
from harness.values.facts import Device, EngineFacts, ImageFacts, MachineFacts, ModelFacts
from harness.values.record import Check, Outcome, Proof, Record, Run

CELL = Cell(
    id="cpu/gemma3-270m/pp32",
    backend="cpu",
    image="cpu",
    model="gemma3-270m",
    params={"n_gpu_layers": 99, "flash_attn": 0, "type_k": "f16", "no_kv_offload": False},
    test=Test(n_prompt=32),
)
OUTCOME = Outcome(
    cell=CELL.id,
    samples_ns=(716557, 802588),
    row={"n_prompt": 32, "samples_ns": [716557, 802588], "avg_ts": 42264.506881, "gpu_info": ""},
    checks=(Check(name="samples", proof=Proof.PROVEN, evidence="2 of 2"),),
)
RECORD = Record(
    matrix="demo",
    matrix_sha256="a" * 64,
    machine="amd-epyc-2c-1f3a9b",
    session="20261124T001309Z-0c1e57",
    run=Run(key="k" * 64, round=1, order=0, attempt=1, cells=(CELL,)),
    backend="cpu",
    device="AMD EPYC",
    image="sha256:" + "b" * 64,
    model_sha256="c" * 64,
    argv=("/app/llama-bench", "-m", "/models/model.gguf", "-o", "jsonl"),
    environment={"GGML_VK_VISIBLE_DEVICES": "0"},
    container={"network": "none", "memory_bytes": 1 << 30, "device_nodes": []},
    outcomes=(OUTCOME,),
    started_utc="2026-11-24T00:13:09.120Z",
    ended_utc="2026-11-24T00:13:11.480Z",
    duration_ns=2_360_000_000,
    exit_code=0,
    load_before=0.013,
    gate={"passed": True, "waited_s": 0.0},
    log=LogFacts(libraries={"CPU": "libggml-cpu-zen4.so"}, cpu_variant="zen4", model_buffers={"CPU_Mapped": 231424}),
)
SESSION = Session(
    id=RECORD.session,
    started_utc="2026-11-24T00:13:00.000Z",
    harness_version="0.1.0",
    harness_source="1f3a9b2c4d5e",
    command=("invoke", "matrix", "--file", "demo.yaml"),
    matrix="demo",
    title="Demo",
    notes="",
    matrix_sha256="a" * 64,
    preset="standard",
    rounds=6,
    repetitions=5,
    screening=False,
    seed=7,
    machine=MachineFacts(
        machine=RECORD.machine,
        os="Debian GNU/Linux 13",
        kernel="6.12.0",
        cpu_model="AMD EPYC",
        cpu_cores=2,
        cpu_threads=2,
        memory_bytes=8 << 30,
        swap_bytes=0,
        devices=(
            Device(vendor="cpu", kind="cpu", name="AMD EPYC"),
            Device(vendor="nvidia", kind="gpu", name="NVIDIA GeForce RTX 4090", uuid="GPU-1234", pci="0000:01:00.0"),
        ),
    ),
    engine=EngineFacts(name="Docker Engine", version="27.1", api_version="1.46", host="unix:///var/run/docker.sock"),
    images=(ImageFacts(name="cpu", ref="images/cpu.Dockerfile", id=RECORD.image, build_number=11312),),
    models=(
        ModelFacts(
            name="gemma3-270m",
            title="Gemma 3 270M",
            source="file",
            path=Path("/home/alice/secret-project/gemma.gguf"),
            sha256="c" * 64,
            size_bytes=253_000_000,
            synthetic=False,
        ),
    ),
    cells=(CELL,),
    keys={CELL.id: "k" * 64},
)


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path / "demo")


@pytest.fixture
def make_record() -> Callable[..., Record]:
    """A record with other values for some fields; `round_`, `attempt`, `key` and `order` go to its run."""

    def make(**changes: Any) -> Record:
        names = {"round_": "round", "attempt": "attempt", "key": "key", "order": "order"}
        run = replace(RECORD.run, **{name: changes.pop(given) for given, name in names.items() if given in changes})
        return replace(RECORD, run=run, **changes)

    return make


@pytest.fixture
def session() -> Session:
    return SESSION
