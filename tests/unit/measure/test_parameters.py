import json
import os
from pathlib import Path

import pytest

from harness.formats import llama_bench
from harness.measure.parameters import differences, spelled
from harness.values.cell import PARAMETERS

ROOT = Path(__file__).resolve().parents[3]
REAL = Path(os.environ.get("LLAMA_BENCH_REAL_OUTPUTS", ROOT.parent / "shared" / "reference" / "real-outputs"))


@pytest.mark.parametrize(
    ("asked", "row"),
    [
        ({"flash_attn": 1}, {"flash_attn": True}),
        ({"flash_attn": 0}, {"flash_attn": False}),
        ({"flash_attn": 1}, {"flash_attn": 1}),
        ({"flash_attn": "auto"}, {"flash_attn": -1}),
        ({"load_mode": "mmap"}, {"use_mmap": True}),
        ({"load_mode": "mmap"}, {"use_mmap": True, "use_direct_io": False}),
        ({"load_mode": "none"}, {"use_mmap": False}),
        ({"load_mode": "dio"}, {"use_mmap": False, "use_direct_io": True}),
        ({"no_op_offload": True}, {"no_op_offload": 1}),
        ({"no_kv_offload": 0}, {"no_kv_offload": False}),
        ({"tensor_split": "1/2"}, {"tensor_split": "1.00/2.00"}),
        ({"tensor_split": "0"}, {"tensor_split": "0.00"}),
        ({"cpu_mask": "0xff"}, {"cpu_mask": "0xFF"}),
    ],
)
def test_the_same_in_other_words(asked, row):
    assert differences(asked, row) == ((), ())


@pytest.mark.parametrize(
    ("asked", "row", "says"),
    [
        ({"flash_attn": 1}, {"flash_attn": False}, "flash_attn is false, asked for 1"),
        ({"flash_attn": 1}, {"flash_attn": -1}, "flash_attn is -1, asked for 1"),
        ({"flash_attn": "auto"}, {"flash_attn": 1}, "flash_attn is 1, asked for auto"),
        ({"load_mode": "mmap"}, {"use_mmap": False}, "load_mode is none, asked for mmap"),
        ({"load_mode": "none"}, {"load_mode": "auto"}, "load_mode is auto, asked for none"),
        ({"n_batch": 512}, {"n_batch": 2048}, "n_batch is 2048, asked for 512"),
        ({"n_cpu_moe": 1}, {"n_cpu_moe": "1"}, "n_cpu_moe is 1, asked for 1"),
        ({"tensor_split": "1/2"}, {"tensor_split": "1.00/1.00"}, "tensor_split"),
        ({"cpu_mask": "0xff"}, {"cpu_mask": "0x0"}, "cpu_mask"),
        ({"cpu_mask": "0xff"}, {"cpu_mask": "all"}, "cpu_mask"),
    ],
)
def test_something_else(asked, row, says):
    (sentence,), silent = differences(asked, row)
    assert says in sentence
    assert silent == ()


def test_what_a_row_does_not_report_is_named():
    assert differences({"n_batch": 512, "repack": 0}, {"n_batch": 512}) == ((), ("repack",))


def test_rows_of_other_builds_are_read_as_their_authors_asked():
    path = REAL / "02-rocm-b6111-defrag_thold.jsonl"
    if not path.exists():
        pytest.skip("the collection of real outputs is not here")
    defaults = {name: p.default for name, p in PARAMETERS.items() if p.default is not None}
    rows = llama_bench.read(path.read_text().splitlines()).rows
    for row in rows:
        assert differences(defaults | {"load_mode": "none"}, row.raw) == ((), ())


def test_every_parameter_is_spelled_and_read_back():
    """With the help and a row of one build: what goes in by a flag comes out under the field of the same name."""
    row = json.loads((ROOT / "tests/captures/cpu-b11312/good.stdout").read_text().splitlines()[0])
    params = {name: row[name] for name, parameter in PARAMETERS.items() if parameter.flag}
    different, silent = differences(params, row)
    assert (different, silent) == ((), ())
    arguments = spelled(params | {"tensor_buft_overrides": "a=CPU"}, {})
    assert [p.flag for p in PARAMETERS.values() if p.flag] == list(arguments[::2])
    assert not any(isinstance(value, bool) or value in ("True", "False") for value in arguments)
