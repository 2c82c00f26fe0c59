"""llama-batched-bench as a measurement: its rows among log lines, and points that it leaves out in silence."""

import itertools
import json

import pytest

from harness.formats import llama_batched
from harness.measure.batched import BatchedBench
from harness.values.cell import Cell, Test
from harness.values.container import Line, Passthrough
from harness.values.failure import Reason
from harness.values.measured import Asked
from harness.values.record import Proof
from tests.unit.measure.conftest import PARAMS, TINY, make_ended, make_image_facts

OPTIONS = ("-m", "-dev", "-fit", "-ngl", "-b", "-ub", "-ctk", "-ctv", "-t", "-lm")
FLAGS = {"llama-batched-bench": dict.fromkeys(OPTIONS, "N") | {"-fa": "[on|off|auto]"}}


def cell(parallel):
    test = Test(n_prompt=16, n_gen=4, measurement="batched", n_parallel=parallel)
    return Cell(id=f"cpu/m/{test.name}", backend="cpu", image="cpu", model="model", params=PARAMS, test=test)


def row(parallel, t_tg=0.5, **changes):
    shape = {"n_batch": 2048, "n_ubatch": 512, "flash_attn": 0, "n_gpu_layers": 99, "pp": 16, "tg": 4, "pl": parallel}
    return json.dumps(shape | {"t_pp": 0.25, "t_tg": t_tg, "t": 0.25 + t_tg} | changes)


def judged(stdout, *cells, repetitions=2, builds=(), **ended):
    end = make_ended(stdout, **ended)
    image = make_image_facts(program_builds=dict(builds))
    asked = Asked(passthrough=Passthrough(), backend="cpu", image=image, model=TINY, repetitions=repetitions)
    return BatchedBench().judge(cells, end, None, asked)


def test_rows_are_found_among_other_lines():
    rows = llama_batched.read(["", "main: n_kv_max = 80", row(1), "", row(2), '{"pp": 1}', "{broken"])
    assert [(r.n_parallel, r.line) for r in rows] == [(1, 2), (2, 4)]


@pytest.mark.parametrize("changes", [{"t": 0}, {"t_tg": -1}, {"pl": "4"}, {"t_pp": None}, {"t": float("inf")}])
def test_impossible_rows_are_none(changes):
    assert llama_batched.read([row(1, **changes)]) == ()


@pytest.mark.parametrize(
    "line",
    [
        '{"pp":' * 100_000,
        row(1).replace("0.25", "1" + "0" * 400, 1),
        row(1, speed_pp=float("nan")),
        row(1, of_a_newer_build=json.loads("[" * 70 + "]" * 70)),
        row(1, of_a_newer_build="x" * 5_000_000),
    ],
)
def test_rows_that_no_record_could_hold_are_none(line):
    assert len(llama_batched.read([line, row(2)])) == 1


def test_each_cell_gets_its_rows_one_a_repetition():
    one, four = cell(1), cell(4)
    first, second = judged([row(1, 0.4), row(4, 0.8), row(1, 0.5), row(4, 1.0)], one, four)
    assert first.samples_ns == (400_000_000, 500_000_000)
    assert second.series["generation_ns"] == second.samples_ns == (800_000_000, 1_000_000_000)
    assert four.test.n_tokens == 16


@pytest.mark.parametrize(
    ("said", "proof"),
    [
        ("b11312 (0c1e57098)", Proof.PROVEN),
        ("b6110 (7fc852b0)", Proof.CONTRADICTED),
        (None, Proof.UNOBSERVABLE),
    ],
)
def test_a_program_without_a_build_in_its_rows_says_it_when_asked(said, proof):
    builds = {"llama-batched-bench": said} if said else {}
    (outcome,) = judged([row(1), row(1)], cell(1), builds=builds)
    assert next(c for c in outcome.checks if c.name == "build").proof is proof
    assert (outcome.failure is not None) is (proof is Proof.CONTRADICTED)


def test_a_point_that_is_left_out_in_silence_is_named():
    _, four = judged([row(1), row(1)], cell(1), cell(4))
    assert four.failure.reason is Reason.MISSING_ROWS
    assert "4 x (16 + 4)" in four.failure.detail


def test_an_end_by_the_kernel_is_no_silence():
    (outcome,) = judged([], cell(1), exit_code=137, oom_killed=True)
    assert outcome.failure.reason is Reason.OOM_HOST


def test_another_parameter_than_asked_for_is_contradicted():
    (outcome,) = judged([row(1, n_ubatch=64), row(1, n_ubatch=64)], cell(1))
    assert outcome.failure.reason is Reason.WRONG_PARAMETERS
    assert next(c for c in outcome.checks if c.name == "parameters").proof is Proof.CONTRADICTED


def parameters_of(*rows):
    (outcome,) = judged(rows, cell(1))
    return next(c for c in outcome.checks if c.name == "parameters")


def test_parameters_that_the_row_does_not_tell_are_not_proven():
    bare = json.dumps({"pp": 16, "tg": 4, "pl": 1, "t_pp": 0.25, "t_tg": 0.5, "t": 0.75})
    assert parameters_of(bare, bare).proof is Proof.UNOBSERVABLE
    told = parameters_of(row(1), row(1))
    assert told.proof is Proof.PROVEN
    assert "n_ubatch" in told.evidence


def test_rows_of_another_shape_are_not_the_cells():
    (outcome,) = judged([row(1, pp=999), row(1, pp=999)], cell(1))
    assert outcome.failure.reason is Reason.MISSING_ROWS


def test_the_command_line_repeats_the_list_in_a_context_for_the_most():
    argv = BatchedBench().argv(
        (cell(1), cell(4)),
        make_image_facts(programs=FLAGS),
        passthrough=Passthrough(),
        repetitions=3,
        verbose=False,
    )
    options = dict(itertools.pairwise(argv))
    assert options["-npl"] == "1,4,1,4,1,4"
    assert options["-c"] == str(4 * 20)


def test_windows_are_the_last_repetition_of_each_cell():
    end = make_ended(started_ns=0)
    lines = [row(1, 0.5), row(4, 0.75), row(1, 0.5), row(4, 0.75)]
    stamps = (2_000_000_000, 3_000_000_000, 4_000_000_000, 5_000_000_000)
    end = make_ended(stdout=(), started_ns=0)
    object.__setattr__(end, "stdout", tuple(Line(at_ns=a, text=t) for a, t in zip(stamps, lines, strict=True)))
    found = BatchedBench().windows((cell(1), cell(4)), end, None, begin_ns=None)
    assert [window.name for window in found] == ["load", cell(1).id, cell(4).id]
    assert (found[2].begin_ns, found[2].end_ns) == (4_000_000_000, 5_000_000_000)
