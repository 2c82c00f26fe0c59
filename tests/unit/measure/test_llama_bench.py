import itertools
from pathlib import Path

import pytest

from harness.formats import llama_bench as output
from harness.measure.llama_bench import argv, expected_tests, in_row_order, match
from harness.values.cell import Test as Shape
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.failure import Failure, Phase, Reason

CAPTURES = Path(__file__).resolve().parents[3] / "tests" / "captures"
CPU = Passthrough()
CUDA = Passthrough(expected=(ExpectedDevice(name="CUDA0"),))

NEW = dict.fromkeys(("-m", "-p", "-n", "-pg", "-d", "-b", "-ub", "-ctk", "-ctv", "-t", "-ngl", "-dev", "-v"), "<n>") | {
    "-o": "<csv|json|jsonl|md|sql>",
    "-fa": "<on|off|auto>",
    "-lm": "<auto|none|mmap|mlock|mmap+mlock|dio>",
    "-sm": "<none|layer|row|tensor>",
    "-nkvo": "<0|1>",
    "-ncmoe": "<n>",
}
BETWEEN = {key: hint for key, hint in NEW.items() if key != "-lm"} | {"-mmp": "<0|1>", "-dio": "<0|1>"}
OLD = {key: hint for key, hint in BETWEEN.items() if key not in ("-dev", "-dio", "-d", "-ncmoe")} | {
    "-fa": "<0|1>",
    "-sm": "<none|layer|row>",
}


@pytest.fixture
def make(cell, image_facts):
    def of(cells=None, *, flags=NEW, passthrough=CPU, repetitions=5, verbose=False, **params):
        return argv(
            cells or (cell(512, **params), cell(0, 128, **params)),
            image_facts(flags=flags, binary_dir="/app/"),
            passthrough=passthrough,
            repetitions=repetitions,
            verbose=verbose,
        )

    return of


def pairs(arguments):
    """Each option with its value."""
    return dict(itertools.pairwise(arguments))


def test_everything_is_said_explicitly(make):
    assert make() == (
        "/app/llama-bench", "-m", "/models/model.gguf", "-r", "5", "-o", "jsonl",
        "-p", "512", "-n", "128", "-d", "0", "-dev", "none",
        "-ngl", "99", "-fa", "0", "-b", "2048", "-ub", "512", "-ctk", "f16", "-ctv", "f16", "-lm", "mmap", "-t", "2",
    )  # fmt: skip


def test_it_is_the_command_that_was_captured(make, cell, argv_of):
    cells = tuple(cell(p, n, d) for d in (0, 32) for p, n in ((32, 0), (0, 8), (16, 4)))
    assert sorted(make(cells, repetitions=3)) == sorted(argv_of("cpu-b11312/good"))


def test_tests_that_were_not_asked_for_are_switched_off(make, cell):
    assert pairs(make((cell(64),)))["-n"] == "0"
    assert pairs(make((cell(0, 64),)))["-p"] == "0"
    only_pair = make((cell(64, 16),))
    assert (pairs(only_pair)["-p"], pairs(only_pair)["-n"], pairs(only_pair)["-pg"]) == ("0", "0", "64,16")


def test_several_pairs_repeat_the_flag(make, cell):
    arguments = make((cell(64, 16), cell(32, 8)))
    assert [arguments[i + 1] for i, a in enumerate(arguments) if a == "-pg"] == ["64,16", "32,8"]


def test_verbose_only_where_asked_for(make):
    assert "-v" in make(verbose=True)
    assert "-v" not in make(verbose=False)


def test_the_device_is_named(make):
    assert pairs(make(passthrough=CUDA))["-dev"] == "CUDA0"


def test_builds_between_spell_mmap_their_way(make):
    assert pairs(make(flags=BETWEEN))["-mmp"] == "1"
    assert pairs(make(flags=BETWEEN, load_mode="none"))["-mmp"] == "0"
    direct = pairs(make(flags=BETWEEN, load_mode="dio"))
    assert (direct["-mmp"], direct["-dio"]) == ("0", "1")
    assert "-lm" not in make(flags=BETWEEN)


