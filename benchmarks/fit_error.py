"""How wrong is `invoke fit`? Predicted peak of memory against the kernel's count, in real runs of the CPU image.

Every combination is a cell of a matrix of its own model, context, KV type and flash attention, in a container of its
own. Those marked `chosen` are the ones by which constants in the code were set (base of the program, vocabulary); the
figures that count are those of the others.

    .venv/bin/python benchmarks/fit_error.py            (needs the CPU image; about ten minutes)
    .venv/bin/python benchmarks/fit_error.py --write    (also writes harness/analysis/fit/measured_error.json)
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.analysis.fit.context import host_cache_bytes
from harness.analysis.fit.error import FILE
from harness.analysis.fit.parts import compute
from harness.analysis.memory import CellMemory, cell_context, cell_memory
from harness.analysis.results import CellResult, read_results
from harness.errors import CellsFailedError
from harness.flows.measure import MeasureRequest, measure
from harness.flows.workspace import Workspace, find_workspace

MIB = 1 << 20


NEAR = 0.05


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


def matrix(combinations: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    used = {each["model"] for each in combinations}
    return {
        "name": "fit-error",
        "rounds": 1,
        "repetitions": 2,
        "models": {name: model for name, model in MODELS.items() if name in used},
        "cells": [{"backend": "cpu", **each} for each in combinations],
    }


def run(combinations: tuple[dict[str, Any], ...], folder: Path, *, fresh: bool) -> tuple[list[CellMemory], str]:
    own = find_workspace()
    workspace = Workspace(
        cwd=folder,
        matrices=own.matrices,
        images=own.images,
        reports=folder / "reports",
        cache=own.cache,
        state=own.state,
    )
    file = folder / "fit-error.yaml"
    file.write_text(json.dumps(matrix(combinations), indent=1))
    try:
        measure(MeasureRequest(file=str(file), gate_wait_s=0, fresh=fresh), workspace=workspace)
    except CellsFailedError as error:
        print(error)
    (machine,) = read_results(folder / "reports" / "fit-error")
    image = machine.latest.images[0]
    found = [memory for cell in machine.cells if (memory := cell_memory(cell, machine.machine)) is not None]
    return found, f"b{image.build_number}"


def buffers(result: CellResult) -> str:
    """KV cache and compute buffer: predicted, and in llama.cpp's log."""
    log, shape = result.log, result.model.shape if result.model else None
    if log is None or shape is None:
        return ""
    context = cell_context(result.cell)
    kv, buffer = host_cache_bytes(shape, context), compute(shape, context).size_bytes
    logged_kv, logged = sum(log.kv_buffers.values()), sum(log.compute_buffers.values())
    return (
        f"KV {kv / MIB:8.2f} / {logged_kv / MIB:8.2f}   compute {buffer / MIB:8.2f} / {logged / MIB:8.2f}"
        f" ({100 * (buffer / logged - 1):+5.1f} %)"
    )


def show(name: str, memory: CellMemory) -> None:
    predicted, measured = memory.predicted, memory.measured_host
    if predicted is None or memory.host_error is None or measured is None:
        print(f"{name}: {memory.refused or 'not measured'}")
        return
    print(
        f"{name}: {predicted.resident / MIB:.1f} predicted, {measured / MIB:.1f} MiB measured "
        f"({100 * memory.host_error:+.1f} %)"
    )
    print(f"    {buffers(memory.result)}")
    parts = ", ".join(f"{part.name} {part.host / MIB:.1f}" for part in predicted.parts)
    loaded = "-" if memory.load.host is None else f"{memory.load.host / MIB:.1f}"
    dropped, untouched = predicted.dropped / MIB, predicted.untouched / MIB
    print(f"    {parts}; dropped {dropped:.1f}, untouched {untouched:.1f}; loaded {loaded} MiB measured")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write what `invoke fit` says of its own error")
    parser.add_argument("--folder", help="keep records here, and go on from those that are there")
    parser.add_argument("--chosen", action="store_true", help="only those by which constants were set")
    arguments = parser.parse_args()
    folder = Path(arguments.folder) if arguments.folder else Path(tempfile.mkdtemp(prefix="fit-error-"))
    folder.mkdir(parents=True, exist_ok=True)
    combinations = CHOSEN if arguments.chosen else (*CHOSEN, *HELD_OUT)
    found, build = run(combinations, folder, fresh=False)
    chosen = {json.dumps(each, sort_keys=True) for each in CHOSEN}
    by_cell = {memory.result.cell.id: memory for memory in found}
    errors = []
    for index, (cell, memory) in enumerate(by_cell.items()):
        held_out = index >= len(chosen)
        show(cell if held_out else f"(chosen) {cell}", memory)
        if held_out and memory.host_error is not None:
            errors.append(abs(memory.host_error))
    if errors:
        near = sum(error < NEAR for error in errors)
        print(
            f"{len(errors)} held out: median {100 * median(errors):.2f} %, worst {100 * max(errors):.2f} %, "
            f"{near} within {NEAR:.0%}"
        )
    if arguments.write and errors:
        facts = {
            "backend": "cpu",
            "build": build,
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "combinations": len(errors),
            "median": round(median(errors), 4),
            "worst": round(max(errors), 4),
            "within_5_percent": near,
        }
        FILE.write_text(json.dumps(facts, indent=1) + "\n")
    if not arguments.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
