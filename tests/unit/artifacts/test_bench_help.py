"""Options and builds, read from what real llama-benches print."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.artifacts.bench_help import parse_help, parse_version

CAPTURE = Path(__file__).parents[2] / "captures" / "llama-bench-help" / "b11312.txt"

# As the sources of May 2025 (in llama-cpp-python 0.3.9) print it.
MAY_2025 = """\
usage: ./llama-bench [options]

options:
  -h, --help
  -m, --model <filename>                    (default: models/7B/ggml-model-q4_0.gguf)
  -pg <pp,tg>                               (default: )
  -rpc, --rpc <rpc_servers>                 (default: )
  -sm, --split-mode <none|layer|row>        (default: layer)
  -fa, --flash-attn <0|1>                   (default: 0)
  -mmp, --mmap <0|1>                        (default: 1)
  --numa <distribute|isolate|numactl>       (default: disabled)
  -ot --override-tensors <tensor name pattern>=<buffer type>;... (default: disabled)
  --delay <0...N> (seconds)                 (default: 0)
  -oe, --output-err <csv|json|jsonl|md|sql> (default: none)
  -v, --verbose                             (default: 0)
  --progress                                (default: 0)

Multiple values can be given for each parameter by separating them with ','
"""


def test_every_option_of_the_pinned_build_is_read() -> None:
    flags = parse_help(CAPTURE.read_text())
    assert flags["-fa"] == flags["--flash-attn"] == "<on|off|auto>"
    assert flags["-lm"] == flags["--load-mode"] == "<auto|none|mmap|mlock|mmap+mlock|dio>"
    assert flags["-hf"] == flags["-hfr"] == flags["--hf-repo"] == "<user>/<model>[:quant]"
    assert flags["-ot"] == flags["--override-tensor"] == "<tensor name pattern>=<buffer type>;..."
    assert flags["--delay"] == "<0...N> (seconds)"
    assert flags["--list-devices"] == flags["--version"] == flags["-v"] == flags["--offline"] == ""
    assert flags["-pg"] == "<pp,tg>"
    assert "-mmp" not in flags
    listed = [line for line in CAPTURE.read_text().splitlines() if line.startswith("  -")]
    assert len([option for option in flags if option.startswith("--")]) == len(listed) - 1  # -pg has no long form
    assert not any("default" in hint for hint in flags.values())


def test_an_old_build_has_mmap_instead_of_load_mode() -> None:
    flags = parse_help(MAY_2025)
    assert flags["-mmp"] == flags["--mmap"] == "<0|1>"
    assert flags["-fa"] == "<0|1>"
    assert flags["-ot"] == flags["--override-tensors"] == "<tensor name pattern>=<buffer type>;..."
    assert flags["-oe"] == "<csv|json|jsonl|md|sql>"
    assert flags["-v"] == flags["--progress"] == flags["-h"] == ""
    assert "-lm" not in flags
    assert "--version" not in flags


def test_what_is_no_usage_has_no_model_option() -> None:
    assert "-m" not in parse_help("Unknown command: --help\nAvailable commands:\n    --run (-r): run a model\n")
    assert parse_help("") == {}


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    assert all(option.startswith("-") for option in parse_help(text))
    parse_version(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 0.5.0-dev (build 11312, commit 0c1e57098)\nbuilt with GNU 14.2.0", (11312, "0c1e57098")),
        ("version: 5163 (84a9bf2f)\nbuilt with cc", (5163, "84a9bf2f")),
        ("build: 8f1d81a0 (3658)", (3658, "8f1d81a0")),
        ("b11312-0c1e57098", (11312, "0c1e57098")),
        ("version: 0 (unknown)", (None, None)),
        (f"version: {'9' * 5000} (84a9bf2f)", (None, None)),
        ("version: 0.5.0-dev (build 0, commit unknown)", (None, None)),
        ("error: invalid parameter for argument: --version", (None, None)),
    ],
)
def test_builds_are_read_in_every_spelling(text: str, expected: tuple[int | None, str | None]) -> None:
    assert parse_version(text) == expected
