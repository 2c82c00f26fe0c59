"""What is said of quick wins: only what is shown counts, and the command follows from it."""

from pathlib import Path
from types import SimpleNamespace

from harness.analysis.arms import Arms
from harness.analysis.comparisons import compare_all
from harness.flows.win_words import as_lines, command, settings
from harness.flows.wins import Judged
from harness.matrix.wins import Side, Win
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