def test_old_builds_get_what_they_know(make):
    arguments = make(flags=OLD, n_cpu_moe=0)
    assert not {"-dev", "-d", "-lm", "-dio", "-ncmoe"} & set(arguments)
    assert pairs(arguments)["-fa"] == "0"


def test_a_build_whose_help_is_unknown_is_taken_for_a_new_one(make):
    assert pairs(make(flags={}))["-lm"] == "mmap"


@pytest.mark.parametrize(
    ("flags", "changes", "says"),
    [
        (OLD, {"passthrough": CUDA}, "-dev"),
        (OLD, {"flash_attn": "auto"}, "-fa"),
        (OLD, {"split_mode": "tensor"}, "-sm"),
        (OLD, {"n_cpu_moe": 4}, "-ncmoe"),
        (OLD, {"load_mode": "dio"}, "-lm"),
        (OLD, {"load_mode": "mlock"}, "-lm"),
        (BETWEEN, {"load_mode": "mmap+mlock"}, "-lm"),
        (NEW, {"no_host": True}, "--no-host"),
        (NEW, {"tensor_split": "1,1"}, "comma"),
        (NEW | {"-o": "<csv|json|md|sql>"}, {}, "jsonl"),
    ],
)
def test_what_a_build_cannot_do_is_a_failure_that_names_it(make, flags, changes, says):
    failure = make(flags=flags, **changes)
    assert isinstance(failure, Failure)
    assert (failure.phase, failure.reason) == (Phase.PREPARE, Reason.UNSUPPORTED)
    assert says in failure.detail
    assert failure.remedy


def test_depths_and_pairs_need_a_build_that_has_them(make, cell):
    assert "-d" in make((cell(64, 0, 512),), flags=OLD).detail
    assert "-pg" in make((cell(64, 16),), flags={k: v for k, v in NEW.items() if k != "-pg"}).detail


def test_flash_attention_auto_and_values(make):
    assert pairs(make(flash_attn="auto"))["-fa"] == "auto"
    assert pairs(make(no_kv_offload=True))["-nkvo"] == "1"
    assert pairs(make(flags=OLD, flash_attn=1))["-fa"] == "1"


def test_cells_of_one_run_share_their_parameters(make, cell):
    with pytest.raises(ValueError, match="parameters"):
        make((cell(64), cell(64, n_batch=64)))


def test_rows_come_depth_by_depth_prompts_generations_pairs(cell):
    cells = [cell(p, n, d) for p, n in ((16, 4), (0, 8), (32, 0)) for d in (0, 32)]
    rows = output.read((CAPTURES / "cpu-b11312/good.stdout").read_text().splitlines()).rows
    printed = tuple(Shape(n_prompt=r.n_prompt, n_gen=r.n_gen, n_depth=r.n_depth) for r in rows)
    assert expected_tests(cells) == printed
    assert tuple(c.test for c in in_row_order(cells)) == printed
    assert all(row is not None for row in match(cells, rows))
    assert [row.n_tokens for row in match(cells, rows)] == [20, 20, 8, 8, 32, 32]


def test_cells_with_one_shape_get_a_row_each(make, cell):
    one, other = cell(32, label="a"), cell(32, label="b")
    assert pairs(make((one, other)))["-p"] == "32,32"
    rows = output.read((CAPTURES / "cpu-b11312/good.stdout").read_text().splitlines()).rows
    assert match((one, other), rows) == (rows[0], None)
    assert match((one, other), (*rows, *rows)) == (rows[0], rows[0])


def test_rows_that_nobody_asked_for_are_left_out(cell):
    rows = output.read((CAPTURES / "cpu-b11312/good.stdout").read_text().splitlines()).rows
    assert match((cell(0, 8, 32),), rows) == (rows[4],)
    assert match((cell(0, 9),), rows) == (None,)
