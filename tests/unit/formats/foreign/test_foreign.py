"""Results of other programs in every form; and whatever else a text may be, it is refused and harmless."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.formats.foreign import read
from harness.values.foreign import Foreign, ForeignRow

CAPTURES = Path(__file__).resolve().parents[3] / "captures"

ROW: dict[str, Any] = {
    "build_commit": "0c1e57098",
    "build_number": 11312,
    "cpu_info": "AMD EPYC",
    "gpu_info": "Some GPU",
    "backends": "Vulkan",
    "model_filename": "/models/m.gguf",
    "model_type": "llama 7B Q4_0",
    "model_size": 3825807360,
    "model_n_params": 6738415616,
    "n_batch": 2048,
    "n_ubatch": 512,
    "n_threads": 8,
    "type_k": "f16",
    "type_v": "f16",
    "n_gpu_layers": 99,
    "flash_attn": 1,
    "n_prompt": 512,
    "n_gen": 0,
    "n_depth": 0,
    "test_time": "2026-11-25T10:00:00Z",
    "avg_ns": 200000000,
    "stddev_ns": 0,
    "avg_ts": 2560.0,
    "stddev_ts": 1.5,
}
SAMPLED = {**ROW, "samples_ns": [200000000, 200000000], "samples_ts": [2560.0, 2560.0]}
MARKDOWN = """$ ./llama-bench -m m.gguf
ggml_vulkan: Found 1 Vulkan devices:
ggml_vulkan: 0 = Some GPU (RADV) (radv) | uma: 0 | fp16: 1
| model                  |       size |     params | backend    | ngl | fa |            test |                  t/s |
| ---------------------- | ---------: | ---------: | ---------- | --: | -: | --------------: | -------------------: |
| llama 7B Q4_0          |   3.56 GiB |     6.74 B | Vulkan     |  99 |  1 |           pp512 |       2560.00 ± 1.50 |
| llama 7B Q4_0          |   3.56 GiB |     6.74 B | Vulkan     |  99 |  1 |   tg128 @ d4096 |        131.42 ± 0.59 |
| llama 7B Q4_0          |   3.56 GiB |     6.74 B | Vulkan     |  99 |  1 |     pp512+tg128 |        500.00 ± 0.10 |

