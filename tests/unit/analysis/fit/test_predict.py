from dataclasses import replace

import pytest

from harness.analysis.fit.context import Context, cache_bytes, device_cache_bytes, host_cache_bytes
from harness.analysis.fit.parts import compute, weights
from harness.analysis.fit.predict import (
    bytes_per_context_token,
    depth_state,
    fits,
    largest,
    largest_context,
    largest_offload,
    needed,
    predict,
)
from harness.values.model_shape import ModelShape

MIB = 1 << 20
GIB = 1 << 30


def test_the_cache_of_llama_2_7b_is_half_a_megabyte_a_token(llama2_7b: ModelShape) -> None:
    context = Context(n_ctx=4096)
    assert device_cache_bytes(llama2_7b, context) == 2 * GIB
    assert host_cache_bytes(llama2_7b, context) == 0
    assert bytes_per_context_token(llama2_7b, context) == 2 * 2 * 4096 * 32


def test_contexts_are_rounded_up_to_256(llama2_7b: ModelShape) -> None:
    assert device_cache_bytes(llama2_7b, Context(n_ctx=1)) == device_cache_bytes(llama2_7b, Context(n_ctx=256))
    assert device_cache_bytes(llama2_7b, Context(n_ctx=257)) == 2 * device_cache_bytes(llama2_7b, Context(n_ctx=256))


def test_a_quantized_cache_takes_what_its_blocks_take(llama2_7b: ModelShape) -> None:
    plain = device_cache_bytes(llama2_7b, Context(n_ctx=4096, flash_attn=True))
    q8 = device_cache_bytes(llama2_7b, Context(n_ctx=4096, flash_attn=True, type_k="q8_0", type_v="q8_0"))
    assert q8 / plain == 34 / 64


def test_a_window_is_a_bound_for_its_layers(llama2_7b: ModelShape) -> None:
    windowed = replace(llama2_7b, window=512, blocks=tuple(replace(b, windowed=True) for b in llama2_7b.blocks))
    long, longer = (device_cache_bytes(windowed, Context(n_ctx=n)) for n in (4096, 32768))
    assert long == longer == 1024 * 2 * 2 * 4096 * 32
    assert bytes_per_context_token(windowed, Context(n_ctx=4096)) == 0


def test_latent_attention_keeps_no_values(llama2_7b: ModelShape) -> None:
    block = replace(llama2_7b.blocks[0], count=1, n_kv_heads=1, key_width=576, value_width=512)
    shape = replace(llama2_7b, latent=True, blocks=(block,))
    assert cache_bytes(shape, Context(n_ctx=256), block) == 256 * 576 * 2


def test_a_state_does_not_grow_with_the_context(llama2_7b: ModelShape) -> None:
    block = replace(llama2_7b.blocks[0], count=1, n_kv_heads=0, recurrent=True)
    shape = replace(llama2_7b, state_bytes=1000, blocks=(block,))
    assert device_cache_bytes(shape, Context(n_ctx=256)) == device_cache_bytes(shape, Context(n_ctx=65536)) == 1000
    assert device_cache_bytes(shape, Context(n_ctx=256, n_sequences=3)) == 3000


def test_the_embedding_stays_on_the_host_and_the_last_layers_go_first(llama2_7b: ModelShape) -> None:
    everything = weights(llama2_7b, Context(n_ctx=256), cpu="none")
    assert everything.host == llama2_7b.embedding_bytes
    assert everything.host + everything.device == llama2_7b.weight_bytes
    one = weights(llama2_7b, Context(n_ctx=256, n_gpu_layers=1), cpu="none")
    assert one.device == llama2_7b.output_bytes + llama2_7b.other_bytes
    none = weights(llama2_7b, Context(n_ctx=256, n_gpu_layers=0), cpu="none")
    assert (none.device, none.host) == (0, llama2_7b.weight_bytes)


def test_the_cache_of_a_layer_lies_with_it(llama2_7b: ModelShape) -> None:
    half = Context(n_ctx=4096, n_gpu_layers=17)
    assert device_cache_bytes(llama2_7b, half) == host_cache_bytes(llama2_7b, half) == GIB
    assert device_cache_bytes(llama2_7b, replace(half, kv_offload=False)) == 0


