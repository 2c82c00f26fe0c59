"""Made-up results of four machines, as a report across hardware has them. All of it is marked simulated."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from selenium import webdriver

from harness.analysis.results import MachineResults, machine_results
from harness.report.data import ReportData
from harness.store.sessions import Session
from harness.values.cell import Cell, Test
from harness.values.facts import Device, EngineFacts, ImageFacts, MachineFacts, ModelFacts
from harness.values.failure import Failure
from harness.values.record import Check, Outcome, Proof, Record, Run
from harness.values.telemetry import DeviceSummary, Telemetry, Trace, Window, WindowSummary
from tests.rig.browser import started_browser

GIB = 1024**3
MODELS = (
    ("llama2-7b-q4_0", "Llama 2 7B Q4_0", 3_825_065_984, 6_738_415_616, 3_791_273_984),
    ("qwen3-8b-q4_k_m", "Qwen3 8B Q4_K_M", 5_027_783_488, 8_190_735_360, 4_672_000_000),
)
TESTS = tuple(t for d in (0, 4096, 16384) for t in (Test(n_prompt=512, n_depth=d), Test(n_gen=128, n_depth=d)))
# machine, processor, (vendor, device, memory, watts), and for each backend prompt and generation rates of the 7B model
MACHINES = (
    (
        "desk-4090",
        "AMD Ryzen 9 7950X 16-Core Processor",
        ("nvidia", "NVIDIA GeForce RTX 4090", 24 * GIB, 380.0),
        {"cuda": (11900.0, 168.0), "vulkan": (8500.0, 163.0)},
    ),
    (
        "tower-7900xtx",
        "AMD Ryzen 7 5800X 8-Core Processor",
        ("amd", "AMD Radeon RX 7900 XTX", 24 * GIB, 330.0),
        {"rocm": (3350.0, 119.0), "vulkan": (3300.0, 139.0)},
    ),
    (
        "mini-b580",
        "Intel(R) Core(TM) i5-12400",
        ("intel", "Intel Arc B580 Graphics", 12 * GIB, 170.0),
        {"vulkan": (1500.0, 71.0)},
    ),
    ("server-epyc", "AMD EPYC 9354 32-Core Processor", ("cpu", "AMD EPYC 9354", None, 250.0), {"cpu": (310.0, 31.0)}),
)


def _cells(backends) -> list[Cell]:
    found = []
    for backend in backends:
        params = {
            "n_gpu_layers": 0 if backend == "cpu" else 99, "flash_attn": 1, "n_batch": 2048, "n_ubatch": 512,
            "type_k": "f16", "type_v": "f16", "load_mode": "mmap", "n_threads": 8,
        }  # fmt: skip
        found += [
            Cell(
                id=f"{backend}/{model[0]}/{test.name}/fa1", backend=backend, image=backend, model=model[0],
                params=params, test=test,
            )
            for model in MODELS
            for test in TESTS
        ]  # fmt: skip
    return found


def _session(name: str, processor: str, card, cells) -> Session:
    vendor, device, memory, _ = card
    devices = [Device(vendor="cpu", kind="cpu", name=processor)]
    if vendor != "cpu":
        devices.append(
            Device(vendor=vendor, kind="gpu", name=device, memory_bytes=memory, driver="1.2.3", pci="0000:01:00.0")
        )
    models = tuple(
        ModelFacts(
            name=key, title=title, source=f"someone/{key}", path=Path(f"{key}.gguf"), sha256=f"{n}" * 64,
            size_bytes=size, synthetic=False, n_params=params, bytes_per_token=read, tensors_sha256=f"{n}" * 64,
        )
        for n, (key, title, size, params, read) in enumerate(MODELS)
    )  # fmt: skip
    return Session(
        id="20261101T120000Z-000001", started_utc="2026-11-01T12:00:00.000Z", harness_version="0.1.0",
        harness_source="1f3a9b2c4d5e", command=("invoke", "matrix", "--file", "many.yaml"), matrix="many",
        title="Four machines", notes="Made up for tests.", matrix_sha256="5" * 64, preset="standard", rounds=6,
        repetitions=5, screening=False, seed=1,
        machine=MachineFacts(
            machine=name, os="Debian GNU/Linux 13", kernel="6.12.0", cpu_model=processor, cpu_cores=8, cpu_threads=16,
            memory_bytes=64 * GIB, swap_bytes=0, devices=tuple(devices), virtualization="none",
        ),
        engine=EngineFacts(name="Docker Engine", version="27.1", api_version="1.46", host="unix:///run/docker.sock"),
        images=tuple(
            ImageFacts(
                name=b, ref=f"images/{b}.Dockerfile", id="sha256:" + b[0] * 64, build_number=11312,
                build_commit="0c1e57098", simulated=True,
            )
            for b in dict.fromkeys(c.backend for c in cells)
        ),
        models=models, cells=tuple(cells), keys={c.id: f"{c.backend}-{c.model}" for c in cells},
    )  # fmt: skip


def _records(session: Session, card, rates, dice: random.Random) -> list[Record]:
    _, device, memory, watts = card
    found = []
    for round_ in range(session.rounds + 1):
        for backend, speeds in rates.items():
            for number, model in enumerate(MODELS):
                cells = tuple(c for c in session.cells if (c.backend, c.model) == (backend, model[0]))
                outcomes, windows = [], [WindowSummary(window=Window(name="idle", begin_ns=-(10**9), end_ns=0))]
                shared = dice.gauss(0, 0.006)
                for cell in cells:
                    test = cell.test
                    if memory and memory < 16 * GIB and test.n_depth > 8192 and number:
                        failure = Failure(
                            phase="load", reason="oom_device", detail="ErrorOutOfDeviceMemory",
                            remedy="Offload fewer layers (n_gpu_layers) or shorten the context.",
                        )  # fmt: skip
                        outcomes.append(Outcome(cell=cell.id, failure=failure))
                        continue
                    rate = speeds[test.kind == "tg"] * (1.0, 0.82)[number] / (1 + test.n_depth / 30000)
                    samples = tuple(
                        round(1e9 * test.n_tokens / rate * 2.718281828 ** (shared + dice.gauss(0, 0.003)))
                        for _ in range(session.repetitions)
                    )
                    checks = (Check(name="samples", proof=Proof.PROVEN, evidence="5 of 5"),)
                    outcomes.append(Outcome(cell=cell.id, samples_ns=samples, row={}, checks=checks))
                    seconds = sum(samples) / 1e9
                    held = model[2] + test.n_depth * 131072 + GIB // 2
                    summary = DeviceSummary(
                        readings=50, utilization_mean_percent=97.0, memory_max_bytes=held, memory_growth_bytes=held,
                        power_mean_w=watts, power_max_w=watts * 1.1, net_energy_j=(watts - 30) * seconds,
                    )  # fmt: skip
                    window = Window(name=cell.id, begin_ns=0, end_ns=round(seconds * 1e9), untimed=bool(test.n_depth))
                    windows.append(WindowSummary(window=window, devices=(summary,)))
                found.append(
                    Record(
                        id=f"{len(found):04x}{session.machine.machine[0]}".ljust(64, "f"),
                        matrix="many",
                        matrix_sha256=session.matrix_sha256,
                        machine=session.machine.machine,
                        session=session.id,
                        backend=backend,
                        device=device,
                        devices=(device,),
                        run=Run(key=f"{backend}-{model[0]}", round=round_, order=0, attempt=1, cells=cells),
                        image="sha256:" + backend[0] * 64,
                        model_sha256=f"{number}" * 64,
                        argv=("/app/llama-bench", "-m", "/models/model.gguf", "-r", "5", "-fa", "1"),
                        outcomes=tuple(outcomes),
                        started_utc="2026-11-01T12:00:00.000Z",
                        ended_utc="2026-11-01T12:00:30.000Z",
                        duration_ns=30 * 10**9,
                        exit_code=0,
                        gate={"passed": True, "waited_s": 0.0},
                        simulated=True,
                        telemetry=Telemetry(
                            interval_ms=100,
                            devices=(Trace(subject=device, pci="0000:01:00.0"),),
                            windows=tuple(windows),
                        ),
                    )
                )
    return found


def made_up(machines=MACHINES, seed: int = 1) -> tuple[MachineResults, ...]:
    """The results of these machines, each with a start of its own."""
    dice, found = random.Random(seed), []
    for name, processor, card, rates in machines:
        session = _session(name, processor, card, _cells(rates))
        found.append(machine_results([session], _records(session, card, rates, dice)))
    return tuple(found)


@pytest.fixture(scope="session")
def four_machines() -> ReportData:
    return ReportData(name="many", machines=made_up())


@pytest.fixture
def named(four_machines: ReportData):
    """The same with another name for everything that a stranger can name."""

    def name(text: str) -> ReportData:
        def renamed(results: MachineResults) -> MachineResults:
            cells = tuple(
                replace(
                    cell,
                    device=text,
                    model=replace(cell.model, title=text) if cell.model else None,
                    cell=replace(cell.cell, label=text),
                    argv=(*cell.argv, text),
                )
                for cell in results.cells
            )
            return replace(results, cells=cells, machine=replace(results.machine, machine=text, cpu_model=text))

        return replace(four_machines, machines=tuple(renamed(m) for m in four_machines.machines))

    return name


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A browser of the module's own."""
    with started_browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver
