"""Results that have named fields: objects of JSON, lines of CSV, rows of SQL."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from harness.formats.foreign.fields import FieldError, metric, positive, text_of, texts, tokens, whole
from harness.formats.strict_json import JsonError, loads
from harness.values.foreign import ForeignRow

PARAMETERS = (
    "n_gpu_layers",
    "flash_attn",
    "n_batch",
    "n_ubatch",
    "n_threads",
    "type_k",
    "type_v",
    "split_mode",
    "main_gpu",
    "no_kv_offload",
    "tensor_split",
    "tensor_buft_overrides",
    "load_mode",
    "use_mmap",
    "n_cpu_moe",
    "embeddings",
)
OLD_BACKENDS = ("kompute", "metal", "sycl", "gpu_blas", "blas")
"""Flags of builds before late 2024; those of single vendors' backends are among the names that other rows print."""
_AGREE = 1e-3


def rows_of(value: Mapping[str, Any], *, form: str, line: int) -> list[ForeignRow]:
    """The results of one object.

    Raises:
        FieldError: it is a result of a known program, and not a valid one. It says why.
        LookupError: it is no result of a program that is known here.
    """
    readers: tuple[tuple[Callable[[Mapping[str, Any]], bool], Callable[..., list[ForeignRow]]], ...] = (
        (lambda v: isinstance(v.get("result"), dict) and "configuration" in v, _ramalama),
        (lambda v: isinstance(v.get("benchmarks"), list) and "latency_mode" in v, _benchy),
        (lambda v: "speed_pp" in v and "speed_tg" in v, _batched),
        (lambda v: "n_prompt" in v and "n_gen" in v and "avg_ts" in v, _llama_bench),
        (lambda v: "device" in v and "pp512" in v and "tg128" in v, _board),
    )
    for belongs, read in readers:
        if belongs(value):
            return read(value, form=form, line=line)
    raise LookupError


def _llama_bench(value: Mapping[str, Any], *, form: str, line: int, program: str = "llama-bench") -> list[ForeignRow]:
    n_prompt, n_gen = tokens(value["n_prompt"]), tokens(value["n_gen"])
    n_depth = tokens(value.get("n_depth") or 0)
    printed = positive(_number(value["avg_ts"]))
    samples = _samples(value.get("samples_ns"))
    if samples:
        rates = [1e9 * (n_prompt + n_gen) / sample for sample in samples]
        if not math.isclose(fmean(rates), printed, rel_tol=_AGREE):
            raise FieldError(f"prints {printed:g} tokens/s, and its samples are {fmean(rates):g}")
        printed = fmean(rates)
    deviation = value.get("stddev_ts")
    row = ForeignRow(
        program=program,
        form=form,
        line=line,
        model=text_of(value.get("model_type") or value.get("model_filename") or ""),
        device=text_of(value.get("gpu_info") or value.get("cpu_info") or ""),
        backend=_backend(value),
        metric=metric(n_prompt, n_gen),
        n_prompt=n_prompt,
        n_gen=n_gen,
        n_depth=n_depth,
        tokens_per_s=printed,
        deviation=_number(deviation) if deviation is not None else None,
        samples_ns=samples,
        build_commit=text_of(value.get("build_commit") or "")[:64],
        build_number=whole(value.get("build_number")),
        size_bytes=whole(value.get("model_size")),
        n_params=whole(value.get("model_n_params")),
        cpu=text_of(value.get("cpu_info") or ""),
        measured_utc=text_of(value.get("test_time") or "")[:40],
        params={name: text_of(value[name]) for name in PARAMETERS if value.get(name) is not None},
        raw=texts(value),
    )
    return [row]


def _number(value: object) -> float:
    if isinstance(value, str):
        try:
            return _number(float(value))
        except ValueError:
            raise FieldError(f"{value[:40]!r} is no number") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FieldError(f"{str(value)[:40]!r} is no number")
    return float(value)


def _samples(value: object) -> tuple[int, ...]:
    """Durations, also as JSON in a text, as ramalama keeps them."""
    if isinstance(value, str) and value:
        try:
            value = loads(value)
        except JsonError as error:
            raise FieldError(f"samples_ns: {error}") from error
    if not _given(value):
        return ()
    if not isinstance(value, list) or not all(type(sample) is int and 0 < sample < 2**63 for sample in value):
        raise FieldError("samples_ns are not durations")
    return tuple(value)


def _given(value: object) -> bool:
    return value is not None and value != ""


def _set(value: object) -> bool:
    return value in (True, "1")


def _backend(value: Mapping[str, Any]) -> str:
    if isinstance(value.get("backends"), str):
        return text_of(value["backends"])
    # Flags of early builds: whichever is set is the backend's name.
    flags = [name for name in value if _set(value[name]) and name in _flags(value)]
    return ",".join(name.upper() for name in flags)


def _flags(value: Mapping[str, Any]) -> Sequence[str]:
    """The flags of backends: they stand between the build and the CPU in the rows of early builds."""
    names = list(value)
    if "cpu_info" not in names or "build_number" not in names:
        return OLD_BACKENDS
    return names[names.index("build_number") + 1 : names.index("cpu_info")]


