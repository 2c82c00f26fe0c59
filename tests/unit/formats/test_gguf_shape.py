from collections.abc import Mapping
from types import MappingProxyType

import pytest

from harness.errors import InputError
from harness.formats.gguf_header import ArraySummary, GgufHeader, Tensor
from harness.formats.gguf_shape import read_shape


def header(architecture: str = "llama", *, tied: bool = False, n_layers: int = 12, **keys: object) -> GgufHeader:
    numbers: dict[str, object] = {
        "block_count": n_layers,
        "embedding_length": 64,
        "attention.head_count": 4,
        "context_length": 4096,
    }
    named = {name.replace("__", "."): value for name, value in keys.items()}
    metadata: Mapping[str, object] = {
        "general.architecture": architecture,
        **{f"{architecture}.{name}": value for name, value in (numbers | named).items() if value is not None},
    }
    tensors = [Tensor(name="token_embd.weight", shape=(64, 1000), type="F16", offset=0, size_bytes=128_000)]
    tensors += (
        [] if tied else [Tensor(name="output.weight", shape=(64, 1000), type="F16", offset=0, size_bytes=128_000)]
    )
    for layer in range(n_layers):
        tensors += [
            Tensor(name=f"blk.{layer}.attn_q.weight", shape=(64, 64), type="Q4_0", offset=0, size_bytes=2304),
            Tensor(name=f"blk.{layer}.ffn_down.weight", shape=(128, 60), type="Q4_0", offset=0, size_bytes=4320),
        ]
    return GgufHeader(
        version=3,
        metadata=MappingProxyType(dict(metadata)),
        tensors=tuple(tensors),
        alignment=32,
        data_offset=1000,
        size_bytes=1_000_000,
    )


def test_equal_layers_stand_together() -> None:
    shape = read_shape(header(attention__head_count_kv=2, feed_forward_length=128))
    (block,) = shape.blocks
    assert (block.count, shape.n_layers, len(shape.layers)) == (12, 12, 12)
    assert (block.n_heads, block.n_kv_heads, block.key_width, block.n_ff) == (4, 2, 16, 128)
    # A matrix of 60 rows is no whole groups of eight.
    assert block.matrix_bytes == {"Q4_0": 2304}
    assert block.weight_bytes == 6624
    assert shape.weight_bytes == 12 * 6624 + 2 * 128_000


def test_blocks_that_only_predict_further_tokens_take_no_memory() -> None:
    assert read_shape(header(nextn_predict_layers=2)) == read_shape(header(n_layers=10))
    assert read_shape(header("granite-switch", nextn_predict_layers=2)).n_layers == 12


def test_a_tied_embedding_counts_once_in_the_file() -> None:
    shape = read_shape(header(tied=True))
    assert shape.tied
    assert shape.output_bytes == shape.embedding_bytes == 128_000
    assert shape.weight_bytes == 12 * 6624 + 128_000


def test_without_a_count_of_key_and_value_heads_each_head_has_its_own() -> None:
    assert read_shape(header()).blocks[0].n_kv_heads == 4


def test_the_window_of_gemma_3() -> None:
    shape = read_shape(header("gemma3", attention__sliding_window=512))
    assert [b.windowed for b in shape.layers] == [True] * 5 + [False] + [True] * 5 + [False]


def test_a_pattern_in_the_header_comes_first() -> None:
    pattern = (True, False, False, True) * 3
    shape = read_shape(header("gemma4", attention__sliding_window=512, attention__sliding_window_pattern=pattern))
    assert tuple(b.windowed for b in shape.layers) == pattern


def test_a_window_of_an_unknown_architecture_is_not_counted_upon() -> None:
    assert not any(b.windowed for b in read_shape(header("newcomer", attention__sliding_window=512)).layers)


def test_phi3_does_not_use_its_window() -> None:
    assert read_shape(header("phi3", attention__sliding_window=2047)).window == 0


def test_layers_that_share_their_cache_have_none() -> None:
    shape = read_shape(header("gemma3n", n_layers=30))
    assert [b.n_kv_heads for b in shape.layers] == [4] * 20 + [0] * 10


def test_a_hybrid_keeps_states_where_it_does_not_attend() -> None:
    shape = read_shape(
        header(
            "jamba",
            attention__head_count_kv=(0, 0, 0, 2) * 3,
            ssm__conv_kernel=4,
            ssm__inner_size=128,
            ssm__state_size=16,
        )
    )
    assert [b.recurrent for b in shape.layers] == [True, True, True, False] * 3
    # Three columns of the convolution and 16 x 128 of the recurrence, float32.
    assert shape.state_bytes == 4 * (3 * 128 + 16 * 128)


def test_mamba_has_no_cache_at_all() -> None:
    shape = read_shape(header("mamba", ssm__conv_kernel=4, ssm__inner_size=128, ssm__state_size=16))
    assert all(b.recurrent and b.n_kv_heads == 0 for b in shape.layers)


def test_latent_attention() -> None:
    keys = {"attention__key_length_mla": 192, "attention__value_length_mla": 128}
    shape = read_shape(
        header("deepseek2", attention__head_count_kv=1, attention__key_length=576, attention__value_length=512, **keys)
    )
    assert shape.latent
    assert shape.blocks[0].key_width == 576


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"block_count": None}, "block_count is missing"),
        ({"block_count": 0}, "block_count is missing or 0"),
        ({"block_count": 1 << 40}, "block_count is 1099511627776"),
        ({"embedding_length": -1}, "embedding_length is -1"),
        ({"embedding_length": "wide"}, "embedding_length is 'wide'"),
        ({"attention__head_count": (4, 4)}, "2 entries for 12 layers"),
        ({"attention__head_count_kv": ArraySummary(element_type="UINT32", length=1 << 40)}, "entries for 12 layers"),
        ({"context_length": 1 << 60}, "context_length"),
    ],
)
def test_numbers_that_no_model_has_are_refused(keys: Mapping[str, object], what: str) -> None:
    with pytest.raises(InputError, match=what):
        read_shape(header(**keys))  # type: ignore[arg-type] # metadata by name
