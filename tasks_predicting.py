"""The tasks of `invoke` that say what would be faster: predicted from data sheets, or tried; see `tasks.py`."""

from __future__ import annotations

from invoke import Context, task

from tasks_told import told as _told


@task(
    help={
        "gpu": "a device of harness/analysis/hardware.yaml: its key, or a part of its name",
        "price": "of a kilowatt-hour, in any currency: adds the cost of a million tokens",
        "json": "print JSON",
    }
)
@_told
def whatif(_context: Context, gpu: str, price: str = "", json: bool = False) -> None:
    """Predict the speed of a device that you do not have, from data sheets and public scoreboards. Runs nothing."""
    from harness.flows.whatif import show_whatif

    show_whatif(gpu, price=price, as_json=json)


@task(
    help={
        "model": "a name of `invoke models`, a GGUF file, or owner/repository/file.gguf on the Hugging Face Hub",
        "memory": "such as 24GiB (default: of the largest card here, on the CPU of this machine)",
        "context": "tokens (default 4096)",
        "with_": "another model that is to be there at the same time, NAME or NAME@CONTEXT; may be given several times",
        "kv_type": "of the KV cache: f16 (default), q8_0, q4_0, ...",
        "kv_type_v": "of its values, where it differs",
        "ngl": "layers on the device (default: all)",
        "ubatch": "tokens that are computed together (default 512)",
        "flash_attn": "off with --no-flash-attn",
        "backend": "as in a matrix file (default: that of the largest card here, else cpu)",
        "cpu_moe": "of so many layers the experts stay on the host (--n-cpu-moe)",
        "parallel": "sequences at a time, which share the context",
        "json": "print the answer as JSON",
    },
    iterable=["with_"],
)
@_told
def fit(
    _context: Context,
    model: str,
    memory: str = "",
    context: int = 0,
    with_: list[str] | None = None,
    kv_type: str = "",
    kv_type_v: str = "",
    ngl: int = -1,
    ubatch: int = 512,
    flash_attn: bool = True,
    backend: str = "",
    cpu_moe: int = 0,
    parallel: int = 1,
    json: bool = False,
) -> None:
    """Say whether a model fits into a memory, with which context, and what else beside it. Fetches no weights."""
    from harness.flows.fit import show_fit
    from harness.flows.fit_request import FitRequest

    show_fit(
        FitRequest(
            model=model,
            memory=memory,
            context=context,
            beside=tuple(with_ or ()),
            kv_type=kv_type,
            kv_type_v=kv_type_v,
            ngl=None if ngl < 0 else ngl,
            ubatch=ubatch,
            flash_attn=flash_attn,
            backend=backend,
            cpu_moe=cpu_moe,
            parallel=parallel,
        ),
        as_json=json,
    )


@task(
    help={
        "file": "matrix file: its first llama-bench cell is what the wins are tried on",
        "only": "only claims whose name holds this, such as 'flash attention'",
        "preset": "of the comparison: standard (default) or rigorous",
        "gate_wait": "seconds to wait for a quiet machine before each run (default 300)",
        "fresh": "start again",
        "json": "print JSON",
    },
    iterable=["only"],
)
@_told
def wins(
    _context: Context,
    file: str = "demo.yaml",
    only: list[str] | None = None,
    preset: str = "standard",
    gate_wait: float = 300.0,
    fresh: bool = False,
    json: bool = False,
) -> None:
    """Try the quick wins of performance guides on this machine, and say which are true here, and what to start."""
    from harness.flows.wins import WinsRequest, show_wins

    show_wins(
        WinsRequest(
            file=file,
            only=tuple(only or ()),
            preset=preset,
            gate_wait_s=float(gate_wait),
            fresh=fresh,
            as_json=json,
        )
    )