def _ramalama(value: Mapping[str, Any], *, form: str, line: int) -> list[ForeignRow]:
    result = {name: item for name, item in value["result"].items() if item is not None}
    if not {"n_prompt", "n_gen", "avg_ts"} <= result.keys():
        raise FieldError("its result has no test or no rate")
    (row,) = _llama_bench(result, form=form, line=line, program="ramalama bench")
    configuration, device = value["configuration"], value.get("device")
    about: dict[str, Any] = dict(configuration) if isinstance(configuration, dict) else {}
    if isinstance(device, dict):
        # The name of the host is its owner's business.
        about |= {name: item for name, item in device.items() if name != "hostname"}
    return [replace(row, raw={**row.raw, **texts(about)})]


def _batched(value: Mapping[str, Any], *, form: str, line: int) -> list[ForeignRow]:
    n_prompt, n_gen, parallel = (tokens(value.get(name, 0)) for name in ("pp", "tg", "pl"))
    shared = {name: text_of(value[name]) for name in PARAMETERS if name in value}
    rows = []
    for kind, speed, prompt, gen, depth in (
        ("pp", "speed_pp", n_prompt, 0, 0),
        ("tg", "speed_tg", 0, n_gen, n_prompt),
    ):
        if prompt or gen:
            rows.append(
                ForeignRow(
                    program="llama-batched-bench",
                    form=form,
                    line=line,
                    model="",
                    metric=kind,
                    n_prompt=prompt,
                    n_gen=gen,
                    n_depth=depth,
                    parallel=max(1, parallel),
                    tokens_per_s=positive(_number(value[speed])),
                    params=shared,
                    raw=texts(value),
                )
            )
    if not rows:
        raise FieldError("a test without tokens")
    return rows


def _benchy(value: Mapping[str, Any], *, form: str, line: int) -> list[ForeignRow]:
    rows = []
    for run in value["benchmarks"]:
        if not isinstance(run, dict):
            raise FieldError("a benchmark that is no object")
        depth, prompt, gen = (tokens(run.get(name) or 0) for name in ("context_size", "prompt_size", "response_size"))
        prefill = bool(run.get("is_context_prefill_phase"))
        for kind, field, n_prompt, n_gen in (("pp", "pp_throughput", prompt, 0), ("tg", "tg_throughput", 0, gen)):
            found = run.get(field)
            if not isinstance(found, dict) or not found.get("mean") or not (n_prompt or n_gen):
                continue
            rows.append(
                ForeignRow(
                    program="llama-benchy",
                    form=form,
                    line=line,
                    model=text_of(value.get("model") or ""),
                    metric=kind,
                    n_prompt=depth if prefill and kind == "pp" else n_prompt,
                    n_gen=n_gen,
                    n_depth=0 if prefill and kind == "pp" else depth,
                    parallel=max(1, tokens(run.get("concurrency") or 1)),
                    tokens_per_s=positive(_number(found["mean"])),
                    deviation=_number(found["std"]) if found.get("std") is not None else None,
                    measured_utc=text_of(value.get("timestamp") or "")[:40],
                    params={"through": "a server, over HTTP"},
                    raw=texts({**{k: v for k, v in value.items() if k != "benchmarks"}, **_shallow(run)}),
                )
            )
    if not rows:
        raise FieldError("no benchmark in it has a rate")
    return rows


def _shallow(run: Mapping[str, Any]) -> dict[str, Any]:
    means = {name: item["mean"] for name, item in run.items() if isinstance(item, dict) and "mean" in item}
    return {**{name: item for name, item in run.items() if not isinstance(item, dict | list)}, **means}


BOARD_MODEL = "llama 7B Q4_0"
"""What llama.cpp's scoreboards measure (Llama 2 7B), where a table does not say it."""


def _board(value: Mapping[str, Any], *, form: str, line: int) -> list[ForeignRow]:
    rows = []
    for kind, field, prompt, gen in (("pp", "pp512", 512, 0), ("tg", "tg128", 0, 128)):
        if str(value[field] or "").strip():
            deviation = value.get(f"{field}_sd")
            rows.append(
                ForeignRow(
                    program="scoreboard",
                    form=form,
                    line=line,
                    model=text_of(value.get("model") or BOARD_MODEL),
                    device=text_of(value["device"]),
                    backend=text_of(value.get("backend") or ""),
                    metric=kind,
                    n_prompt=prompt,
                    n_gen=gen,
                    tokens_per_s=positive(_number(value[field])),
                    deviation=_number(deviation) if _given(deviation) else None,
                    build_commit=text_of(value.get("commit") or value.get("build") or "")[:64],
                    params={"flash_attn": text_of(value["fa"])} if _given(value.get("fa")) else {},
                    raw=texts(value),
                )
            )
    if not rows:
        raise FieldError("a line of a scoreboard without a rate")
    return rows
