import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.matrix.cell_ids import cell_id
from harness.values.cell import ParameterValue, Test


def made(**changes: object) -> str:
    values: dict[str, object] = {
        "backend": "cuda",
        "image": "cuda",
        "device": "default",
        "model": "m",
        "test": Test(n_prompt=512),
        "given": {},
    }
    return cell_id(**(values | changes))  # type: ignore[arg-type] - the defaults have the right types


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "cuda/m/pp512"),
        ({"test": Test(n_prompt=512, n_gen=128, n_depth=4096)}, "cuda/m/pp512+tg128@d4096"),
        ({"image": "official"}, "cuda:official/m/pp512"),
        ({"device": "software"}, "cuda@software/m/pp512"),
        ({"device": "*RTX 4090*"}, "cuda@RTX_4090/m/pp512"),
        ({"device": "0000:01:00.0"}, "cuda@0000:01:00.0/m/pp512"),
        ({"device": "***"}, "cuda@any/m/pp512"),
        ({"image": "x", "device": "1", "label": "a"}, "cuda:x@1/m/pp512#a"),
        ({"given": {"flash_attn": 1}}, "cuda/m/pp512/fa1"),
        ({"given": {"flash_attn": 0, "n_gpu_layers": 99, "type_k": "f16"}}, "cuda/m/pp512"),
        ({"given": {"n_gpu_layers": 0}}, "cuda/m/pp512/ngl0"),
        ({"backend": "cpu", "image": "cpu", "given": {"n_gpu_layers": 0}}, "cpu/m/pp512"),
        ({"given": {"n_threads": 4}}, "cuda/m/pp512/t4"),
        ({"given": {"no_kv_offload": 0}}, "cuda/m/pp512/nkvo0"),
        ({"given": {"n_batch": 256}}, "cuda/m/pp512/b256"),
        ({"given": {"n_batch": 256, "n_ubatch": 256}}, "cuda/m/pp512/b256"),
        ({"given": {"n_batch": 256, "n_ubatch": 128}}, "cuda/m/pp512/b256,ub128"),
        ({"given": {"tensor_split": "3/1"}}, "cuda/m/pp512/ts3:1"),
        ({"given": {"load_mode": "mmap+mlock"}}, "cuda/m/pp512/lmmmap+mlock"),
        ({"given": {"type_v": "q8_0", "flash_attn": "auto"}, "label": "b"}, "cuda/m/pp512/faauto,ctvq8_0#b"),
    ],
)
def test_ids(changes: dict[str, object], expected: str) -> None:
    assert made(**changes) == expected


def test_texts_that_look_alike_stay_apart() -> None:
    values: list[ParameterValue] = ["a b", "a?b", "a_b", "a/b", "a:b", "x" * 30, "x" * 31]
    assert len({made(given={"tensor_buft_overrides": value}) for value in values}) == len(values)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_ids_are_printable_and_short(device: str, override: str) -> None:
    found = made(device=device, given={"tensor_buft_overrides": override})
    assert re.fullmatch(r"cuda@[A-Za-z0-9._+=:-]+/m/pp512/ot[A-Za-z0-9._+=:~-]*", found)