def test_experts_can_stay_on_the_host(llama2_7b: ModelShape) -> None:
    block = replace(llama2_7b.blocks[0], expert_bytes=1000)
    shape = replace(llama2_7b, blocks=(block,))
    plain = weights(shape, Context(n_ctx=256), cpu="none")
    moved = weights(shape, Context(n_ctx=256, n_cpu_moe=3), cpu="none")
    assert plain.device - moved.device == moved.host - plain.host == 3000


def test_a_cpu_copies_some_weights_into_another_order(llama2_7b: ModelShape) -> None:
    found = predict(llama2_7b, Context(n_ctx=256), backend="cpu", cpu="avx2")
    plain = predict(llama2_7b, Context(n_ctx=256), backend="cpu", cpu="none")
    assert found.host == plain.host
    # All matrices of the layers; the output of a Q4_0 model is Q6_K, which is not copied.
    assert found.dropped == found.resident - plain.resident > 3 * GIB
    assert predict(llama2_7b, Context(n_ctx=256), backend="cpu", cpu="avx2", mapped=False).dropped == 0


def test_the_compute_buffer_follows_the_micro_batch_and_flash_attention(llama2_7b: ModelShape) -> None:
    small, large = (compute(llama2_7b, Context(n_ctx=4096, n_ubatch=n)).size_bytes for n in (128, 512))
    assert 3.5 < large / small < 4.5
    flash = compute(llama2_7b, Context(n_ctx=4096, flash_attn=True)).size_bytes
    # Scores of 4096 tokens by 512, 32 heads: 256 MiB that flash attention never holds.
    assert large - flash > 150 * MIB


def test_what_is_reserved_and_not_written_is_not_resident(llama2_7b: ModelShape) -> None:
    found = predict(llama2_7b, Context(n_ctx=512), backend="cpu", cpu="none")
    # Of the room for the logits of 512 tokens, that which nothing else used before: llama-bench asks for those of one.
    assert 4 * MIB < found.untouched < 63 * MIB
    assert found.resident == found.host - found.untouched


def test_the_longest_context_is_the_last_that_fits(llama2_7b: ModelShape) -> None:
    memory, context = 5 * GIB, Context(n_ctx=1, flash_attn=True)
    found = largest_context(llama2_7b, context, memory, backend="vulkan")
    assert found is not None
    assert fits(predict(llama2_7b, replace(context, n_ctx=found), backend="vulkan"), memory, backend="vulkan")
    assert not fits(predict(llama2_7b, replace(context, n_ctx=found + 1), backend="vulkan"), memory, backend="vulkan")
    assert largest_context(llama2_7b, context, 64 * GIB, backend="vulkan") == 4096
    assert largest_context(llama2_7b, context, GIB, backend="vulkan") is None


def test_what_else_is_there_takes_from_the_memory(llama2_7b: ModelShape) -> None:
    context = Context(n_ctx=1, flash_attn=True)
    alone = largest_context(llama2_7b, context, 5 * GIB, backend="vulkan")
    beside = largest_context(llama2_7b, context, 5 * GIB, backend="vulkan", beside=GIB // 4)
    assert alone is not None
    assert beside is not None
    assert beside < alone


def test_the_most_layers_that_fit(llama2_7b: ModelShape) -> None:
    context = Context(n_ctx=2048, flash_attn=True)
    found = largest_offload(llama2_7b, context, 3 * GIB, backend="vulkan")
    assert found is not None
    assert 0 < found < 33
    for layers, fitting in ((found, True), (found + 1, False)):
        there = predict(llama2_7b, replace(context, n_gpu_layers=layers), backend="vulkan")
        assert (needed(there, backend="vulkan") <= 3 * GIB) is fitting


def test_a_depth_is_kept_a_second_time(llama2_7b: ModelShape) -> None:
    context = Context(n_ctx=1024 + 8)
    assert depth_state(llama2_7b, context, depth=0) == 0
    assert depth_state(llama2_7b, context, depth=1024) == pytest.approx(GIB / 2, rel=1e-6)


@pytest.mark.parametrize("limit", [-1, 0, 1, 6, 7, 99])
def test_bisection(limit: int) -> None:
    expected = None if limit < 0 else min(limit, 7)
    assert largest(lambda n: n <= limit, 0, 7) == expected
