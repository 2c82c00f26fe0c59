import json
import os
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.formats.llama_bench import MAX_NOISE_LINES, MAX_PROBLEMS, read, schema

ROOT = Path(__file__).resolve().parents[3]
CAPTURES = ROOT / "tests" / "captures"
REAL = Path(os.environ.get("LLAMA_BENCH_REAL_OUTPUTS", ROOT.parent / "shared" / "reference" / "real-outputs"))

ROW = json.loads((CAPTURES / "cpu-b11312" / "good.stdout").read_text().splitlines()[0])


def line(**changes):
    return json.dumps(ROW | changes)


def without(*names):
    return json.dumps({key: value for key, value in ROW.items() if key not in names})


def test_own_rows_are_read_in_order():
    output = read((CAPTURES / "cpu-b11312" / "good.stdout").read_text().splitlines())
    assert [(r.n_prompt, r.n_gen, r.n_depth) for r in output.rows] == [
        (32, 0, 0), (0, 8, 0), (16, 4, 0), (32, 0, 32), (0, 8, 32), (16, 4, 32),
    ]  # fmt: skip
    assert output.problems == output.noise == ()
    row = output.rows[0]
    assert (row.build_number, row.build_commit) == (11312, "0c1e57098")
    assert row.backends == ("CPU",)
    assert row.devices == "none"
    assert row.gpu_info == ""
    assert len(row.samples_ns) == 3
    assert row.raw["lazy_mode"] == "auto"


@pytest.mark.parametrize(
    ("name", "rows", "depths", "noise"),
    [
        ("01-rocm-b6865-stderr-banner-then-jsonl.txt", 6, {0, 1024, 4096}, 4),
        ("02-rocm-b6111-defrag_thold.jsonl", 6, {0}, 0),
        ("03-rocm-7.14-b10246-load_mode-flash_attn-int.jsonl", 9, None, 0),
        ("04-vulkan-radv-b10269.jsonl", 9, None, 0),
        ("local-cpu-0c1e5709/ok-jsonl.stdout", 2, {0}, 0),
        ("local-cpu-0c1e5709/nonascii.stdout", 1, {0}, 0),
    ],
)
def test_rows_of_other_builds(name, rows, depths, noise):
    if not (REAL / name).exists():
        pytest.skip("the collection of real outputs is not here")
    output = read((REAL / name).read_text(encoding="utf-8", errors="backslashreplace").splitlines())
    assert output.problems == ()
    assert len(output.rows) == rows
    assert len(output.noise) == noise
    if depths:
        assert {row.n_depth for row in output.rows} == depths
    for row in output.rows:
        rates = [1e9 * row.n_tokens / sample for sample in row.samples_ns]
        assert sum(rates) / len(rates) == pytest.approx(row.avg_ts, rel=1e-4)


def test_rows_of_early_builds_lack_what_was_not_there_yet():
    (row,) = read([without("backends", "n_depth", "devices", "flash_attn", "n_ubatch", "load_mode", "repack")]).rows
    assert row.backends is None
    assert row.devices is None
    assert row.n_depth == 0


def test_unknown_fields_are_kept():
    (row,) = read([line(moe_cache={"hits": 3}, n_gen_warmup=4)]).rows
    assert row.raw["moe_cache"] == {"hits": 3}


@pytest.mark.parametrize("flash_attn", [True, False, -1, 0, 1])
def test_flash_attention_was_a_boolean_and_is_an_integer(flash_attn):
    assert len(read([line(flash_attn=flash_attn)]).rows) == 1


