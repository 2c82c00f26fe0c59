"""What the tests of measuring share: captured runs as container exits, and the facts that belong to them."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.formats import llama_bench, llama_log
from harness.measure.proof import judge
from harness.values.cell import Cell, Test
from harness.values.container import ContainerExit, ExpectedDevice, Line, Passthrough
from harness.values.facts import ImageFacts, ModelFacts

CAPTURES = Path(__file__).resolve().parents[3] / "tests" / "captures"

PARAMS = {
    "n_gpu_layers": 99,
    "flash_attn": 0,
    "n_batch": 2048,
    "n_ubatch": 512,
    "type_k": "f16",
    "type_v": "f16",
    "load_mode": "mmap",
    "n_threads": 2,
}
CPU = Passthrough()
SOFTWARE = Passthrough(
    environment={"GGML_VK_VISIBLE_DEVICES": "0"},
    expected=(ExpectedDevice(name="Vulkan0", maker="llvmpipe", software=True),),
)


def make_ended(stdout=(), stderr=(), exit_code=0, **changes):
    return ContainerExit(
        **{
            "exit_code": exit_code,
            "stdout": tuple(Line(at_ns=0, text=text) for text in stdout),
            "stderr": tuple(Line(at_ns=0, text=text) for text in stderr),
            "started_ns": 0,
            "ended_ns": 60_000_000_000,
            **changes,
        }
    )


def make_captured(name):
    """How the captured container ended. What the kernel killed at the limit was marked so by the engine."""
    code = int((CAPTURES / f"{name}.rc").read_text())
    return make_ended(
        (CAPTURES / f"{name}.stdout").read_text().splitlines(),
        (CAPTURES / f"{name}.stderr").read_text().splitlines(),
        code,
        oom_killed=code == 137,
    )


def make_argv_of(name):
    return tuple(shlex.split((CAPTURES / f"{name}.argv").read_text()))


def make_cell(n_prompt=32, n_gen=0, n_depth=0, *, backend="cpu", device="default", label="", **params):
    test = Test(n_prompt=n_prompt, n_gen=n_gen, n_depth=n_depth)
    return Cell(
        id=f"{backend}/model/{test.name}{label}",
        label=label,
        backend=backend,
        image=backend,
        model="model",
        device=device,
        params=PARAMS | params,
        test=test,
    )


@dataclass(frozen=True)
class Judging:
    """A captured run with everything that it is judged by; `change` it to break one thing."""

    name: str
    cells: tuple
    passthrough: Passthrough
    backend: str
    model: ModelFacts
    image: ImageFacts
    repetitions: int = 2

    def outcomes(self, *, row=None, log=None, verbose=True, exit_changes=None, **changes):
        """Judge it; `row` changes fields of the first row, `log` fields of what the log says."""
        end = make_captured(self.name)
        if exit_changes:
            end = replace(end, **exit_changes)
        output = llama_bench.read(line.text for line in end.stdout)
        if row:
            output = replace(output, rows=(replace(output.rows[0], **row), *output.rows[1:]))
        facts = llama_log.read(line.text for line in end.stderr)
        arguments = {
            "passthrough": self.passthrough,
            "backend": self.backend,
            "image": self.image,
            "model": self.model,
            "repetitions": self.repetitions,
        } | changes
        return judge(self.cells, end, output, replace(facts, **(log or {})) if verbose else None, **arguments)


def make_model_facts(n_params, size_bytes):
    return ModelFacts(
        name="model",
        title="Model",
        source="file",
        path=Path("model.gguf"),
        sha256="0" * 64,
        size_bytes=size_bytes,
        synthetic=False,
        n_params=n_params,
        n_layers=2,
    )


def make_image_facts(**changes):
    return ImageFacts(
        **{
            "name": "image",
            "ref": "images/cpu.Dockerfile",
            "id": "sha256:1",
            "build_number": 11312,
            "build_commit": "0c1e57098",
            **changes,
        }
    )


TINY = make_model_facts(405_120, 820_032)


@pytest.fixture
def ended():
    return make_ended


@pytest.fixture
def captured():
    return make_captured


@pytest.fixture
def argv_of():
    return make_argv_of


@pytest.fixture
def cell():
    return make_cell


@pytest.fixture
def image_facts():
    return make_image_facts


@pytest.fixture
def model_facts():
    return make_model_facts


@pytest.fixture
def judging():
    """A run of the tiny model by the name of its capture."""

    def make(name, cells, *, passthrough=CPU, backend="cpu", **changes):
        return Judging(name, cells, passthrough, backend, TINY, make_image_facts(), **changes)

    return make


@pytest.fixture
def gemma_on_cpu():
    cells = (make_cell(32), make_cell(0, 8))
    model = make_model_facts(268_098_176, 253_113_024)
    return Judging("cpu-b11312/good-v", cells, CPU, "cpu", model, make_image_facts())


@pytest.fixture
def software():
    cells = tuple(make_cell(p, n, backend="vulkan", device="software") for p, n in ((32, 0), (0, 8)))
    return Judging("vulkan-b11312/good-software-v", cells, SOFTWARE, "vulkan", TINY, make_image_facts())
