"""How long a matrix takes, before anything was run: rough, and said so.

A sample takes `n_prompt / pp + n_gen / tg` seconds, with `pp = flops / (2 x parameters)` and
`tg = bandwidth / size of the model` from the table below, or with a measured rate where one is given. A test takes its
repetitions, a warm-up (the prompt once, one token) and the filling of the depth; a run takes its tests, the start of
the container and the loading of the model; the warm-up round takes one repetition of each test. Attention grows with
the square of the context, where the model's header tells its layers. A search for the largest context is one trial as
large as it may be, and then that context like any other: nothing tells how much smaller it will turn out. Building
images and fetching models is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from harness.values.cell import Cell
from harness.values.measurement import CONTEXT

CONTEXT_TOKENS = 32768
"""Of a search whose model does not say for how many it was trained."""
START_S = 2.0
LOAD_BYTES_PER_S = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSize:
    """What the time depends on.

    Attributes:
        n_params: in all. size_bytes: of the file.
        context_length: tokens that it was trained for; None where that is not known.
        attention_flops: of a token for each position before it, in all layers that attend to all of them; 0 where
            that is not known.
    """

    n_params: int
    size_bytes: int
    context_length: int | None = None
    attention_flops: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What a device does in practice, not at best."""

    flops: float
    bytes_per_s: float


# A CPU core and Mesa's software device as measured on a small cloud machine with Gemma 3 270M and a synthetic 117M;
# a GPU like a middling one of 2022.
CPU_THREAD = Speed(flops=30e9, bytes_per_s=7e9)
CPU_MEMORY_BYTES_PER_S = 50e9
SOFTWARE = Speed(flops=3.3e9, bytes_per_s=0.33e9)
GPU = Speed(flops=20e12, bytes_per_s=250e9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The time that a matrix takes.

    Attributes:
        seconds: of everything whose model is known.
        by_cell: seconds of each cell over all rounds, by cell id; None where its model's size is not known yet.
        unknown: the models whose size is not known yet; their cells are not in `seconds`.
    """

    seconds: float
    by_cell: Mapping[str, float | None]
    unknown: tuple[str, ...]


def estimate(
    groups: Sequence[tuple[Cell, ...]],
    *,
    sizes: Mapping[str, ModelSize],
    rounds: int,
    repetitions: int,
    rates: Mapping[str, float] = MappingProxyType({}),
) -> Estimate:
    """Estimate the time of all rounds and of the warm-up round.

    Args:
        groups: as of `harness.matrix.rounds.group_cells`.
        sizes: of the models by name; may lack some.
        rounds: counted rounds. repetitions: samples of each test in each run.
        rates: tokens per second by cell id, as measured before.
    """
    by_cell: dict[str, float | None] = {}
    for group in groups:
        size = sizes.get(group[0].model)
        if size is None:
            by_cell |= dict.fromkeys(cell.id for cell in group)
            continue
        warm_up = run_seconds(group, size, repetitions=1, counted=False, rates=rates)
        counted = run_seconds(group, size, repetitions=repetitions, counted=True, rates=rates)
        for cell in group:
            # A search is a trial like its warm-up, and then like any other cell.
            once = 2 if cell.test.measurement == CONTEXT else 1
            by_cell[cell.id] = once * warm_up[cell.id] + rounds * counted[cell.id]
    return Estimate(
        seconds=sum(seconds for seconds in by_cell.values() if seconds is not None),
        by_cell=by_cell,
        unknown=tuple(dict.fromkeys(group[0].model for group in groups if group[0].model not in sizes)),
    )


def run_seconds(
    cells: Sequence[Cell],
    size: ModelSize,
    *,
    repetitions: int,
    counted: bool,
    rates: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, float]:
    """What one run takes, by cell id: the start and the loading are shared by its cells.

    Args:
        repetitions: samples of each test. counted: whether it is none of the warm-up: only then tests are sustained.
    """
    shared = (START_S + size.size_bytes / LOAD_BYTES_PER_S) / len(cells)
    return {
        cell.id: shared
        + _test_s(cell, size, repetitions, rates.get(cell.id), at_least_s=counted * cell.test.sustained_s)
        for cell in cells
    }


def _test_s(cell: Cell, size: ModelSize, repetitions: int, rate: float | None, *, at_least_s: float) -> float:
    speed = _speed(cell)
    prompt_s = 2 * size.n_params / speed.flops
    token_s = max(size.size_bytes / speed.bytes_per_s, prompt_s)
    test = cell.test
    n_prompt = test.n_prompt

    def filled_s(tokens: int, before: int = 0) -> float:
        return tokens * prompt_s + tokens * (before + tokens / 2) * size.attention_flops / speed.flops

    if test.measurement == CONTEXT:
        n_prompt = min(n_prompt or CONTEXT_TOKENS, size.context_length or n_prompt or CONTEXT_TOKENS)
    prompts_s = filled_s(n_prompt, test.n_depth)
    positions_s = test.n_depth * size.attention_flops / speed.flops
    sample_s = test.n_tokens / rate if rate and test.n_tokens else prompts_s + test.n_gen * (token_s + positions_s)
    warm_up_s = (sample_s if test.kind == "pp" else prompts_s) + (token_s if test.n_gen else 0.0)
    return warm_up_s + filled_s(test.n_depth) + max(repetitions * sample_s, at_least_s)


def _speed(cell: Cell) -> Speed:
    if cell.backend == "cpu":
        threads = max(1, int(cell.params.get("n_threads", 1)))
        bandwidth = min(threads * CPU_THREAD.bytes_per_s, CPU_MEMORY_BYTES_PER_S)
        return Speed(flops=threads * CPU_THREAD.flops, bytes_per_s=bandwidth)
    return SOFTWARE if cell.device == "software" else GPU
