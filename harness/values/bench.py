"""What llama-bench said, read but not yet believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRow:
    """One line of `llama-bench -o jsonl` that satisfies the schema.

    Attributes:
        raw: the whole object as printed, unknown fields included.
        samples_ns: one duration a repetition.
        line: index of its line in what was read; None where that is not known. Its stamp is the end of the test.
    """

    raw: Mapping[str, object]
    build_commit: str
    build_number: int
    gpu_info: str
    backends: tuple[str, ...] | None
    devices: str | None
    model_size: int
    model_n_params: int
    n_prompt: int
    n_gen: int
    n_depth: int
    avg_ts: float
    samples_ns: tuple[int, ...]
    line: int | None = None

    @property
    def n_tokens(self) -> int:
        """Tokens that one sample processes."""
        return self.n_prompt + self.n_gen


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOutput:
    """The standard output of one llama-bench process.

    Attributes:
        rows: the rows that satisfy the schema, in the order printed.
        problems: for each line that looks like a row but is none: what is wrong with it, with its line number.
        noise: other lines: banners, usage texts; at most 50 are kept.
    """

    rows: tuple[BenchRow, ...]
    problems: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFacts:
    """What the `-v` log says really happened. None where the log does not tell.

    Attributes:
        libraries: backend libraries that were loaded, by backend name as printed (`CPU`, `Vulkan`): file names.
        cpu_variant: `zen4` from `libggml-cpu-zen4.so`.
        devices: devices that llama.cpp said it uses, with their descriptions.
        device_pci: PCI addresses of those, where it tells them.
        device_details: by device name, what a backend said of it at its start: its name, architecture, ...
        layers_offloaded, layers_total: as in `offloaded 19/19 layers to GPU`.
        model_buffers, kv_buffers, compute_buffers: bytes by buffer name (`CPU_Mapped`, `Vulkan0`).
        flash_attn: what was chosen: True, False, or None.
        graph_splits: splits of the compute graph between backends, the largest seen.
        n_ctx: context size in tokens.
        warnings: lines that cast doubt on the numbers (debug build, asserts, sanitizer, fallback).
    """

    libraries: Mapping[str, str] = field(default_factory=dict)
    cpu_variant: str | None = None
    devices: Mapping[str, str] = field(default_factory=dict)
    device_pci: Mapping[str, str] = field(default_factory=dict)
    device_details: Mapping[str, str] = field(default_factory=dict)
    layers_offloaded: int | None = None
    layers_total: int | None = None
    model_buffers: Mapping[str, int] = field(default_factory=dict)
    kv_buffers: Mapping[str, int] = field(default_factory=dict)
    compute_buffers: Mapping[str, int] = field(default_factory=dict)
    flash_attn: bool | None = None
    graph_splits: int | None = None
    n_ctx: int | None = None
    warnings: tuple[str, ...] = ()
