from dataclasses import replace

import pytest

from harness.matrix.estimate import CPU_THREAD, GPU, SOFTWARE, START_S, ModelSize, estimate
from harness.values.cell import Cell, Test
from harness.values.measurement import CONTEXT

SIZE = ModelSize(n_params=1_000_000_000, size_bytes=600_000_000)


def cell(name: str, test: Test, *, backend: str = "cuda", device: str = "default", n_threads: int = 1) -> Cell:
    params = {"n_threads": n_threads}
    return Cell(id=name, backend=backend, image=backend, model="m", device=device, params=params, test=test)


def seconds(one: Cell, *, rounds: int = 1, repetitions: int = 2, **more: dict[str, float]) -> float:
    return estimate(((one,),), sizes={"m": SIZE}, rounds=rounds, repetitions=repetitions, **more).seconds


def test_prompt_processing_follows_from_flops() -> None:
    sample_s = 1000 * 2e9 / GPU.flops
    # Warm-up round: start, load, warm-up, one sample; counted round: start, load, warm-up, two samples.
    assert seconds(cell("c", Test(n_prompt=1000))) == pytest.approx(2 * (START_S + 0.6) + 5 * sample_s)


def test_text_generation_follows_from_bandwidth() -> None:
    token_s = 600e6 / GPU.bytes_per_s
    assert seconds(cell("c", Test(n_gen=100))) == pytest.approx(2 * (START_S + 0.6) + (3 * 100 + 2) * token_s)


def test_depth_is_filled_once_a_run() -> None:
    deep = seconds(cell("c", Test(n_gen=1, n_depth=5000))) - seconds(cell("c", Test(n_gen=1)))
    assert deep == pytest.approx(2 * 5000 * 2e9 / GPU.flops)


def test_attention_grows_with_the_square_of_the_context() -> None:
    size = ModelSize(n_params=1_000_000_000, size_bytes=600_000_000, attention_flops=1e6)
    sizes = {"m": size}
    short, long = (
        estimate(((cell("c", Test(n_prompt=n)),),), sizes=sizes, rounds=1, repetitions=1).seconds - 2 * (START_S + 0.6)
        for n in (1000, 2000)
    )
    assert short == pytest.approx(4 * (1000 * 2e9 + 1000 * 500 * 1e6) / GPU.flops)
    assert long == pytest.approx(4 * (2000 * 2e9 + 2000 * 1000 * 1e6) / GPU.flops)


@pytest.mark.parametrize(
    ("asked", "trained", "tokens"), [(0, 4096, 4096), (0, None, 32768), (65536, 8192, 8192), (2048, 8192, 2048)]
)
def test_a_search_for_the_largest_context_is_a_trial_and_then_that_context(
    asked: int, trained: int | None, tokens: int
) -> None:
    sizes = {"m": replace(SIZE, context_length=trained)}
    search = cell("c", Test(n_prompt=asked, measurement=CONTEXT))
    found = estimate(((search,),), sizes=sizes, rounds=1, repetitions=1).seconds
    # The trial, the warm-up round and one counted: each with a warm-up and a sample.
    assert found == pytest.approx(3 * (START_S + 0.6) + 6 * tokens * 2e9 / GPU.flops)


def test_measured_rates_go_before_the_table() -> None:
    assert seconds(cell("c", Test(n_prompt=1000)), rates={"c": 100.0}) == pytest.approx(2 * (START_S + 0.6) + 5 * 10)


def test_devices_differ() -> None:
    test = Test(n_prompt=64)
    cpu1 = seconds(cell("c", test, backend="cpu"))
    cpu4 = seconds(cell("c", test, backend="cpu", n_threads=4))
    software = seconds(cell("c", test, backend="vulkan", device="software"))
    assert seconds(cell("c", test)) < cpu4 < cpu1 < software
    assert SOFTWARE.flops < CPU_THREAD.flops < GPU.flops


def test_more_rounds_and_repetitions_take_longer() -> None:
    one = cell("c", Test(n_prompt=1000, n_gen=100))
    assert seconds(one) < seconds(one, repetitions=5) < seconds(one, rounds=6, repetitions=5)


def test_cells_share_start_and_loading() -> None:
    pair = (cell("a", Test(n_prompt=8)), cell("b", Test(n_prompt=8)))
    together = estimate((pair,), sizes={"m": SIZE}, rounds=1, repetitions=2).seconds
    apart = estimate(tuple((c,) for c in pair), sizes={"m": SIZE}, rounds=1, repetitions=2).seconds
    assert apart - together == pytest.approx(2 * (START_S + 0.6))


def test_models_of_unknown_size_are_named() -> None:
    found = estimate(((cell("a", Test(n_prompt=8)),),), sizes={}, rounds=1, repetitions=2)
    assert found.unknown == ("m",)
    assert found.by_cell == {"a": None}
    assert found.seconds == 0
