"""What `invoke fit` was asked: the flags of the command line as a backend, a memory and a context."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.analysis.fit.context import STORED, Context
from harness.analysis.fit.predict import LONGEST
from harness.errors import InputError
from harness.machine.facts import memory_in_all, physical_cores
from harness.machine.vendors import discover_devices
from harness.values.backend import BACKENDS

DEFAULT_CONTEXT = 4096
_SIZE = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,6})?) ?(?P<unit>MiB|GiB|TiB|MB|GB|TB)", re.IGNORECASE)
_UNITS = {"mib": 2**20, "gib": 2**30, "tib": 2**40, "mb": 10**6, "gb": 10**9, "tb": 10**12}


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRequest:
    """What the user asked for on the command line. Empty and 0 mean that nothing was said.

    Attributes:
        model: a name of the registry, a GGUF file, or `owner/repository/file.gguf` on the Hub.
        beside: other models that are to be there at the same time; `NAME@CONTEXT` for another context.
    """

    model: str
    memory: str = ""
    context: int = 0
    beside: tuple[str, ...] = ()
    kv_type: str = ""
    kv_type_v: str = ""
    ngl: int | None = None
    ubatch: int = 512
    flash_attn: bool = True
    backend: str = ""
    cpu_moe: int = 0
    parallel: int = 1


def every_layer(backend: str) -> int:
    """As many layers as there are on a GPU; none on a CPU."""
    return Context(n_ctx=1).n_gpu_layers if BACKENDS[backend].is_gpu else 0


def asked_backend(request: FitRequest) -> str:
    """The backend that is meant: of the largest card here where none is named.

    Raises:
        InputError: it is none.
    """
    if request.backend:
        if request.backend not in BACKENDS:
            known = ", ".join(BACKENDS)
            raise InputError(f"{request.backend!r} is no backend", where="--backend", remedy=f"Use one of {known}.")
        return request.backend
    devices = [d for d in discover_devices() if d.kind == "gpu" and not d.problem]
    for device in sorted(devices, key=lambda d: -(d.memory_bytes or 0)):
        return next(b.name for b in BACKENDS.values() if b.is_gpu and device.vendor in b.vendors)
    return "cpu"


def asked_memory(text: str, backend: str) -> tuple[int, str]:
    """The memory that is meant in bytes, and where the figure is from.

    Raises:
        InputError: it is no size, or there is no card here whose memory could be meant.
    """
    if text:
        match = _SIZE.fullmatch(text.strip())
        size = int(float(match["number"]) * _UNITS[match["unit"].lower()]) if match else 0
        if not size:
            raise InputError(f"{text!r} is no size", where="--memory", remedy="Write it like 24GiB or 512MiB.")
        return size, "as asked"
    if not BACKENDS[backend].is_gpu:
        return memory_in_all(), "this machine's"
    sizes = [d.memory_bytes for d in discover_devices() if d.vendor in BACKENDS[backend].vendors and d.memory_bytes]
    if not sizes:
        raise InputError(
            f"this machine has no card for {backend} that tells its memory",
            where="--memory",
            remedy="Give it, like --memory 24GiB.",
        )
    return max(sizes), "the largest card's here"


def asked_context(request: FitRequest, backend: str) -> Context:
    """The context that is asked for.

    Raises:
        InputError: a number out of range, a type that is none, or one that llama.cpp refuses.
    """
    for name, value, most in (
        ("--context", request.context, LONGEST),
        ("--ubatch", request.ubatch, 1 << 16),
        ("--parallel", request.parallel, 1 << 10),
        ("--cpu-moe", request.cpu_moe, 1 << 10),
        ("--ngl", request.ngl or 0, 1 << 10),
    ):
        if not 0 <= value <= most or (value == 0 and name in {"--ubatch", "--parallel"}):
            raise InputError(f"{value} is out of range", where=name, remedy=f"Give a whole number up to {most}.")
    kinds = {"--kv-type": request.kv_type or "f16", "--kv-type-v": request.kv_type_v or request.kv_type or "f16"}
    for name, kind in kinds.items():
        if kind not in STORED:
            raise InputError(
                f"{kind!r} is no type of a KV cache", where=name, remedy=f"Use one of {', '.join(STORED)}."
            )
    if not request.flash_attn and kinds["--kv-type-v"] not in {"f16", "bf16", "f32"}:
        raise InputError(
            "llama.cpp makes no quantized cache of values without flash attention",
            where="--no-flash-attn",
            remedy="Leave it out, or use --kv-type f16.",
        )
    layers = request.ngl if request.ngl is not None else every_layer(backend)
    return Context(
        n_ctx=request.context or DEFAULT_CONTEXT,
        n_ubatch=request.ubatch,
        flash_attn=request.flash_attn,
        type_k=kinds["--kv-type"],
        type_v=kinds["--kv-type-v"],
        n_gpu_layers=layers if BACKENDS[backend].is_gpu else 0,
        n_cpu_moe=request.cpu_moe,
        n_sequences=request.parallel,
        n_threads=physical_cores(),
    )
