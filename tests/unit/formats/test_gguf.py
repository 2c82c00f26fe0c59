import os
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.errors import InputError
from harness.formats import gguf
from harness.formats.gguf import ArraySummary, GgufError, read_header, tensors_sha256
from harness.formats.gguf_header import GgufHeader, Tensor
from harness.formats.gguf_types import FILE_TYPES, TENSOR_TYPES


def write(
    path: Path, *, name: str = "tiny", order: tuple[str, ...] = ("b.weight", "a.weight"), value: float = 1
) -> Path:
    writer = GGUFWriter(path, "llama")
    writer.add_name(name)
    writer.add_block_count(3)
    writer.add_context_length(512)
    writer.add_file_type(2)
    writer.add_array("tokenizer.ggml.tokens", [f"t{i}" for i in range(600)])
    writer.add_array("tokenizer.ggml.scores", [float(i) for i in range(600)])
    writer.add_array("small", [1, 2, 3])
    for tensor in order:
        if tensor == "a.weight":
            writer.add_tensor(tensor, np.full((2, 32), value, dtype=np.float32))
        else:
            writer.add_tensor(tensor, np.arange(36, dtype=np.uint8).reshape(2, 18), raw_dtype=GGMLQuantizationType.Q4_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write(tmp_path / "good.gguf")


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def entry(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


ARCHITECTURE = entry("general.architecture", 8, text("llama"))


def tensor(name: str = "x", shape: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0) -> bytes:
    return (
        text(name)
        + struct.pack("<I", len(shape))
        + b"".join(struct.pack("<Q", n) for n in shape)
        + struct.pack("<IQ", kind, offset)
    )


def built(
    *tensors: bytes,
    extra: tuple[bytes, ...] = (),
    n_tensors: int | None = None,
    n_metadata: int | None = None,
    version: int = 3,
    data: int = 128,
) -> bytes:
    metadata = (ARCHITECTURE, *extra)
    head = b"GGUF" + struct.pack(
        "<IQQ",
        version,
        len(tensors) if n_tensors is None else n_tensors,
        len(metadata) if n_metadata is None else n_metadata,
    )
    head += b"".join(metadata) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + bytes(data)


def test_reads_what_the_writer_wrote(good: Path) -> None:
    header = read_header(good)
    assert (header.version, header.architecture, header.file_type) == (3, "llama", "Q4_0")
    assert (header.n_layers, header.context_length, header.n_params) == (3, 512, 128)
    assert header.type_bytes == {"F32": 256, "Q4_0": 36}
    assert [(t.name, t.shape, t.type, t.size_bytes) for t in header.tensors] == [
        ("b.weight", (32, 2), "Q4_0", 36),
        ("a.weight", (32, 2), "F32", 256),
    ]
    assert header.data_offset % header.alignment == 0
    assert header.size_bytes == good.stat().st_size


def test_keeps_small_arrays_and_summarises_large_ones(good: Path) -> None:
    metadata = read_header(good).metadata
    assert metadata["small"] == (1, 2, 3)
    assert metadata["tokenizer.ggml.tokens"] == ArraySummary(element_type="STRING", length=600)
    assert metadata["tokenizer.ggml.scores"] == ArraySummary(element_type="FLOAT32", length=600)


def test_version_2_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(built(tensor(), version=2))
    assert read_header(path).version == 2


def test_tensor_hash_ignores_metadata_and_order_only(tmp_path: Path) -> None:
    def digest(path: Path) -> str:
        return tensors_sha256(path, read_header(path))

    first = digest(write(tmp_path / "1.gguf"))
    assert digest(write(tmp_path / "2.gguf", name="renamed")) == first
    assert digest(write(tmp_path / "3.gguf", order=("a.weight", "b.weight"))) == first
    assert digest(write(tmp_path / "4.gguf", value=2)) != first


def test_tensor_hash_of_a_file_that_became_shorter(good: Path) -> None:
    header = read_header(good)
    os.truncate(good, header.data_offset + 40)
    with pytest.raises(GgufError, match="ends within tensor"):
        tensors_sha256(good, header)


def test_tensor_hash_tells_its_progress(good: Path) -> None:
    seen: list[tuple[int, int]] = []
    tensors_sha256(good, read_header(good), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (292, 292)


def test_table_of_types_agrees_with_the_gguf_package() -> None:
    # The package counts Q8_1 with two float32; ggml has stored two float16 since 2023.
    for kind, sizes in GGML_QUANT_SIZES.items():
        if kind.name != "Q8_1":
            ours = TENSOR_TYPES[int(kind)]
            assert (ours.name, ours.block, ours.size_bytes) == (kind.name, *sizes)
    for file_type in LlamaFileType:
        if file_type.name != "GUESSED":
            assert FILE_TYPES[int(file_type)] == file_type.name.removeprefix("MOSTLY_").removeprefix("ALL_")


HUGE = (1 << 63) + 5
CASES = {
    "empty": (b"", "is no GGUF"),
    "other file": (b"PK\x03\x04 and more", "is no GGUF"),
    "magic only": (b"GGUF", "cut off"),
    "version 1": (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
    "version 9": (b"GGUF" + struct.pack("<IQQ", 9, 0, 0), "version 9"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
    "too many tensors": (built(n_tensors=HUGE), "tensors; at most"),
    "tensors beyond the end": (built(n_tensors=90_000), "the file ends"),
    "too many entries": (built(n_metadata=HUGE), "metadata entries; at most"),
    "entries beyond the end": (built(n_metadata=90_000), "the file ends"),
    "huge key": (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, HUGE) + bytes(64), "claims .* bytes"),
    "huge string": (built(extra=(entry("k", 8, struct.pack("<Q", HUGE)),)), "claims .* bytes"),
    "string beyond the end": (built(extra=(entry("k", 8, struct.pack("<Q", 1 << 20)),)), "the file ends"),
    "huge array": (built(extra=(entry("k", 9, struct.pack("<IQ", 4, HUGE)),)), "the file ends"),
    "huge string array": (built(extra=(entry("k", 9, struct.pack("<IQ", 8, HUGE)),)), "the file ends"),
    "huge string in array": (built(extra=(entry("k", 9, struct.pack("<IQQ", 8, 1, HUGE)),)), "claims .* bytes"),
    "string in array beyond the end": (built(extra=(entry("k", 9, struct.pack("<IQQ", 8, 1, 9999)),)), "the file ends"),
    "nested array": (built(extra=(entry("k", 9, struct.pack("<IQ", 9, 1)),)), "array of arrays"),
    "unknown value type": (built(extra=(entry("k", 77, b""),)), "unknown type 77"),
    "key twice": (built(extra=(ARCHITECTURE,)), "there twice"),
    "empty key": (built(extra=(entry("", 0, b"\0"),)), "is empty"),
    "key not UTF-8": (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"\xff" + bytes(64), "not UTF-8"),
    "no architecture": (b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + bytes(64), "general.architecture"),
    "alignment 0": (built(extra=(entry("general.alignment", 4, struct.pack("<I", 0)),)), "power of two"),
    "alignment 3": (built(extra=(entry("general.alignment", 4, struct.pack("<I", 3)),)), "power of two"),
    "alignment text": (built(extra=(entry("general.alignment", 8, text("x")),)), "power of two"),
    "five dimensions": (built(tensor(shape=(1, 1, 1, 1, 1))), "5 dimensions"),
    "huge shape": (built(tensor(shape=(1 << 62, 1 << 62))), "no memory holds"),
    "huge extent": (built(tensor(shape=(0, HUGE))), "no memory holds"),
    "unknown tensor type": (built(tensor(kind=31)), "unknown type 31"),
    "broken rows": (built(tensor(shape=(33,), kind=2)), "whole blocks of 32"),
    "no shape, but blocks": (built(tensor(shape=(), kind=2)), "whole blocks of 32"),
    "odd offset": (built(tensor(offset=7)), "not a multiple"),
    "tensor twice": (built(tensor(), tensor(offset=128), data=256), "there twice"),
    "tensor beyond the end": (built(tensor(shape=(64,))), "cut off"),
    "offset beyond the end": (built(tensor(offset=1 << 62)), "cut off"),
    "overlapping tensors": (built(tensor("x"), tensor("y", offset=32), data=256), "lies upon"),
    "same place": (built(tensor("x"), tensor("y"), data=256), "lies upon"),
    "long name": (built(tensor("x" * 64)), "at most 63"),
    "split": (built(extra=(entry("split.count", 2, struct.pack("<H", 3)),)), "one of 3 files"),
}


@pytest.mark.parametrize(("data", "message"), CASES.values(), ids=CASES)
def test_hostile_files_are_refused_with_a_place(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    with pytest.raises(GgufError, match=message) as caught:
        read_header(path)
    assert isinstance(caught.value, InputError)
    assert caught.value.exit_code == 2
    assert caught.value.where == f"m.gguf, byte {caught.value.offset}"
    assert caught.value.offset <= len(data)
    assert caught.value.remedy


def test_a_split_file_names_the_tool_that_merges_it(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(CASES["split"][0])
    with pytest.raises(GgufError) as caught:
        read_header(path)
    assert "llama-gguf-split --merge" in caught.value.remedy


def test_too_many_strings_are_refused_before_they_are_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf, "MAX_ARRAY_STRINGS", 3)
    path = tmp_path / "m.gguf"
    path.write_bytes(built(extra=(entry("k", 9, struct.pack("<IQ", 8, 4) + text("") * 4),)))
    with pytest.raises(GgufError, match="more than 3 strings"):
        read_header(path)


def test_headers_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf, "MAX_HEADER_BYTES", 100)
    path = tmp_path / "m.gguf"
    path.write_bytes(built(extra=(entry("k", 8, text("x" * 200)),)))
    with pytest.raises(GgufError, match="header larger"):
        read_header(path)


def test_a_claimed_gigabyte_takes_no_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "m.gguf"
    path.write_bytes(built(extra=(entry("k", 9, struct.pack("<IQ", 0, 1 << 30)),)))
    os.truncate(path, 2 << 30)  # sparse: the bytes are there, but nobody needs them
    tracemalloc.start()
    read_or_refuse(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_texts_in_the_holes_of_a_file_take_bounded_memory(tmp_path: Path) -> None:
    import tracemalloc

    path, length = tmp_path / "m.gguf", 16 << 20
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, 0, 11) + ARCHITECTURE)
        for index in range(10):
            # One character outside of the basic plane makes Python keep four bytes for each of the others.
            file.write(text(f"k{index}") + struct.pack("<IQ", 8, length) + "\U0001f600".encode())
            file.seek(length - 4, os.SEEK_CUR)
        file.truncate()
    tracemalloc.start()
    with pytest.raises(GgufError, match="texts longer than 32 MiB in all"):
        read_header(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 256 << 20


@pytest.mark.parametrize("cut", [1, 8, 40, 200, 1000])
def test_truncated_at_any_place(good: Path, cut: int) -> None:
    os.truncate(good, good.stat().st_size - cut)
    with pytest.raises(GgufError):
        read_header(good)


def test_missing_folder_and_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "absent", tmp_path, tmp_path / "pipe"):
        with pytest.raises(GgufError):
            read_header(path)


def read_or_refuse(path: Path) -> None:
    try:
        header = read_header(path)
    except GgufError:
        return
    assert header.n_params >= 0
    assert (header.n_layers, header.context_length, header.file_type) is not None
    tensors_sha256(path, header)


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 700), put=st.binary(min_size=1, max_size=9), cut=st.integers(0, 600))
@example(at=4, put=b"\x02", cut=0)
def test_damage_gives_nothing_but_a_refusal(good: Path, at: int, put: bytes, cut: int) -> None:
    data = bytearray(good.read_bytes())
    # The vocabulary is most of the file; what is of interest lies before and after it.
    where = at if at < 350 else len(data) - 700 + at
    data[where : where + len(put)] = put
    path = good.with_name("damaged.gguf")
    path.write_bytes(data[: len(data) - cut] if cut else data)
    read_or_refuse(path)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tail=st.binary(max_size=200), n_tensors=st.integers(0, 5), n_metadata=st.integers(0, 5))
