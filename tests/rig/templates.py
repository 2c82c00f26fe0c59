"""The texts of the stub, made of captured ones: numbers and names give way to `@name@`, and nothing else changes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

CAPTURES = Path(__file__).resolve().parents[1] / "captures"

BANNERS = {
    # tests/captures and real outputs: CUDA of an RTX 5060 Ti, ROCm of a Radeon 8060S, Mesa's Vulkan.
    "cuda": (
        (
            "ggml_cuda_init: found @n_seen@ CUDA devices (Total VRAM: @total_mib@ MiB):\n"
            "  Device @dev_number@: @dev_banner@\n"
        ),
        "ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected\n",
    ),
    "rocm": (
        (
            "ggml_cuda_init: found @n_seen@ ROCm devices (Total VRAM: @total_mib@ MiB):\n"
            "  Device @dev_number@: @dev_banner@\n"
        ),
        "ggml_cuda_init: failed to initialize ROCm: no ROCm-capable device is detected\n",
    ),
    "vulkan": (
        "ggml_vulkan: Found @n_seen@ Vulkan devices:\nggml_vulkan: @dev_number@ = @dev_banner@\n",
        "ggml_vulkan: No devices found.\n",
    ),
    "cpu": ("", ""),
}
"""By backend: what its library says where it finds devices, and where it finds none."""

_NUMBER = r"[\d.]+"
_COMMON = (
    (rf"(file size   = ){_NUMBER} MiB.*", r"\1@file_mib@ MiB"),
    (r"(general\.name          = ).*", r"\1stub"),
    (r"(print_info: arch                  = ).*", r"\1@architecture@"),
    (r"(model params          = ).*", r"\1@params@"),
    (r"load_mode = \w+", "load_mode = @load_mode@"),
    (r"(n_ctx(?:_seq)? +=) \d+$", r"\1 @n_ctx@"),
    (r"n_ctx_seq \(\d+\)", "n_ctx_seq (@n_ctx@)"),
    (r"(flash_attn            = )\w+", r"\1@flash@"),
)
_OF_DEVICE = (
    (
        r"using device Vulkan0 \(.*\) \(unknown id\) - \d+ MiB free",
        "using device @dev@ (@dev_name@) (@dev_pci@) - @dev_free@ MiB free",
    ),
    (r"offloading \d+ repeating", "offloading @repeating@ repeating"),
    (r"offloaded \d+/\d+ layers", "offloaded @offloaded@/@layers@ layers"),
    (rf"CPU_Mapped model buffer size = +{_NUMBER}", "@host_buffer@ model buffer size = @host_mib@"),
    (rf"Vulkan0 model buffer size = +{_NUMBER}", "@dev@ model buffer size = @dev_mib@"),
    (rf"Vulkan0 KV buffer size = +{_NUMBER}", "@dev@ KV buffer size = @dev_kv_mib@"),
    (r"Vulkan0 compute", "@dev@ compute"),
    (r"Vulkan_Host", "@prefix@_Host"),
)
_OF_CPU = (
    (rf"CPU_Mapped model buffer size = +{_NUMBER}", "@host_buffer@ model buffer size = @host_mib@"),
    # Repacked weights are there twice on the CPU, which would only confuse the sums of a stub.
    (r"^load_tensors: +CPU_REPACK .*\n", ""),
)


def row_template() -> str:
    """A captured row whose values are the stub's."""
    row = (CAPTURES / "vulkan-b11312/good-software-v.stdout").read_text(encoding="utf-8").splitlines()[0]
    kept = {"cpu_info", "model_filename", "lazy_mode", "fit_target", "fit_min_ctx"}

    def replaced(match: re.Match[str]) -> str:
        key, value = match[1], match[2]
        if key in kept:
            return match[0]
        if value.startswith("["):
            return f'"{key}": [ @{key}@ ]'
        return f'"{key}": "@{key}@"' if value.startswith('"') else f'"{key}": @{key}@'

    return re.sub(r'"(\w+)": ("[^"]*"|\[[^\]]*\]|[\w.+-]+)', replaced, row) + "\n"


def log_templates(backend: str) -> tuple[str, str]:
    """What `-v` logs of loading, and of one test's context, with the buffers of a card or of the CPU."""
    case = "cpu-b11312/good-v" if backend == "cpu" else "vulkan-b11312/good-software-v"
    changes = (*_COMMON, *(_OF_CPU if backend == "cpu" else _OF_DEVICE))
    lines = (CAPTURES / f"{case}.stderr").read_text(encoding="utf-8").splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if line.startswith("llama_model_loader:"))
    contexts = [i for i, line in enumerate(lines) if line.startswith("llama_context: constructing")]
    load = [line for line in lines[first : contexts[0]] if "for shader cache" not in line]
    return _changed(load, changes), _changed(lines[contexts[0] : contexts[1]], changes)


def _changed(lines: Sequence[str], changes: Sequence[tuple[str, str]]) -> str:
    text = "".join(lines)
    for pattern, replacement in changes:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


def help_text() -> str:
    """What `--help` of the build prints."""
    return (CAPTURES / "cpu-b11312/help.stdout").read_text(encoding="utf-8")


def templates(backend: str) -> dict[str, str]:
    """All texts of a stub, by file name."""
    load, context = log_templates(backend)
    some, none = BANNERS[backend]
    return {
        "help.txt": help_text(),
        "row.json": row_template(),
        "load.txt": load,
        "context.txt": context,
        "banner.txt": some,
        "banner-none.txt": none,
        "banner-driver.txt": none.replace(": no CUDA-capable device is detected", ": @why_none@"),
    }