def test_several_backends_are_apart():
    assert read([line(backends="CUDA,Vulkan")]).rows[0].backends == ("CUDA", "Vulkan")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (line()[:-30], "line 2: not JSON"),
        (line(avg_ts=float("nan")), "NaN is not a number"),
        (line(avg_ts=float("inf")), "Infinity is not a number"),
        (line().replace('"avg_ns":', '"avg_ts": 1e999, "avg_ns":'), "1e999 is too large"),
        (line().replace('"avg_ns":', '"n_gen": 1, "avg_ns":'), "'n_gen' is there twice"),
        (line(samples_ns=[]), "$.samples_ns"),
        (line(samples_ns=[1, 0]), "$.samples_ns[1]"),
        (line(samples_ns=[1, -5]), "$.samples_ns[1]"),
        (line(samples_ns=[1.5]), "$.samples_ns[0]"),
        (line(samples_ns=[2.0]), "$.samples_ns[0]"),
        (line(samples_ns=[True]), "$.samples_ns[0]"),
        (line(samples_ns=[2**63]), "$.samples_ns[0]"),
        (line(samples_ns="12"), "$.samples_ns"),
        (without("samples_ns"), "'samples_ns' is a required property"),
        (without("gpu_info"), "'gpu_info' is a required property"),
        (line(build_number="11312"), "$.build_number"),
        (line(n_prompt=0, n_gen=0), "$"),
        (line(flash_attn="on"), "$.flash_attn"),
        (line(test_time="yesterday"), "$.test_time"),
        (line(cpu_info="\ud800"), "surrogate"),
        ("load_backend: loaded CPU" + line(), "not JSON"),
        ("{" * 100_000, "not JSON"),
        ('{"a":' * 100_000, "line 2: not"),
        ("{}", "required"),
        (line().replace('"poll": 50', '"poll": ' + "9" * 5000), "line 2"),
        (line(avg_ts=10**400), "no integer of 64 bits"),
        (line(model_n_params=2**64), "no integer of 64 bits"),
        (line(of_a_newer_build=[-(2**63) - 1]), "no integer of 64 bits"),
        (line(of_a_newer_build=json.loads("[" * 40 + "]" * 40)), "nested deeper"),
        (line(of_a_newer_build="x" * 20_000), "longer than"),
    ],
)
def test_what_should_have_been_a_row_is_a_problem_with_its_line(text, says):
    output = read(["", text, line()])
    assert len(output.rows) == 1
    (problem,) = output.problems
    assert problem.startswith("line 2: ")
    assert says in problem
    assert len(problem) < 320


def test_the_largest_integers_of_64_bits_are_read():
    (row,) = read([line(model_n_params=2**64 - 1, of_a_newer_build=-(2**63))]).rows
    assert row.model_n_params == 2**64 - 1


def test_a_row_with_as_many_samples_as_there_may_be_is_read():
    many = [123_456_789] * 100_000
    (row,) = read([line(samples_ns=many, samples_ts=[12.3456] * len(many))]).rows
    assert len(row.samples_ns) == len(many)


def test_an_array_element_is_no_row():
    (problem,) = read(['[{"build_commit": "x"}]']).problems
    assert "not a JSON object" in problem


def test_noise_is_apart_and_bounded():
    output = read(["usage: llama-bench [options]"] * 500 + [line()])
    assert len(output.rows) == 1
    assert len(output.noise) == MAX_NOISE_LINES
    assert output.problems == ()


def test_problems_are_bounded():
    assert len(read(["{"] * 1000).problems) == MAX_PROBLEMS


def test_zero_repetitions_give_no_row():
    output = read((CAPTURES / "cpu-b11312" / "zero-repetitions.stdout").read_text().splitlines())
    assert output.rows == ()
    assert "samples_ns" in output.problems[0]


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(max_size=60) | st.sampled_from(["{", '{"build_commit"', line(), line()[:200], '"samples_ns"'])))
def test_whatever_stands_in_the_output_nothing_is_raised(lines):
    output = read(lines)
    assert len(output.rows) <= lines.count(line())


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(ROW)), JSON)
def test_whatever_a_field_holds_nothing_is_raised(name, value):
    output = read([json.dumps(ROW | {name: value})])
    assert len(output.rows) + len(output.problems) == 1
    for row in output.rows:
        assert all(sample > 0 for sample in row.samples_ns)
        assert row.n_tokens > 0