build: 0c1e57098 (11312)
"""


def one(found: Foreign) -> ForeignRow:
    assert found.refused == ()
    (row,) = found.rows
    return row


def test_markdown_as_pasted_into_an_issue() -> None:
    found = read(MARKDOWN)
    assert found.refused == ()
    first, second, third = found.rows
    assert (first.metric, first.n_prompt, first.tokens_per_s, first.deviation) == ("pp", 512, 2560.0, 1.5)
    assert (second.metric, second.n_gen, second.n_depth) == ("tg", 128, 4096)
    assert (third.metric, third.n_prompt, third.n_gen) == ("pg", 512, 128)
    assert {row.device for row in found.rows} == {"Some GPU (RADV)"} or {row.device for row in found.rows} == {
        "Some GPU"
    }
    assert {(row.build_commit, row.build_number) for row in found.rows} == {("0c1e57098", 11312)}
    assert first.params == {"n_gpu_layers": "99", "flash_attn": "1"}
    assert first.size_bytes == round(3.56 * 1024**3)


def test_the_old_spelling_with_a_space() -> None:
    old = MARKDOWN.replace("  pp512 |", " pp 512 |")
    assert read(old).rows[0].n_prompt == 512


def test_lines_of_the_log_between_the_rows_lose_none() -> None:
    lines = MARKDOWN.split("\n")
    lines.insert(6, "ggml_vulkan: a warning in between")
    assert len(read("\n".join(lines)).rows) == 3


def test_every_machine_format_gives_the_same_row() -> None:
    values = {key: str(int(value) if isinstance(value, bool) else value) for key, value in ROW.items()}
    texts = {
        "json": json.dumps([SAMPLED], indent=2),
        "jsonl": "load_backend: loaded\n" + json.dumps(SAMPLED) + "\n",
        "csv": ",".join(ROW) + "\n" + ",".join(f'"{value}"' for value in values.values()) + "\n",
        "sql": "CREATE TABLE IF NOT EXISTS llama_bench (\n  build_commit TEXT\n);\n\nINSERT INTO llama_bench ("
        + ", ".join(ROW)
        + ") VALUES ("
        + ", ".join(f"'{value}'" for value in values.values())
        + ");\n",
        "fenced": "Some words.\n\n```json\n" + json.dumps([SAMPLED], indent=2) + "\n```\n\nMore words.\n",
    }
    for form, text in texts.items():
        row = one(read(text))
        assert (row.model, row.device, row.backend, row.tokens_per_s) == (
            "llama 7B Q4_0",
            "Some GPU",
            "Vulkan",
            2560.0,
        ), form
        assert (row.build_commit, row.build_number, row.n_params) == ("0c1e57098", 11312, 6738415616), form
        assert row.raw["test_time"] == "2026-11-25T10:00:00Z", form


def test_rows_of_2024_with_flags_for_backends() -> None:
    old = {
        "build_commit": "x",
        "build_number": 1,
        "metal": True,
        "blas": False,
        **{
            key: value
            for key, value in ROW.items()
            if key not in {"build_commit", "build_number", "backends", "n_depth"}
        },
    }
    assert one(read(json.dumps(old))).backend == "METAL"


def test_our_own_captures_are_read() -> None:
    texts = sorted(CAPTURES.glob("*-b11312/*.stdout"))
    assert texts
    found = [row for path in texts for row in read(path.read_text(errors="replace")).rows]
    assert found
    assert {row.build_number for row in found} == {11312}


def test_batched_bench_has_a_rate_for_each_phase() -> None:
    line = {"n_kv_max": 4096, "n_batch": 2048, "flash_attn": 1, "pp": 512, "tg": 32, "pl": 4, "n_kv": 2176,
            "t_pp": 0.4, "speed_pp": 5120.0, "t_tg": 0.8, "speed_tg": 160.0, "t": 1.2, "speed": 1800.0}  # fmt: skip
    table = (
        "main: n_kv_max = 4096, n_batch = 2048, n_ubatch = 512, flash_attn = 1, n_gpu_layers = 99\n\n"
        "|    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s |\n"
        "|-------|--------|------|--------|----------|----------|----------|----------|----------|----------|\n"
        "|   512 |     32 |    4 |   2176 |    0.400 |  5120.00 |    0.800 |   160.00 |    1.200 |  1800.00 |\n"
    )
    for text in (json.dumps(line), table):
        pp, tg = read(text).rows
        assert (pp.metric, pp.n_prompt, pp.parallel, pp.tokens_per_s) == ("pp", 512, 4, 5120.0)
        assert (tg.metric, tg.n_gen, tg.n_depth, tg.parallel, tg.tokens_per_s) == ("tg", 32, 512, 4, 160.0)
        assert pp.params["flash_attn"] == "1"


def test_ramalama_s_records_lose_the_name_of_the_host() -> None:
    record = {
        "version": "v1",
        "created_at": "2026-01-01T00:00:00+00:00",
        "configuration": {"container_image": "quay.io/ramalama/vulkan", "version": "v1"},
        "device": {"hostname": "secret-host", "operating_system": "Linux 6", "cpu_info": "x86_64", "accel": "vulkan"},
        "result": {**ROW, "samples_ns": "[200000000, 200000000]", "devices": None},
    }
    row = one(read(json.dumps(record) + "\n"))
    assert (row.program, row.tokens_per_s, row.samples_ns) == ("ramalama bench", 2560.0, (200000000, 200000000))
    assert row.raw["container_image"] == "quay.io/ramalama/vulkan"
    assert "secret-host" not in json.dumps(dict(row.raw))


def test_llama_benchy_s_report() -> None:
    def rate(mean: float) -> dict[str, Any]:
        return {"mean": mean, "std": 1.0, "values": [mean]}

    report = {
        "version": "0.4.0", "timestamp": "2026-01-01", "latency_mode": "api", "latency_ms": 1.0, "model": "some/model",
        "prefix_caching_enabled": False, "max_concurrency": 1,
        "benchmarks": [{"concurrency": 2, "context_size": 4096, "prompt_size": 512, "response_size": 32,
                        "is_context_prefill_phase": False, "pp_throughput": rate(900.0), "tg_throughput": rate(80.0),
                        "ttfr": rate(12.0), "throughput_over_time": []}],
    }  # fmt: skip
    pp, tg = read(json.dumps(report, indent=1)).rows
    assert (pp.program, pp.model, pp.metric, pp.n_depth, pp.parallel) == ("llama-benchy", "some/model", "pp", 4096, 2)
    assert (tg.metric, tg.n_gen, tg.tokens_per_s, tg.deviation) == ("tg", 32, 80.0, 1.0)
    assert tg.raw["ttfr"] == "12.0"


def test_scoreboards_as_tables_and_as_csv() -> None:
    table = (
        "| Chip | Memory | pp512 t/s | tg128 t/s | Commit | Thanks to |\n|---|---|---|---|---|---|\n"
        "| [Some GPU](https://example.org) | 24 GB | 2560.00 ± 1.50 | 131.42 | 0c1e570 | @somebody |\n"
    )
    pp, tg = read(table).rows
    assert (pp.device, pp.n_prompt, pp.tokens_per_s, pp.build_commit) == ("Some GPU", 512, 2560.0, "0c1e570")
    assert (tg.n_gen, tg.tokens_per_s, tg.deviation) == (128, 131.42, None)
    csv = (
        "device,backend,fa,pp512,tg128,pp512_sd,tg128_sd,commit,source\nSome GPU,Vulkan,0,2560,131.42,1.5,,0c1e570,x\n"
    )
    assert [(row.device, row.tokens_per_s) for row in read(csv).rows] == [("Some GPU", 2560.0), ("Some GPU", 131.42)]


REFUSED = [
    ("samples that say another rate", json.dumps({**SAMPLED, "avg_ts": 9999.0}), "its samples are"),
    ("a rate of zero", json.dumps({**ROW, "avg_ts": 0}), "is none"),
    ("a rate that is no number", json.dumps({**ROW, "avg_ts": "fast"}), "is no number"),
    ("a huge rate", json.dumps({**ROW, "avg_ts": 1e300}), "is none"),
    ("no tokens", json.dumps({**ROW, "n_prompt": 0}), "without tokens"),
    ("negative samples", json.dumps({**SAMPLED, "samples_ns": [-1]}), "not durations"),
    ("NaN", json.dumps({**ROW, "avg_ts": float("nan")}), "cannot be read"),
    ("another object", '{"a": 1}', "no result of a program"),
    ("a list that was cut", "[\n" + json.dumps(SAMPLED) + "\n", "not closed"),
    ("an empty list", "[\n\n", "without a result"),
    ("a table without rows", MARKDOWN[: MARKDOWN.index("| llama 7B")], "without rows"),
    ("a cell too many", MARKDOWN.replace("|  1 |           pp512", "|  1 | x |           pp512"), "9 cells, and 8"),
    ("a head that does not fit", ",".join(ROW) + '\n"1","2"\n', "2 values, and the head names 24"),
    ("a failure", "main: error: failed to load model '/nope.gguf'\n", "failed and printed no result"),
    ("SQL of another kind", "INSERT INTO users (name) VALUES ('x');", "something else"),
]


@pytest.mark.parametrize(("what", "text", "reason"), REFUSED, ids=[what for what, _, _ in REFUSED])
def test_what_is_no_result_is_refused_with_its_reason(what: str, text: str, reason: str) -> None:
    del what
    assert any(reason in refused for refused in read(text).refused), read(text).refused


def test_rows_before_a_failure_are_kept() -> None:
    found = read("[\n" + json.dumps(SAMPLED, indent=2) + ",\n")
    assert len(found.rows) == 1
    assert "not closed" in found.refused[0]


@given(
    st.text(max_size=300)
    | st.sampled_from([text for _, text, _ in REFUSED] + [MARKDOWN]).flatmap(
        lambda text: st.tuples(st.integers(0, len(text)), st.text(max_size=5)).map(
            lambda cut: text[: cut[0]] + cut[1] + text[cut[0] + len(cut[1]) :]
        )
    )
)
@example(text="build_commit,\r,test_time")
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_without_an_exception(text: str) -> None:
    for row in read(text).rows:
        assert 0 < row.tokens_per_s < 1e9
        assert all(value.isprintable() for value in (row.model, row.device, row.backend, *row.raw.values()))


def test_many_brackets_do_not_take_forever() -> None:
    assert read("[\n" * 20000 + "{" * 50000).rows == ()
    assert read('{"a":' * 20000).rows == ()


_HEAD = "| model | test | t/s |\n|---|---|---|\n"


@pytest.mark.parametrize(
    "text",
    [
        _HEAD + "| a | pp1" + " " * 500_000 + "x | 1.0 |",
        _HEAD + "| " + "[" * 500_000 + " | pp1 | 1.0 |",
        _HEAD + "| " + "[](" * 200_000 + " | pp1 | 1.0 |",
        "ErrorOutOf" * 100_000,
        "| 1  A" + " " * 500_000 + "x",
        "[\n" + "".join('{"n_prompt": 1, "n_gen": 0, "avg_ts": 1.0},\n' for _ in range(20_000)) + "]",
    ],
    ids=range(6),
)
def test_long_lines_and_long_lists_are_read_in_one_pass(text: str) -> None:
    start = time.monotonic()
    read(text)
    assert time.monotonic() - start < 15


def test_places_in_a_list_over_several_lines() -> None:
    found = read('[\n{"n_prompt": 1, "n_gen": 0,\n"avg_ts": 1.0},\n\n{"n_prompt": 1, "n_gen": 0, "avg_ts": 2.0}\n]\n')
    assert [row.line for row in found.rows] == [2, 5]
    assert found.refused == ()


def test_more_results_than_are_taken_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.formats.foreign.scan.MAX_ROWS", 3)
    one = '{"n_prompt": 1, "n_gen": 0, "avg_ts": 1.0}'
    for text in ("\n".join([one] * 9), f"[{','.join([one] * 9)}]\n", "device,pp512,tg128\n" + "a,1,1\n" * 9):
        found = read(text)
        assert 3 <= len(found.rows) <= 4  # a line of a scoreboard is two
        assert "3 results were read" in found.refused[0]


REAL = os.environ.get("LLAMA_BENCH_REAL_OUTPUTS", "")
HOLDS_ROWS = {"01": 6, "02": 6, "03": 9, "04": 9, "11": 2, "12": 8, "13": 16, "14": 10, "23": 4, "25": 2}


@pytest.mark.skipif(not REAL, reason="LLAMA_BENCH_REAL_OUTPUTS names no folder of real outputs")
def test_real_outputs_of_others_are_imported_or_refused() -> None:
    counts = {path.name[:2]: len(read(path.read_text(errors="replace")).rows) for path in Path(REAL).glob("[0-9]*")}
    assert {name: count for name, count in counts.items() if count} == HOLDS_ROWS


SCOREBOARD = """| Chip | Backend | Commit | pp512 t/s | tg128 t/s |
|--|--|--|--|--|
| RTX 4090 | CUDA | aaaaaaa | 1000.0 ± 1.0 | 100.0 ± 1.0 |
"""
TABLE = """| model | size | params | backend | ngl | test | t/s |
|--|--|--|--|--|--|--|
| llama 7B Q4_0 | 3.56 GiB | 6.74 B | CUDA | 99 | pp512 | 2000.0 ± 1.0 |
"""


def test_the_build_below_a_table_is_that_of_this_table_alone() -> None:
    found = read(f"{SCOREBOARD}\n{TABLE}\n{TABLE}\nbuild: bbbbbbb (1234)\n")
    assert [(row.program, row.build_commit, row.build_number) for row in found.rows] == [
        ("scoreboard", "aaaaaaa", None),
        ("scoreboard", "aaaaaaa", None),
        ("llama-bench", "", None),
        ("llama-bench", "bbbbbbb", 1234),
    ]
    (_, board) = read(f"{SCOREBOARD}\nbuild: bbbbbbb (1234)\n").rows
    assert (board.build_commit, board.build_number) == ("aaaaaaa", None)


def test_the_line_of_other_programs_has_number_and_commit_the_other_way_round() -> None:
    (row,) = read(f"{TABLE}\nbuild: 3567 (1234567) with cc (Debian) 14.2 for x86_64-linux-gnu\n").rows
    assert (row.build_commit, row.build_number) == ("", None)


def test_two_columns_of_one_name_are_refused_instead_of_losing_one() -> None:
    found = read("| Chip | FA | tg128 t/s | FA | tg128 t/s |\n|--|--|--|--|--|\n| RTX 4090 | 0 | 100.0 | 1 | 110.0 |\n")
    assert found.rows == ()
    assert found.refused == ("line 3: two columns are called 'fa', and nothing says which is which",)
