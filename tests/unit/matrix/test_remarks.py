from harness.matrix.cell_ids import default_params
from harness.matrix.remarks import remarks
from harness.values.cell import Cell, ParameterValue, Test


def cell(name: str, **params: ParameterValue) -> Cell:
    full = default_params("cuda", params) | params
    return Cell(id=name, backend="cuda", image="cuda", model="m", params=full, test=Test(n_prompt=8))


def test_nothing_to_say() -> None:
    assert remarks((cell("a"), cell("b", type_v="q8_0", flash_attn=1), cell("c", type_k="q8_0"))) == ()


def test_a_quantized_type_v_needs_flash_attention() -> None:
    (one,) = remarks((cell("a", type_v="q8_0"),))
    assert one.startswith("a will fail: llama.cpp creates no context with a quantized type_v and flash_attn 0.")
    (two,) = remarks((cell("a", type_v="q8_0"), cell("b", type_v="q4_0")))
    assert two.startswith("2 cells (a, ...) will fail")


def test_automatic_flash_attention_is_not_ranked() -> None:
    (one,) = remarks((cell("a", flash_attn="auto"),))
    assert one.startswith("a cannot be ranked")


def test_several_vendors_in_an_empty_context_only() -> None:
    other = Cell(id="b", backend="vulkan", image="vulkan", model="m", params=cell("b").params, test=Test(n_prompt=8))
    (one,) = remarks((cell("a"), other))
    assert one.startswith("CUDA, Vulkan are compared in an empty context only")
    deep = Cell(
        id="c", backend="vulkan", image="vulkan", model="m", params=cell("c").params, test=Test(n_gen=8, n_depth=64)
    )
    assert remarks((cell("a"), other, deep)) == ()