def test_noise_gives_nothing_but_a_refusal(tmp_path: Path, tail: bytes, n_tensors: int, n_metadata: int) -> None:
    path = tmp_path / "noise.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, n_tensors, n_metadata) + tail)
    read_or_refuse(path)


def weights(**sizes: int) -> GgufHeader:
    tensors = tuple(
        Tensor(name=name.replace("__", "."), shape=(1,), type="F32", offset=0, size_bytes=size)
        for name, size in sizes.items()
    )
    metadata = {"general.architecture": "moe", "moe.expert_count": 8, "moe.expert_used_count": 2}
    return GgufHeader(version=3, metadata=metadata, tensors=tensors, alignment=32, data_offset=0, size_bytes=0)


def test_a_token_reads_one_row_of_an_embedding_and_the_whole_of_an_output() -> None:
    assert weights(token_embd__weight=1000, output__weight=70, blk__0__ffn_up__weight=5).bytes_per_token == 75
    # The output is the embedding where there is none of its own.
    assert weights(token_embd__weight=1000, blk__0__ffn_up__weight=5).bytes_per_token == 1005
    assert weights(token_embd__weight=1000, per_layer_token_embd__weight=9000).bytes_per_token == 1000


def test_a_token_reads_the_experts_that_it_uses() -> None:
    model = weights(output__weight=70, blk__0__ffn_up_exps__weight=800, blk__0__ffn_up_shexp__weight=3)
    assert model.bytes_per_token == 70 + 3 + 200
    unknown = replace(model, metadata={"general.architecture": "moe", "moe.expert_count": 8})
    assert unknown.bytes_per_token is None


