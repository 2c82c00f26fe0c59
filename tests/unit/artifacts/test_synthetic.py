import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from gguf import quants
from gguf.constants import GGMLQuantizationType

from harness.artifacts.models import SYNTHETIC_MARK
from harness.artifacts.synthetic import MARK, write_synthetic
from harness.artifacts.synthetic_recipe import (
    ALIASES,
    ARCHITECTURES,
    QUANTIZATIONS,
    PlannedTensor,
    parse_recipe,
    planned_tensors,
)
from harness.artifacts.synthetic_tensors import POOL_VALUES, noise, tensor_data
from harness.errors import InputError
from harness.formats.gguf import read_header
from harness.values.cell import ParameterValue

TINY: dict[str, ParameterValue] = {
    "architecture": "llama",
    "n_layers": 2,
    "n_embd": 256,
    "n_ff": 512,
    "n_heads": 4,
    "n_kv_heads": 2,
    "n_vocab": 64,
    "n_ctx": 128,
    "quantization": "Q4_0",
    "seed": 7,
}
MOE: dict[str, ParameterValue] = {"n_experts": 4, "n_experts_used": 2}


def recipe(**changes: ParameterValue):
    return parse_recipe(TINY | changes, where="model tiny")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


GOLDEN = {
    "Q4_0": "ae57920111ce5292507ebfbe2a6a1aad05c30c840fb0d90ba00a32218cd61477",
    "Q4_K_M": "a71e373ddc67eba04425bd4152ebce456f361895a69d34f61bfa788f58d86da3",
    "Q5_K_M": "7705af53cafaee443e1bcd6eb492ce3fb3ec199552ced8cf2d9cac2ec99bbc7e",
    "Q8_0": "b7a192fd3adda84004f0b23a75b1bd039dc6e508c6b533a3a5e48696eed31288",
    "BF16": "e84eddaa83a7088c4105a9b703f715ad0f3898bf009fe03f0710a31445de7f23",
}


@pytest.mark.parametrize("quantization", GOLDEN)
def test_the_same_recipe_gives_the_same_bytes_everywhere(tmp_path: Path, quantization: str) -> None:
    # A new hash here means that every synthetic model anyone measured is another one: raise GENERATOR with it.
    path = tmp_path / "m.gguf"
    write_synthetic(recipe(quantization=quantization), path)
    assert sha256(path) == GOLDEN[quantization]


def test_another_seed_gives_other_weights_and_the_same_shape(tmp_path: Path) -> None:
    write_synthetic(recipe(), tmp_path / "1")
    write_synthetic(recipe(seed=8), tmp_path / "2")
    one, two = read_header(tmp_path / "1"), read_header(tmp_path / "2")
    assert one.tensors == two.tensors
    assert sha256(tmp_path / "1") != sha256(tmp_path / "2")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_the_file_is_what_the_recipe_says(tmp_path: Path, architecture: str, quantization: str) -> None:
    wanted = recipe(architecture=architecture, quantization=quantization, **(MOE if "moe" in architecture else {}))
    write_synthetic(wanted, tmp_path / "m.gguf")
    header = read_header(tmp_path / "m.gguf")
    assert (header.architecture, header.file_type) == (architecture, quantization)
    assert (header.n_layers, header.context_length) == (2, 128)
    assert header.n_params == wanted.n_params
    assert sum(header.type_bytes.values()) == wanted.size_bytes
    assert [(t.name, t.shape, t.type) for t in header.tensors] == [
        (t.name, t.shape, t.type) for t in planned_tensors(wanted)
    ]


def test_the_file_says_that_it_is_synthetic(tmp_path: Path) -> None:
    write_synthetic(recipe(), tmp_path / "m.gguf")
    metadata = read_header(tmp_path / "m.gguf").metadata
    assert metadata["general.name"] == "synthetic llama 1.2M Q4_0"
    assert metadata["tokenizer.ggml.model"] == "no_vocab"
    assert metadata[MARK] is True
    assert MARK == SYNTHETIC_MARK


@pytest.mark.parametrize("kind", sorted(set(QUANTIZATIONS.values()) - {"F32"}))
def test_weights_read_back_are_finite_and_near_the_noise(kind: str) -> None:
    tensor = PlannedTensor(name="blk.0.attn_q.weight", shape=(256, 64), type=kind)
    data = np.frombuffer(b"".join(tensor_data(tensor, seed=1)), dtype=np.uint8).reshape(64, -1)
    values = quants.dequantize(data, GGMLQuantizationType[kind]).reshape(-1)
    original = noise(256 * 64 - 256, seed=1, name=tensor.name)  # the pool has an odd number of rows
    allowed = {4: 0.09, 5: 0.045, 6: 0.02, 8: 0.006}.get(int(kind[1]) if kind[0] == "Q" else 0, 0.003)
    assert np.isfinite(values).all()
    error = values[: original.size] - original
    assert np.sqrt((error**2).mean()) / original.std() < allowed


