"""What is said of quick wins: only what is shown counts, and the command follows from it."""

import json
from dataclasses import MISSING, fields, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.analysis.arms import Arms
from harness.analysis.comparisons import compare_all
from harness.analysis.results import CellResult, RunValue
from harness.flows.win_words import as_lines, command, settings
from harness.flows.wins import Judged, judge
from harness.matrix.expand import expand
from harness.matrix.load import load_matrix
from harness.matrix.wins import About, Side, Win, claims, find, matrix_of
from harness.values.cell import Cell, Test

TG = Test(n_gen=128)
BASE = Cell(
    id="base",
    backend="cpu",
    image="cpu",
    model="m",
    params={"flash_attn": 0, "n_ubatch": 512, "n_threads": 2, "load_mode": "mmap"},
    test=Test(n_prompt=512, n_gen=128),
)


def result(values, **params):
    runs = [SimpleNamespace(round=i + 1, session="s", ns_per_token=value) for i, value in enumerate(values)]
    cell = Cell(id=str(params), backend="cpu", image="cpu", model="m", params=params, test=TG)
    rate = 1e9 / sorted(values)[len(values) // 2]
    return SimpleNamespace(
        cell=cell, runs=runs, screening=False, simulated=False, confidence=0.95, tokens_per_s=rate, model=None
    )


def judged(*claimed):
    """(name, sets, ratio of times after/before) to claims with what was found of them."""
    noise = [1.0, 1.001, 0.999, 1.002, 0.998, 1.0]
    wins, arms = [], []
    for name, sets, ratio in claimed:
        side = Side(model="m", test=TG)
        wins.append(Win(name=name, claim="faster", before=side, after=side, sets=sets))
        before, after = result([1e6 * n for n in noise]), result([1e6 * ratio * n * n for n in noise], **sets)
        arms.append(Arms(first=before, second=after, machines=("x", "x"), differs=(name,)))
    found = compare_all(arms)
    return [Judged(win=win, compared=each) for win, each in zip(wins, found, strict=True)]


def test_a_true_win_is_set_and_a_claim_that_is_not_shown_is_not():
    found = judged(("flash attention", {"flash_attn": 1}, 0.9), ("no mapping", {"load_mode": "none"}, 1.0))
    assert settings(found) == {"flash_attn": 1}
    argv = command(BASE, found, model=Path("m.gguf"))
    assert argv[argv.index("-fa") + 1] == "on"
    assert argv[argv.index("-lm") + 1] == "mmap"


def test_of_several_values_the_best_is_set():
    found = judged(("ub 256", {"n_ubatch": 256}, 0.95), ("ub 1024", {"n_ubatch": 1024}, 0.8))
    assert settings(found) == {"n_ubatch": 1024}


def test_what_helps_one_test_and_harms_another_is_not_set():
    found = judged(("threads", {"n_threads": 4}, 0.8), ("threads", {"n_threads": 4}, 1.3))
    assert settings(found) == {}


def test_lines_have_the_true_wins_first_and_every_claim_once():
    found = [
        *judged(("flash attention", {"flash_attn": 1}, 0.9), ("no mapping", {"load_mode": "none"}, 1.0)),
        Judged(
            win=Win(name="batching", claim="2 to 4", before=Side(model="m", test=TG), after=Side(model="m", test=TG)),
            compared=None,
            why_none="oom_host: killed",
        ),
    ]
    text = "\n".join(as_lines(BASE, found, (), model=Path("m.gguf")))
    shown, others = text.split("Claimed, and not shown here")
    assert "flash attention" in shown
    assert "faster by" in shown
    assert "no mapping" in others
    assert "oom_host: killed" in others
    assert text.rstrip().splitlines()[-1].strip().startswith("llama-server -m m.gguf")


# Claims


def named(found, name):
    return [win for win in found if name in win.name]


def test_speculative_decoding_is_claimed_where_a_draft_model_is_named_only():
    assert not named(claims(BASE, About(cores=2, threads=2)), "speculative")
    (win,) = named(claims(BASE, About(cores=2, threads=2, draft="small")), "speculative")
    assert (win.before.test.draft, win.after.test.draft) == ("", "small")
    # The same prompts of text in both arms: random tokens would say nothing of how often a guess is right.
    assert win.before.test.prompts == win.after.test.prompts == "text"
    entries = matrix_of(BASE, [win], images=None, models=None, preset="standard")["cells"]
    assert [entry.get("draft") for entry in entries] == [None, "small"]


def test_both_sides_of_every_claim_are_cells_of_the_matrix(tmp_path):
    base = replace(BASE, params=dict(BASE.params) | {"n_batch": 2048})
    found = claims(base, About(cores=2, threads=2, draft="small", quantizations=("m", "smaller")))
    recipe = {"architecture": "llama", "n_layers": 1, "n_embd": 256, "n_ff": 256, "n_heads": 4, "n_kv_heads": 4,
              "n_vocab": 512, "n_ctx": 8192, "quantization": "Q4_0", "seed": 1}  # fmt: skip
    models = {name: {"synthetic": recipe | {"seed": at}} for at, name in enumerate(("m", "smaller", "small"))}
    content = matrix_of(base, found, images=None, models=models, preset="standard")
    file = tmp_path / "wins.yaml"
    file.write_text(json.dumps(content))
    cells = expand(load_matrix(file, shown="wins.yaml", registry={}), n_threads=2)
    base = replace(base, params=dict(cells[0].params) | dict(base.params))
    for win in found:
        assert find(cells, base, win.before) is not None, win.name
        assert find(cells, base, win.after) is not None, win.name


def test_batches_are_tried_on_a_prompt_that_the_smaller_one_cuts():
    base = replace(BASE, params=dict(BASE.params) | {"n_batch": 2048})
    (win,) = named(claims(base, About(cores=2, threads=2)), "batch of 2048 instead of 512")
    assert (win.before.params, win.after.params) == ({"n_batch": 512}, {})
    assert win.before.test.n_prompt > 512


def served(rates, *, draft=""):
    """A latency cell whose generation rates are these."""
    test = Test(n_prompt=128, n_gen=64, measurement="latency", prompts="text", draft=draft)
    noise = [1.0, 1.001, 0.999, 1.002, 0.998, 1.0]
    cell = replace(BASE, id=test.name, test=test)
    runs = tuple(
        RunValue(
            round=at + 1,
            session="s",
            record="r",
            ns_per_token=1e6,
            samples_ns=(1, 1),
            gate_passed=True,
            metrics={"client_generation_tokens_per_s": rates * noise[at]},
        )
        for at in range(6)
    )
    empty = {field.name: None for field in fields(CellResult) if field.default is MISSING}
    argv = ("/app/llama-server", "-md", "/models/draft.gguf", "--spec-type", "draft-simple", "-c", "256")
    known = {"cell": cell, "runs": runs, "failures": (), "observed": (), "screening": False, "simulated": False}
    more = {"confidence": 0.95, "argv": argv, "rounds_planned": 6, "checks": ()}
    return CellResult(**{**empty, **known, **more})


def test_speculative_decoding_is_judged_by_generation_and_ends_in_the_command():
    (win,) = named(claims(BASE, About(cores=2, threads=2, draft="small")), "speculative")
    machine = SimpleNamespace(
        machine=SimpleNamespace(machine="box"), cells=(served(50.0), served(80.0 + 1e-9, draft="small"))
    )
    found = judge(machine, BASE, [win])
    assert found[0].compared.comparison.ratio == pytest.approx(1.6, rel=0.01)
    argv = command(BASE, found, model=Path("m.gguf"))
    assert argv[-4:] == ["-md", "small.gguf", "--spec-type", "draft-simple"]
    slower = SimpleNamespace(machine=machine.machine, cells=(served(80.0), served(50.0 + 1e-9, draft="small")))
    assert "-md" not in command(BASE, judge(slower, BASE, [win]), model=Path("m.gguf"))


def test_a_long_context_is_the_one_of_the_file():
    (win,) = named(claims(BASE, About(cores=2, threads=2, depth=1024)), "a context of")
    assert (win.before.test.n_depth, win.after.test.n_depth) == (1024, 512)
    assert not named(claims(BASE, About(cores=2, threads=2, depth=256)), "a context of")