def test_blocks_that_only_predict_further_tokens_are_not_loaded() -> None:
    model = weights(
        output__weight=70, blk__0__ffn_up__weight=5, blk__1__ffn_up__weight=7, blk__1__nextn__embed__weight=900
    )
    assert model.bytes_per_token == 70 + 5 + 7 + 900
    metadata = {
        "general.architecture": "a", "a.block_count": 2, "a.nextn_predict_layers": 1, "a.embedding_length": 64,
        "a.attention.head_count": 8, "a.attention.head_count_kv": (2, 8),
    }  # fmt: skip
    trunk = replace(model, metadata=metadata)
    assert trunk.bytes_per_token == 70 + 5
    assert trunk.cache_values("key") == 2 * 8
    assert replace(model, metadata=metadata | {"a.attention.head_count_kv": 2}).cache_values("key") == 2 * 8
    assert trunk.n_params == model.n_params  # llama.cpp counts all of the file
    for odd in (0, 2, 3, -1, True):
        assert replace(model, metadata=metadata | {"a.nextn_predict_layers": odd}).unused_layers == range(0)


LAYERS = {"general.architecture": "a", "a.block_count": 4, "a.embedding_length": 64, "a.attention.head_count": 8}


@pytest.mark.parametrize(
    ("metadata", "key", "value"),
    [
        ({}, 4 * 8 * 8, 4 * 8 * 8),
        ({"a.attention.head_count_kv": 2}, 4 * 2 * 8, 4 * 2 * 8),
        ({"a.attention.head_count_kv": 2, "a.attention.key_length": 16}, 4 * 2 * 16, 4 * 2 * 8),
        ({"a.attention.head_count_kv": (2, 0, 0, 1)}, 3 * 8, 3 * 8),
        # One number too few for its layers, and a cache that is compressed.
        ({"a.attention.head_count_kv": (2, 0, 1)}, None, None),
        ({"a.attention.kv_lora_rank": 512}, None, None),
    ],
)
def test_what_a_token_leaves_in_the_cache(metadata: dict[str, object], key: int | None, value: int | None) -> None:
    model = replace(weights(), metadata=LAYERS | metadata)
    assert (model.cache_values("key"), model.cache_values("value")) == (key, value)
    assert replace(model, metadata={"general.architecture": "a"}).cache_values("key") is None


def test_a_token_is_multiplied_with_matrices_and_not_with_norms() -> None:
    def matrix(name: str, *shape: int) -> Tensor:
        return Tensor(name=name, shape=shape, type="F32", offset=0, size_bytes=1)

    own = (matrix("blk.0.ffn_up.weight", 4, 8), matrix("blk.0.norm.weight", 4), matrix("token_embd.weight", 4, 100))
    tied = replace(weights(), tensors=own)
    assert (tied.weights_multiplied, tied.output_weights) == (432, 400)
    apart = replace(tied, tensors=(*own, matrix("output.weight", 4, 50)))
    assert (apart.weights_multiplied, apart.output_weights) == (232, 200)
