"""The quick wins of performance guides, and the field's others, as pairs of cells of one matrix. Pure.

Each win is a claim: what comes *after* is faster than what was *before*. Both sides are cells of the same matrix, so
they are measured in the same rounds, and what they share cancels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.values.backend import BACKENDS
from harness.values.cell import Cell, ParameterValue, Test
from harness.values.measurement import BATCHED, BENCH, LATENCY, TEXT

DEEP = 4096
"""Tokens in the context where a long one is meant and the file names none; less where the model was made for less."""
SHORT = 512
_SEQUENCES = 4
_MICRO_BATCHES = (256, 1024)
_BATCH = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of a claim: a cell of the matrix by what it is, since ids depend on the file.

    Attributes:
        model: its key. params: what differs from the base. test: the shape.
    """

    model: str
    test: Test
    params: Mapping[str, ParameterValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Win:
    """One claim.

    Attributes:
        name: short, for tables: `flash attention`.
        claim: what guides promise, in words; with figures where they give any.
        before, after: its two sides.
        sets: parameters for the user's own server where it holds; empty where it is no setting.
        model: the model to use instead where it holds; empty where it is the same.
        metric: by which the sides are compared, a name in `METRICS`; empty for what stands for the measurement.
        draft: the model that drafts where it holds; empty for none.
    """

    name: str
    claim: str
    before: Side
    after: Side
    sets: Mapping[str, ParameterValue] = field(default_factory=dict)
    model: str = ""
    metric: str = ""
    draft: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is known of machine and models before.

    Attributes:
        cores: physical. threads: logical ones that may be used.
        context_length: of the base model; None where unknown.
        quantizations: models of the same shape as the base, the largest first, the base among them.
        draft: the model that the file names to draft for the base; empty for none.
        depth: the deepest context that the file asks for with the base; None where it names none.
    """

    cores: int
    threads: int
    context_length: int | None = None
    quantizations: tuple[str, ...] = ()
    draft: str = ""
    depth: int | None = None


def claims(base: Cell, about: About) -> tuple[Win, ...]:
    """Every claim that means something for this backend and model.

    Args:
        base: a prompt or generation cell of llama-bench, with the user's own settings.
    """
    pp, tg = Test(n_prompt=512), Test(n_gen=128)
    if base.test.measurement == BENCH and base.test.n_prompt:
        pp = replace(pp, n_prompt=base.test.n_prompt)
    if base.test.measurement == BENCH and base.test.n_gen:
        tg = replace(tg, n_gen=base.test.n_gen)
    deep = min(about.depth or DEEP, (about.context_length or DEEP) - tg.n_gen)
    found = [
        *_offload(base, pp, tg),
        *_quantizations(about, tg),
        *_context(base, tg, deep),
        *_flash_attention(base, pp, tg, deep),
        *_batching(base),
        *_batches(base, pp),
        *_cache_types(base, tg, deep),
        *_threads(base, about, pp, tg),
        *_load_mode(base, tg),
        *_drafting(base, about),
    ]
    return tuple(found)


def _side(base: Cell, test: Test, **params: ParameterValue) -> Side:
    return Side(model=base.model, test=test, params=params)


def _offload(base: Cell, *tests: Test) -> list[Win]:
    if not BACKENDS[base.backend].is_gpu:
        return []
    return [
        Win(
            name="all layers on the GPU",
            claim="the largest of all wins",
            before=_side(base, test, n_gpu_layers=0),
            after=_side(base, test, n_gpu_layers=99),
            sets={"n_gpu_layers": 99},
        )
        for test in tests
    ]


def _quantizations(about: About, tg: Test) -> list[Win]:
    """Each against the next larger one: the step is what a user decides about."""
    steps = zip(about.quantizations, about.quantizations[1:], strict=False)
    return [
        Win(
            name=f"{smaller} instead of {larger}",
            claim="faster by the ratio of the sizes, at a cost in quality",
            before=Side(model=larger, test=tg),
            after=Side(model=smaller, test=tg),
            model=smaller,
        )
        for larger, smaller in steps
    ]


def _context(base: Cell, tg: Test, deep: int) -> list[Win]:
    if deep <= SHORT:
        return []
    return [
        Win(
            name=f"a context of {SHORT} instead of {deep}",
            claim="less to read for each token",
            before=_side(base, replace(tg, n_depth=deep)),
            after=_side(base, replace(tg, n_depth=SHORT)),
        )
    ]


def _flash_attention(base: Cell, pp: Test, tg: Test, deep: int) -> list[Win]:
    tests = [pp, tg] + ([replace(tg, n_depth=deep)] if deep > SHORT else [])
    return [
        Win(
            name="flash attention",
            claim="faster, and less memory",
            before=_side(base, test, flash_attn=0),
            after=_side(base, test, flash_attn=1),
            sets={"flash_attn": 1},
        )
        for test in tests
    ]


def _batching(base: Cell) -> list[Win]:
    one = Test(n_prompt=128, n_gen=64, measurement=BATCHED)
    return [
        Win(
            name=f"{_SEQUENCES} requests at once",
            claim="2 to 4 times the tokens in all",
            before=_side(base, one),
            after=_side(base, replace(one, n_parallel=_SEQUENCES)),
        )
    ]


def _batches(base: Cell, pp: Test) -> list[Win]:
    now = int(base.params.get("n_ubatch", 512))
    longer = replace(pp, n_prompt=max(pp.n_prompt, *_MICRO_BATCHES))
    batch = int(base.params.get("n_batch", 2048))
    larger = [
        Win(
            name=f"batch of {batch} instead of {_BATCH}",
            claim="faster prompts",
            before=_side(base, longer, n_batch=_BATCH),
            after=_side(base, longer),
            sets={"n_batch": batch},
        )
    ] * (now <= _BATCH < min(batch, longer.n_prompt))
    return larger + [
        Win(
            name=f"micro-batch of {size} instead of {now}",
            claim="faster prompts",
            before=_side(base, longer),
            after=_side(base, longer, n_ubatch=size),
            sets={"n_ubatch": size},
        )
        for size in _MICRO_BATCHES
        if size not in {now} and size <= batch
    ]


def _cache_types(base: Cell, tg: Test, deep: int) -> list[Win]:
    if deep <= SHORT:
        return []
    test = replace(tg, n_depth=deep)
    return [
        Win(
            name="KV cache of 8 bits instead of 16",
            claim="half the memory, faster at depth",
            before=_side(base, test, flash_attn=1),
            # llama.cpp quantizes the values of the cache only with flash attention.
            after=_side(base, test, flash_attn=1, type_k="q8_0", type_v="q8_0"),
            sets={"flash_attn": 1, "type_k": "q8_0", "type_v": "q8_0"},
        )
    ]


def _threads(base: Cell, about: About, *tests: Test) -> list[Win]:
    if BACKENDS[base.backend].is_gpu:
        return []
    now = int(base.params.get("n_threads", about.cores))
    others = sorted({about.cores, about.threads, max(1, about.cores // 2)} - {now})
    return [
        Win(
            name=f"{count} thread{'s' * (count > 1)} instead of {now}",
            claim="as many as there are cores, no more",
            before=_side(base, test),
            after=_side(base, test, n_threads=count),
            sets={"n_threads": count},
        )
        for count in others
        for test in tests
    ]


def _load_mode(base: Cell, tg: Test) -> list[Win]:
    if base.params.get("load_mode") == "none":
        return []
    return [
        Win(
            name="no memory mapping",
            claim="faster where pages are slow to come",
            before=_side(base, tg),
            after=_side(base, tg, load_mode="none"),
            sets={"load_mode": "none"},
        )
    ]


def _drafting(base: Cell, about: About) -> list[Win]:
    if not about.draft:
        return []
    served = Test(n_prompt=128, n_gen=64, measurement=LATENCY, prompts=TEXT)
    return [
        Win(
            name=f"speculative decoding, drafted by {about.draft}",
            claim="more tokens a second, the same text",
            before=_side(base, served),
            after=_side(base, replace(served, draft=about.draft)),
            metric="client_generation_tokens_per_s",
            draft=about.draft,
        )
    ]


def matrix_of(base: Cell, wins: Sequence[Win], *, images: Any, models: Any, preset: str) -> dict[str, Any]:
    """The matrix file in which both sides of every claim are measured, as its content.

    Args:
        images, models: of the user's own file.
    """
    entries: dict[str, dict[str, Any]] = {}
    for win in wins:
        for side in (win.before, win.after):
            entry = _entry(base, side)
            entries.setdefault(repr(entry), entry)
    matrix: dict[str, Any] = {"title": f"Quick wins for {base.model} on {base.backend}", "preset": preset}
    matrix |= {"images": images} if images else {}
    matrix |= {"models": models} if models else {}
    return {**matrix, "cells": list(entries.values())}


def _entry(base: Cell, side: Side) -> dict[str, Any]:
    test = side.test
    entry: dict[str, Any] = {"backend": base.backend, "image": base.image, "model": side.model}
    entry |= {"device": base.device} if base.device != "default" else {}
    entry |= _shape(test)
    kept = {name: value for name, value in base.params.items() if name != "n_gpu_layers" or base.backend != "cpu"}
    return {**entry, **kept, **side.params}


def _shape(test: Test) -> dict[str, Any]:
    if test.measurement == BATCHED:
        return {"measure": BATCHED, "n_prompt": test.n_prompt, "n_gen": test.n_gen, "parallel": test.n_parallel}
    if test.measurement == LATENCY:
        served = {"measure": LATENCY, "n_prompt": test.n_prompt, "n_gen": test.n_gen, "prompts": test.prompts}
        return served | ({"draft": test.draft} if test.draft else {})
    name = replace(test, n_depth=0).name
    return {"tests": name} | ({"n_depth": test.n_depth} if test.n_depth else {})


def find(cells: Sequence[Cell], base: Cell, side: Side) -> Cell | None:
    """The cell of the matrix that is this side; None where there is none."""
    wanted = {**base.params, **side.params}
    return next(
        (cell for cell in cells if cell.model == side.model and cell.test == side.test and dict(cell.params) == wanted),
        None,
    )
