"""How wrong is `invoke fit`? Predicted peak of memory against the kernel's count, in real runs of the CPU image.

Every combination of model, context, KV type and flash attention runs in a container of its own, with `-v`; its process
is looked at thirty times a second from the host (`VmHWM`, the kernel's own peak). It is started with the engine's own
command and not by the harness, so that it needs no quiet machine and may run beside other work.

Those under `CHOSEN` are the ones by which two constants in the code were set (the base of the program, the vocabulary);
the figures that count are those under `HELD_OUT`.

    .venv/bin/python benchmarks/fit_error.py            (needs docker and the CPU image; ten minutes on a busy machine)
    .venv/bin/python benchmarks/fit_error.py --write    (also writes harness/analysis/fit/measured_error.json)
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.analysis.fit.context import host_cache_bytes
from harness.analysis.fit.error import FILE
from harness.analysis.fit.parts import compute
from harness.analysis.memory import cell_context, cpu_kind, predict_cell
from harness.artifacts.models import prepare_model
from harness.flows.workspace import find_workspace
from harness.formats import llama_log
from harness.machine.facts import cpu_flags
from harness.matrix.cell_ids import default_params
from harness.matrix.groups import parse_group
from harness.matrix.registry import load_registry, model_source
from harness.values.cell import Cell, Test
from harness.values.facts import ModelFacts

MIB = 1 << 20
NEAR = 0.05
THREADS = 2
IMAGE = "llama-bench-harness/llama.cpp:full-cpu-b11312"
LOOK_S = 0.03


def recipe(architecture: str, shape: tuple[int, ...], quantization: str, **more: int) -> Any:
    """A synthetic model: layers, width, that of the feed-forward layer, heads, those of keys and values, vocabulary."""
    names = ("n_layers", "n_embd", "n_ff", "n_heads", "n_kv_heads", "n_vocab")
    numbers = dict(zip(names, shape, strict=True)) | {"n_ctx": 16384, "seed": 1} | more
    return {"synthetic": {"architecture": architecture, "quantization": quantization, **numbers}}


MODELS: dict[str, Any] = {
    "llama-a": recipe("llama", (12, 768, 2048, 12, 12, 20480), "Q4_0"),
    "qwen3-a": recipe("qwen3", (16, 512, 1536, 8, 2, 32000), "Q8_0"),
    "llama-b": recipe("llama", (16, 1024, 2816, 16, 4, 50000), "Q4_K_M"),
    "llama-c": recipe("llama", (8, 512, 1408, 8, 8, 128256), "F16"),
    "llama-d": recipe("llama", (22, 2048, 5632, 32, 4, 32000), "Q4_K_M"),
    "qwen3-b": recipe("qwen3", (20, 1024, 3072, 16, 8, 151936), "Q6_K"),
    "moe-a": recipe("qwen3moe", (8, 512, 256, 8, 2, 32000), "Q8_0", n_experts=16, n_experts_used=4),
    "moe-b": recipe("llama", (8, 1024, 1792, 16, 4, 32000), "Q4_0", n_experts=8, n_experts_used=2),
    "qwen3-c": recipe("qwen3", (28, 1024, 3072, 16, 8, 16000), "Q5_1"),
}
GEMMA = "gemma3-270m-q4_k_m"

CHOSEN: tuple[dict[str, Any], ...] = (
    {"model": "llama-a", "tests": "pp512"},
    {"model": "llama-a", "tests": "pp2048", "flash_attn": 1, "type_k": "q8_0", "type_v": "q8_0"},
    {"model": "qwen3-a", "tests": "pp512", "flash_attn": 1},
    {"model": GEMMA, "tests": "pp512"},
    {"model": GEMMA, "tests": "pp2048", "flash_attn": 1},
)

HELD_OUT: tuple[dict[str, Any], ...] = (
    {"model": "llama-b", "tests": "pp512"},
    {"model": "llama-b", "tests": "pp4096", "flash_attn": 1},
    {"model": "llama-b", "tests": "pp4096", "flash_attn": 1, "type_k": "q8_0", "type_v": "q8_0"},
    {"model": "llama-b", "tests": "pp4096"},
    {"model": "llama-c", "tests": "pp512"},
    {"model": "llama-c", "tests": "pp8192", "flash_attn": 1, "type_k": "q4_0", "type_v": "q4_0"},
    {"model": "llama-d", "tests": "pp512", "flash_attn": 1},
    {"model": "llama-d", "tests": "pp2048", "flash_attn": 1, "type_k": "q8_0", "type_v": "q8_0"},
    {"model": "llama-d", "tests": "tg16"},
    {"model": "qwen3-b", "tests": "pp1024", "n_ubatch": 1024},
    {"model": "qwen3-b", "tests": "pp512", "flash_attn": 1, "type_k": "q5_1", "type_v": "q5_1"},
    {"model": "qwen3-b", "tests": "tg8", "n_depth": 1024, "flash_attn": 1},
    {"model": "moe-a", "tests": "pp512", "flash_attn": 1},
    {"model": "moe-a", "tests": "pp2048"},
    {"model": "moe-b", "tests": "pp512", "flash_attn": 1, "type_k": "q8_0", "type_v": "q8_0"},
    {"model": "qwen3-c", "tests": "pp1024", "flash_attn": 1, "type_k": "iq4_nl", "type_v": "iq4_nl"},
    {"model": "qwen3-c", "tests": "pp512", "load_mode": "none"},
    {"model": GEMMA, "tests": "pp4096"},
    {"model": GEMMA, "tests": "pp4096", "flash_attn": 1, "type_k": "q8_0", "type_v": "q8_0"},
    {"model": GEMMA, "tests": "tg16"},
    {"model": GEMMA, "tests": "pp1024", "n_ubatch": 128},
)


def have(name: str) -> ModelFacts:
    workspace = find_workspace()
    registry = load_registry(workspace.registry)
    source = registry[name] if name in registry else model_source(name, MODELS[name])
    return prepare_model(source, cache=workspace.cache, base=workspace.matrices)


def as_cell(combination: dict[str, Any]) -> Cell:
    group = parse_group(0, {"backend": "cpu", **combination})
    n_prompt, n_gen = group.tests[0]
    given = {name: values[0] for name, values in group.params.items()}
    params = default_params("cpu", given) | given | {"n_threads": THREADS}
    test = Test(n_prompt=n_prompt, n_gen=n_gen, n_depth=group.depths[0])
    return Cell(id="cell", backend="cpu", image="cpu", model=combination["model"], params=params, test=test)


def argv(cell: Cell) -> list[str]:
    test, params = cell.test, cell.params
    options = {"-p": test.n_prompt, "-n": test.n_gen, "-d": test.n_depth, "-t": THREADS, "-fa": params["flash_attn"]}
    options |= {"-ctk": params["type_k"], "-ctv": params["type_v"], "-ub": params["n_ubatch"], "-b": params["n_batch"]}
    options |= {"-lm": params["load_mode"]}
    return [
        "-m",
        "/models/model.gguf",
        "-r",
        "1",
        "-o",
        "jsonl",
        "-v",
        *(str(o) for pair in options.items() for o in pair),
    ]


def peak(cell: Cell, model: ModelFacts) -> tuple[int, str]:
    """The kernel's peak of the process in bytes, and its log."""
    name = f"fit-error-{time.time_ns()}"
    mount = f"{model.path}:/models/model.gguf:ro"
    command = ["docker", "run", "--rm", "--name", name, "--network", "none", "-v", mount, "--entrypoint"]
    command += ["/app/llama-bench", IMAGE, *argv(cell)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    inspect = ["docker", "inspect", "-f", "{{.State.Pid}}", name]
    most, pid, log = 0, "", ""
    while True:
        try:
            _, log = process.communicate(timeout=LOOK_S)
            break
        except subprocess.TimeoutExpired:
            told = subprocess.run(inspect, capture_output=True, text=True, check=False).stdout.strip()
            pid = pid or (told if told != "0" else "")
        try:
            status = Path(f"/proc/{pid or 'none'}/status").read_text(encoding="ascii")
        except OSError:
            continue
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        most = max(most, int(found[1]) * 1024 if found and "llama-bench" in status else 0)
    assert process.returncode == 0, log[-2000:]
    return most, log


def measured(combination: dict[str, Any], *, note: str = "") -> float:
    """The error of one prediction, shown with those of its parts."""
    model, cell = have(combination["model"]), as_cell(combination)
    most, text = peak(cell, model)
    log, shape, context = llama_log.read(text.splitlines()), model.shape, cell_context(cell)
    assert shape is not None
    predicted = predict_cell(cell, shape, cpu=cpu_kind(cpu_flags()))
    error = predicted.resident / most - 1
    kv, buffer = host_cache_bytes(shape, context) / MIB, compute(shape, context).size_bytes / MIB
    logged_kv, logged = sum(log.kv_buffers.values()) / MIB, sum(log.compute_buffers.values()) / MIB
    asked = ", ".join(f"{name} {value}" for name, value in combination.items())
    print(
        f"{note}{asked}: {predicted.resident / MIB:.1f} predicted, {most / MIB:.1f} MiB measured, "
        f"{100 * error:+.1f} %; "
        f"KV {kv:.2f}, logged {logged_kv:.2f}; compute {buffer:.2f}, logged {logged:.2f}",
        flush=True,
    )
    return abs(error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write what `invoke fit` says of its own error")
    arguments = parser.parse_args()
    for combination in CHOSEN:
        measured(combination, note="(chosen) ")
    errors = []
    for combination in HELD_OUT:
        errors.append(measured(combination))
        near = sum(error < NEAR for error in errors)
        facts = {
            "backend": "cpu",
            "build": "b11312",
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "combinations": len(errors),
            "median": round(median(errors), 4),
            "worst": round(max(errors), 4),
            "within_5_percent": near,
        }
    print(f"held out: {facts}")
    if arguments.write:
        FILE.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