def test_noise_has_a_realistic_scale_and_depends_on_seed_and_name() -> None:
    values = noise(100_000, seed=3, name="a")
    assert abs(values.mean()) < 3e-4
    assert 0.0197 < values.std() < 0.0203
    assert np.abs(values).max() < 0.0694
    assert (noise(100, seed=3, name="a") == values[:100]).all()
    assert (noise(100, seed=3, name="b") != values[:100]).any()
    assert (noise(100, seed=4, name="a") != values[:100]).any()


def test_large_tensors_repeat_an_odd_number_of_rows_in_bounded_pieces() -> None:
    rows = 4 * POOL_VALUES // 256
    tensor = PlannedTensor(name="x", shape=(256, rows), type="Q8_0")
    row_bytes = 256 // 32 * 34
    pieces = list(tensor_data(tensor, seed=1))
    assert sum(map(len, pieces)) == tensor.size_bytes
    assert max(map(len, pieces)) <= 16 << 20
    whole = b"".join(pieces)
    distinct = Counter(whole[i : i + row_bytes] for i in range(0, len(whole), row_bytes))
    assert len(distinct) % 2 == 1
    assert len(distinct) == POOL_VALUES // 256 - 1


def test_sizes_are_those_of_the_real_models() -> None:
    # llama-bench prints 3825065984 bytes and 6738415616 parameters for Llama 2 7B Q4_0.
    llama_7b = recipe(
        n_layers=32, n_embd=4096, n_ff=11008, n_heads=32, n_kv_heads=32, n_vocab=32000, n_ctx=4096, quantization="Q4_0"
    )
    assert (llama_7b.size_bytes, llama_7b.n_params) == (3825065984, 6738415616)


def test_mixture_of_types_is_that_of_llama_quantize() -> None:
    types = {t.name: t.type for t in planned_tensors(recipe(n_layers=18, quantization="Q4_K_M"))}
    six_bits = {int(name.split(".")[1]) for name, kind in types.items() if kind == "Q6_K" and "ffn_down" in name}
    assert six_bits == {0, 1, 4, 7, 10, 13, 15, 16, 17}
    assert types["output.weight"] == "Q6_K"
    assert types["blk.3.attn_q.weight"] == "Q4_K"
    assert types["blk.3.attn_norm.weight"] == "F32"


def test_aliases_are_the_same_recipe() -> None:
    for alias, name in ALIASES.items():
        assert recipe(quantization=alias).sha256 == recipe(quantization=name).sha256


def test_recipe_hash_is_stable_and_distinguishes_every_key() -> None:
    assert recipe().sha256 == "2106a74acd50167bcf3b7a0ab3ea526d00ff2bcd6781d78918d81786d656e7a0"
    changes: list[dict[str, ParameterValue]] = [
        {"n_layers": 3},
        {"n_embd": 512},
        {"n_ff": 256},
        {"n_heads": 8},
        {"n_kv_heads": 4},
        {"n_vocab": 65},
        {"n_ctx": 129},
        {"seed": 8},
        {"quantization": "Q8_0"},
        {"architecture": "qwen3"},
        MOE,
    ]
    assert len({recipe(**change).sha256 for change in ({}, *changes)}) == len(changes) + 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "lama"}, "'lama' is not one of llama, qwen3, qwen3moe"),
        ({"quantization": "Q3_K"}, "'Q3_K' is not one of F32, F16"),
        ({"n_layers": 0}, "n_layers is 0"),
        ({"n_layers": True}, "n_layers is True"),
        ({"n_layers": 2.0}, "n_layers is 2.0"),
        ({"seed": -1}, "seed is -1"),
        ({"n_vocab": 1 << 40}, "n_vocab is"),
        ({"n_heads": 3}, "n_embd 256 over n_heads 3"),
        ({"n_heads": 256}, "not an even whole number"),
        ({"n_kv_heads": 3}, "not a multiple of n_kv_heads 3"),
        ({"n_ff": 500}, "n_ff 500 is not a multiple of 32"),
        ({"n_ff": 544, "quantization": "Q4_K_M"}, "n_ff 544 is not a multiple of 256"),
        ({"n_experts": 4}, "n_experts_used is 0"),
        ({"n_experts": 4, "n_experts_used": 5}, "from 1 to n_experts 4"),
        ({"n_experts_used": 2}, "without n_experts"),
        ({"architecture": "qwen3moe"}, "needs n_experts"),
        ({"architecture": "qwen3", **MOE}, "has no experts"),
        ({"n_head": 4}, "'n_head' is not a key"),
    ],
)
def test_wrong_recipes_are_told(changes: dict[str, ParameterValue], message: str) -> None:
    with pytest.raises(InputError) as caught:
        recipe(**changes)
    assert message in caught.value.what
    assert caught.value.where == "model tiny"


def test_missing_keys_are_all_told_at_once() -> None:
    with pytest.raises(InputError, match="architecture is missing; n_ctx is missing"):
        parse_recipe(None, where="x")
    with pytest.raises(InputError, match="n_ff is missing"):
        parse_recipe({key: value for key, value in TINY.items() if key != "n_ff"}, where="x")
