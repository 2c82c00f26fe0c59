"""`invoke bisect` over fakes: builds of scripted speed, from the command to the last word."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest
from rich.console import Console

from harness.engine.replay import scripted
from harness.errors import ArtifactError, InputError, UndecidedError
from harness.flows import bisect as bisect_flow
from harness.flows.bisect import BisectRequest, bisect
from harness.flows.bisect_builds import Asked, find_builds
from harness.flows.bisect_steps import Pair
from harness.flows.bisect_words import last_words
from harness.flows.console import Display
from harness.stats.paired import compare_paired
from harness.stats.sides import Side

IMAGE = "example/llama:full-b{}"


@dataclass
class Scripted:
    """A llama-bench whose speed follows from its image.

    Attributes:
        slower: how much slower a build is, as a share, by its number.
        noise: of each run. crashes: builds whose process dies.
        killed_after: containers until the harness is killed.
    """

    inner: object
    slower: dict[int, float]
    noise: float = 0.004
    crashes: set[int] = field(default_factory=set)
    killed_after: int = 10**9
    random: random.Random = field(default_factory=lambda: random.Random(1))
    made: int = 0

    def __call__(self, spec):
        self.made += 1
        if self.made > self.killed_after:
            raise KeyboardInterrupt
        build = int(spec.image.removeprefix("sha256:"))
        ended = self.inner(spec)
        if build in self.crashes:
            return replace(scripted("", "GGML_ASSERT failed"), exit_code=134)
        # Half-normal: what disturbs makes slower.
        factor = (1 + self.slower.get(build, 0.0)) * (1 + abs(self.random.gauss(0, self.noise)))
        rows = []
        for line in ended.stdout:
            row = json.loads(line.text)
            samples = [int(ns * factor) for ns in row["samples_ns"]]
            rates = [1e9 * (row["n_prompt"] + row["n_gen"]) / ns for ns in samples]
            measured = {"build_number": build, "samples_ns": samples, "samples_ts": rates}
            rows.append(json.dumps(row | measured | {"avg_ts": sum(rates) / len(rates)}))
        return scripted("\n".join(rows), "\n".join(line.text for line in ended.stderr))


@pytest.fixture
def search(harness, monkeypatch: pytest.MonkeyPatch):
    """Bisect with a new start of the harness; `search.missing` are builds without an image."""
    had: list[int] = []
    missing: set[int] = set()

    def prepare_image(source, **_how):
        number = int(source.ref.rpartition("b")[2])
        if source.name.startswith("b"):
            had.append(number)
        if number in missing:
            raise ArtifactError("the registry has no such image", reason="image", where=source.ref)
        image_id = f"sha256:{number:064d}"
        return replace(harness.image, name=source.name, ref=source.ref, id=image_id, build_number=number)

    @contextmanager
    def open_engine(say) -> Iterator[object]:
        with harness.open_engine(say) as opened:
            yield opened

    monkeypatch.setattr(harness, "prepare_image", prepare_image)
    monkeypatch.setattr("harness.flows.prepare.prepare_image", prepare_image)
    monkeypatch.setattr(bisect_flow, "prepare_image", prepare_image)
    monkeypatch.setattr(bisect_flow, "open_engine", open_engine)

    def go(first: int = 1, last: int = 9, **request):
        stream = io.StringIO()
        display = Display(terminal=False, stream=Console(file=stream, soft_wrap=True, highlight=False))
        builds = {name: request.pop(name) for name in ("among", "present") if name in request}
        fields = {
            "model": "gemma3-270m-q4_k_m",
            "test": "tg4",
            "repetitions": 2,
            "machine": "box",
            "setting": "n_threads=2",
        }
        try:
            return bisect(
                BisectRequest(
                    builds=Asked(good=f"b{first}", bad=f"b{last}", image=IMAGE, **builds), **{**fields, **request}
                ),
                workspace=harness.workspace,
                display=display,
            )
        finally:
            go.shown = stream.getvalue()

    def builds(slower: dict[int, float], **how) -> Scripted:
        harness.bench = Scripted(
            harness.bench if not isinstance(harness.bench, Scripted) else harness.bench.inner, slower, **how
        )
        return harness.bench

    go.builds, go.missing, go.had = builds, missing, had
    return go


def planted(first_slow: int, last: int = 9, *, by: float = 0.1) -> dict[int, float]:
    return dict.fromkeys(range(first_slow, last + 1), by)


@pytest.mark.parametrize("first_slow", [2, 4, 5])
def test_a_slowdown_is_found_wherever_it_was_planted(search, first_slow: int) -> None:
    search.builds(planted(first_slow, 5))
    found = search(last=5)
    assert (found.narrowed.fine, found.narrowed.slow, found.narrowed.found) == (first_slow - 1, first_slow, True)
    comparison = found.at_the_change.comparison
    assert comparison.low < 1 / 1.1 < comparison.high
    assert (found.at_the_change.base, found.at_the_change.candidate) == (first_slow - 1, first_slow)
    assert len(found.steps) == 2
    assert f"first slow build: b{first_slow}. Against b{first_slow - 1}" in search.shown


def test_what_was_found_is_a_report_and_json(harness, search) -> None:
    search.builds(planted(6))
    search()
    (folder,) = harness.workspace.reports.glob("bisect-*")
    report = (folder / "bisect.md").read_text()
    assert "first slow build: b6. Against b5" in report
    assert "| b5 | b1 |" in report
    data = json.loads((folder / "bisect.json").read_text())
    assert (data["first_slow"], data["last_fine"], data["range"]) == (6, 5, [6])
    assert data["change"]["low"] < data["change"]["ratio"] < data["change"]["high"] < 1
    assert [step["candidate"] for step in data["steps"]] == [5, 7, 6]
    assert [step["side"] for step in data["steps"]] == ["fine", "slow", "slow"]
    assert (folder / "b5-against-b1" / "report.md").exists()


def test_the_arms_of_a_step_run_in_the_same_rounds(harness, search) -> None:
    search.builds(planted(6))
    found = search()
    (folder,) = harness.workspace.reports.glob("bisect-*")
    lines = (folder / "b5-against-b1/records/box.jsonl").read_text().splitlines()
    rounds = [json.loads(line)["run"]["round"] for line in lines]
    assert sorted(rounds) == sorted([*range(9), *range(9)])
    assert all(step.rounds == 8 for step in found.steps)


def test_json_on_standard_output_is_all_there_is(search, capsys) -> None:
    search.builds(planted(6))
    search(as_json=True)
    data = json.loads(search.shown[search.shown.index("{\n") :])
    assert data["schema"] == "llama-bench-harness/bisection"


def test_noise_gets_more_rounds(search) -> None:
    search.builds(planted(3, 3), noise=0.045)
    found = search(last=3)
    assert found.narrowed.slow == 3
    assert max(step.rounds for step in (*found.steps, found.ends)) > 8


def test_a_build_that_stays_undecided_is_skipped_and_the_next_one_looked_at(search) -> None:
    # Half as slow as the bad one: just at the limit, where no number of rounds tells.
    search.builds(planted(5, 5) | {3: 1.1**0.5 - 1})
    found = search(last=5)
    assert (found.narrowed.fine, found.narrowed.slow) == (4, 5)
    assert found.sides[3] is Side.UNDECIDED
    assert "undecided after 20 rounds" in found.skipped[3]
    assert "b3 is skipped: undecided after 20 rounds" in search.shown


def test_a_build_that_crashes_is_skipped_and_costs_no_rounds(search) -> None:
    bench = search.builds(planted(5, 5), crashes={3})
    found = search(last=5)
    assert (found.narrowed.fine, found.narrowed.slow) == (4, 5)
    assert "abort" in found.skipped[3]
    (step,) = (step for step in found.steps if step.candidate == 3)
    assert step.rounds == 0
    # The ends, b2, b4 and the change are 18 containers each; b3 and its base cost their warm-up alone.
    assert bench.made == 4 * 18 + 2


def test_a_build_without_an_image_is_skipped_before_anything_is_measured(search) -> None:
    search.missing.update({3, 4})
    search.builds(planted(6, 6))
    found = search(last=6)
    assert (found.narrowed.fine, found.narrowed.slow) == (5, 6)
    assert found.skipped[3] == "the registry has no such image"
    assert {step.candidate for step in found.steps}.isdisjoint({3, 4})


def test_where_it_cannot_be_told_the_answer_is_a_range(harness, search) -> None:
    search.missing.update({5, 6})
    search.builds(planted(6))
    with pytest.raises(UndecidedError, match="2 builds could not be judged") as caught:
        search()
    assert caught.value.exit_code == 4
    assert "the first slow build is one of b5 to b7: b4 is fine, b7 is slow" in search.shown
    assert "b5: the registry has no such image" in search.shown
    (folder,) = harness.workspace.reports.glob("bisect-*")
    data = json.loads((folder / "bisect.json").read_text())
    assert (data["first_slow"], data["last_fine"], data["range"]) == (None, 4, [5, 6, 7])
    assert "| b5 | - | - | - | the registry has no such image | skipped |" in (folder / "bisect.md").read_text()


def test_an_end_without_an_image_ends_it(search) -> None:
    search.missing.add(9)
    search.builds(planted(6))
    with pytest.raises(ArtifactError, match="the registry has no such image"):
        search()


@pytest.mark.parametrize("containers", [0, 5, 18, 53])
def test_killed_anywhere_the_same_command_goes_on_and_ends_in_the_same_place(search, containers: int) -> None:
    bench = search.builds(planted(4, 4), killed_after=containers)
    with pytest.raises(KeyboardInterrupt):
        search(last=4)
    bench.killed_after = 10**9
    found = search(last=4)
    assert (found.narrowed.fine, found.narrowed.slow) == (3, 4)
    # The ends, b2, b3 and the change: two arms, a warm-up and eight rounds each. What was cut off is repeated.
    assert bench.made == 4 * 18 + 1


def test_finished_it_measures_nothing_again(search) -> None:
    bench = search.builds(planted(3, 3))
    first = search(last=3)
    made, had = bench.made, len(search.had)
    again = search(last=3)
    assert bench.made == made
    assert again.narrowed == first.narrowed
    assert len(search.had) == had + 2, "the ends' images are looked at, and no other"


def test_fresh_measures_everything_again(search) -> None:
    bench = search.builds(planted(3, 3))
    search(last=3)
    made = bench.made
    search(last=3, fresh=True)
    assert bench.made == 2 * made


def test_another_question_is_another_search(harness, search) -> None:
    search.builds(planted(2, 2))
    search(last=2)
    search(last=2, slower=0.03)
    assert len(list(harness.workspace.reports.glob("bisect-*"))) == 2


def test_a_limit_of_ones_own(search) -> None:
    search.builds({3: 0.02, 4: 0.1}, noise=0.002)
    found = search(last=4, slower=0.05)
    assert found.limit == 0.95
    assert found.narrowed.slow == 4
    assert search(last=4, slower=0.01).narrowed.slow == 3


def test_the_bad_build_has_to_be_slower(search) -> None:
    search.builds({})
    with pytest.raises(UndecidedError, match="b9 is not shown to be slower than b1: equivalent"):
        search()
    search.builds({9: -0.1})
    with pytest.raises(InputError, match="b9 is not slow against b1: faster by"):
        search(repetitions=3)


def test_a_change_that_is_no_slowdown_by_itself_is_told(search) -> None:
    """As where every build is a little slower than the one before: the search ends in the middle of it."""
    search.builds(planted(3, 3))
    found = search(last=3)
    alone = Pair(
        base=2,
        candidate=3,
        comparison=compare_paired([100.0] * 8, [101.0, 99.0] * 4),
        rounds=8,
        tokens_per_s=(10.0, 10.0),
    )
    assert not [line for line in last_words(found) if "several" in line]
    assert [line for line in last_words(replace(found, change=alone)) if "it came in several" in line]


def test_up_and_down_ends_at_a_change(search) -> None:
    search.builds({2: 0.1, 4: 0.1})
    found = search(last=4)
    assert (found.narrowed.fine, found.narrowed.slow) in {(1, 2), (3, 4)}
    assert found.at_the_change.comparison.high < 1


def test_only_some_builds(search) -> None:
    search.builds(planted(6))
    found = search(among=("b3,b5", "b7"))
    assert (found.narrowed.fine, found.narrowed.slow) == (5, 7)


class TestTheBuilds:
    def builds(self, harness, good="b1", bad="b9", names=(), **fields):
        return find_builds(Asked(good=good, bad=bad, **fields), harness.workspace, names=lambda: names)

    def test_tags_are_all_numbers_between_and_sort_as_numbers(self, harness) -> None:
        found = self.builds(harness, good="998", bad="b1003", image=IMAGE)
        assert found.numbers == (998, 999, 1000, 1001, 1002, 1003)
        assert found.entry(1000) == {"ref": "example/llama:full-b1000"}

    def test_present_ones_are_those_that_the_engine_has(self, harness) -> None:
        names = (
            "example/llama:full-b1000",
            "example/llama:full-b999",
            "example/llama:full-b2000",
            "other:full-b1001",
            "x:y",
        )
        found = self.builds(harness, good="b998", bad="b1002", image=IMAGE, present=True, names=names)
        assert found.numbers == (998, 999, 1000, 1002)

    def test_sources_of_a_dockerfile(self, harness) -> None:
        found = self.builds(harness, good="b6110", bad="b11312", build="cpu-bench")
        assert found.numbers == (6110, 8643, 9102, 11312)
        assert found.entry(8643) == {"build": "cpu-bench", "source": "b8643"}
        assert found.entry(11312) == {"build": "cpu-bench"}

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"good": "b9", "bad": "b1", "image": IMAGE}, "is not older than the bad one"),
            ({"good": "b1", "bad": "b1", "image": IMAGE}, "is not older than the bad one"),
            ({"good": "one", "image": IMAGE}, "'one' is no build"),
            ({"good": "", "image": IMAGE}, "'' is no build"),
            ({}, "exactly one of --image and --build"),
            ({"image": IMAGE, "build": "cpu-bench"}, "exactly one of --image and --build"),
            ({"image": "example/llama:full"}, "has to hold {} once"),
            ({"image": "Example:b{}"}, "lower case"),
            ({"image": IMAGE, "among": ("b10",)}, "b10 is not between b1 and b9"),
            ({"bad": "b99999", "image": IMAGE}, "builds between"),
            ({"build": "cpu-bunch"}, "Did you mean 'cpu-bench'"),
            ({"build": "cpu-bench", "good": "b6110", "bad": "b8643", "present": True}, "is for --image"),
        ],
    )
    def test_mistakes_are_told(self, harness, fields, message: str) -> None:
        with pytest.raises(InputError, match=message):
            self.builds(harness, **fields)

    def test_a_source_that_there_is_not(self, harness) -> None:
        found = self.builds(harness, good="b6000", bad="b8643", build="cpu-bench")
        with pytest.raises(InputError, match="'b6000' is not one of"):
            found.entry(6000)

    def test_a_model_is_needed(self, search) -> None:
        with pytest.raises(InputError, match="is needed"):
            search(model="")
