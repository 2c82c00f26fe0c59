"""`invoke compare` over fakes: from containers that are played to the exit code."""

import io
import json
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
from rich.console import Console

from harness.engine.replay import scripted
from harness.errors import InputError, SlowerError, UndecidedError
from harness.flows import two_arms as two_arms_flow
from harness.flows.compare import CompareRequest, compare_reports, read_limit
from harness.flows.console import Display
from harness.flows.two_arms import TwoArms, measure_two_arms, parse_setting, two_arm_matrix

SETTINGS = """
preset: standard
repetitions: 2
cells:
  - {backend: cpu, model: gemma3-270m-q4_k_m, n_threads: 2, tests: [tg4], label: plain}
  - {backend: cpu, model: gemma3-270m-q4_k_m, n_threads: 2, tests: [tg4], label: small, n_batch: 1024}
"""


class Planted:
    """A llama-bench that is slower with a smaller batch, and a little different in every run."""

    def __init__(self, inner, *, slower: float, noise: float) -> None:
        self.inner = inner
        self.slower = slower
        self.noise = noise
        self.random = random.Random(1)

    def __call__(self, spec):
        ended = self.inner(spec)
        options = dict(zip(spec.argv[1:], spec.argv[2:], strict=False))
        factor = (1 + self.slower * (options["-b"] == "1024")) * (1 + self.random.gauss(0, self.noise))
        rows = []
        for line in ended.stdout:
            row = json.loads(line.text)
            samples = [int(ns * factor) for ns in row["samples_ns"]]
            rates = [1e9 * (row["n_prompt"] + row["n_gen"]) / ns for ns in samples]
            measured = {
                "n_batch": int(options["-b"]),
                "samples_ns": samples,
                "samples_ts": rates,
                "avg_ts": sum(rates) / len(rates),
            }
            rows.append(json.dumps(row | measured))
        return scripted("\n".join(rows), "\n".join(line.text for line in ended.stderr))


@pytest.fixture
def measured(harness):
    def measure(*, slower: float = 0.1, noise: float = 0.002, text: str = SETTINGS, name: str = "tiny") -> None:
        harness.bench = Planted(harness.bench, slower=slower, noise=noise)
        harness.measure(harness.matrix(text, name))
        harness.bench = harness.bench.inner

    return measure


@pytest.fixture
def compare(harness):
    def call(*reports: str, **request):
        stream = io.StringIO()
        display = Display(terminal=False, stream=Console(file=stream, soft_wrap=True, highlight=False))
        try:
            asked = CompareRequest(reports=reports or ("tiny",), **request)
            return compare_reports(asked, workspace=harness.workspace, display=display)
        finally:
            harness.shown = stream.getvalue()

    return call


def test_labelled_arms_are_compared(harness, measured, compare) -> None:
    measured()
    (found,) = compare()
    assert found.comparison is not None
    assert found.comparison.high < 1 / 1.09
    assert "slower by 9" in harness.shown
    assert "n_batch" in harness.shown
    assert "paired t" in harness.shown
    report = (harness.workspace.reports / "tiny/report.md").read_text()
    assert "## Comparisons" in report
    assert "slower by 9" in report


def test_arms_by_a_field_need_no_labels(harness, measured, compare) -> None:
    measured(text=SETTINGS.replace(", label: plain", "").replace(", label: small", ""))
    (found,) = compare(by="n_batch")
    assert found.arms.differs == ("n_batch",)
    with pytest.raises(InputError, match="no cells with labels") as caught:
        compare()
    assert "Its cells differ in n_batch" in caught.value.remedy
    with pytest.raises(InputError, match="no two cells differ in flash_attn only"):
        compare(by="flash_attn")
    with pytest.raises(InputError, match="'colour' is no field"):
        compare(by="colour")
    with pytest.raises(InputError, match=r"'fa' is no field\. Did you mean 'flash_attn'"):
        compare(by="fa")


def test_two_reports_are_compared_by_welch(harness, measured, compare) -> None:
    measured(name="one")
    measured(name="two", slower=0.3)
    found = compare("one", "two")
    assert [each.comparison.verdict for each in found if each.comparison] == ["equivalent", "slower"]
    assert "Measured apart" in harness.shown
    assert "2 comparisons, corrected by Holm" in harness.shown


def test_what_only_one_report_has_is_named(harness, measured, compare) -> None:
    measured(name="one")
    measured(name="two", text=SETTINGS.replace("[tg4], label: small", "[tg8], label: small"))
    (found,) = compare("one", "two")
    assert found.arms.first.cell.label == "plain"
    assert "left out: cpu/gemma3-270m-q4_k_m/tg4/b1024,t2#small, cpu/gemma3-270m-q4_k_m/tg8/" in harness.shown


def test_json_holds_everything(harness, measured, compare) -> None:
    measured()
    compare(as_json=True)
    data = json.loads(harness.shown)
    (entry,) = data["comparisons"]
    assert data["schema"] == "llama-bench-harness/comparisons"
    assert entry["verdict"] == "slower"
    assert entry["low"] < entry["ratio"] < entry["high"] < 1
    assert entry["differs"] == ["n_batch"]
    assert entry["rounds"] == 6
    assert entry["sign_interval"]["coverage"] == 1 - 2 / 2**6
    assert entry["first"]["label"] == "plain"


class TestTheGate:
    def test_a_slowdown_fails(self, measured, compare) -> None:
        measured()
        with pytest.raises(SlowerError, match=r"1 of 1 are slower by more than 3 %") as caught:
            compare(fail_if_slower=0.03)
        assert caught.value.exit_code == 1

    def test_a_smaller_one_passes(self, measured, compare) -> None:
        measured(slower=0.01)
        compare(fail_if_slower=0.03)

    def test_noise_does_not_pass_in_silence(self, measured, compare) -> None:
        measured(slower=0.0, noise=0.2)
        with pytest.raises(UndecidedError, match="can neither be shown") as caught:
            compare(fail_if_slower=0.03)
        assert caught.value.exit_code == 4

    def test_screening_does_not_pass_in_silence(self, measured, compare) -> None:
        measured(slower=0.0, text=SETTINGS.replace("standard", "quick"))
        with pytest.raises(UndecidedError):
            compare(fail_if_slower=0.03)

    def test_its_result_is_in_the_json(self, harness, measured, compare) -> None:
        measured()
        with pytest.raises(SlowerError):
            compare(fail_if_slower=0.03, as_json=True)
        gate = json.loads(harness.shown)["fail_if_slower"]
        assert gate == {
            "limit": 0.03,
            "passed": False,
            "slower": ["cpu/gemma3-270m-q4_k_m/tg4/b1024,t2#small"],
            "undecided": [],
        }

    @pytest.mark.parametrize(("text", "limit"), [("3%", 0.03), ("2.5 %", 0.025), ("5", 0.05), ("", None)])
    def test_limits(self, text: str, limit: float | None) -> None:
        assert read_limit(text) == limit

    @pytest.mark.parametrize("text", ["three", "-3%", "100%", "3%%"])
    def test_what_is_no_limit(self, text: str) -> None:
        with pytest.raises(InputError, match="is no percentage"):
            read_limit(text)


class TestWhatIsRefused:
    def test_other_weights(self, harness, measured, compare) -> None:
        measured(name="one")
        original = harness.prepare_model

        def other(source, **how):
            return replace(original(source, **how), sha256="e" * 64)

        harness.other_model = other
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("harness.flows.prepare.prepare_model", other)
            measured(name="two")
        with pytest.raises(InputError, match="nothing here can be compared: not comparable: model weights"):
            compare("one", "two")

    def test_no_report(self, compare) -> None:
        with pytest.raises(InputError, match="there is no such report"):
            compare("nowhere")

    def test_three_reports(self, compare) -> None:
        with pytest.raises(InputError, match="3 reports were named"):
            compare("a", "b", "c")


class TestTwoArms:
    def test_are_measured_in_the_same_rounds_and_compared(self, harness, compare) -> None:
        harness.bench = Planted(harness.bench, slower=0.1, noise=0.002)
        arms = TwoArms(settings=("n_batch=2048", "n_batch=1024"), model="gemma3-270m-q4_k_m", tests=("tg4",))
        display = Display(terminal=False, stream=Console(file=io.StringIO()))
        name, failed = measure_two_arms(arms, workspace=harness.workspace, display=display)
        assert failed is None
        (found,) = compare(name)
        assert found.comparison is not None
        assert found.comparison.rounds == 10
        assert found.arms.paired
        assert found.comparison.high < 1 / 1.09

    def test_images_become_two_images_of_one_matrix(self, harness) -> None:
        arms = TwoArms(images=("x/llama:full-b1", "x/llama:full-b2"), model="m", until="1%")
        matrix = two_arm_matrix(arms, harness.workspace)
        assert matrix["images"] == {"arm-a": {"ref": "x/llama:full-b1"}, "arm-b": {"ref": "x/llama:full-b2"}}
        assert matrix["cells"] == [
            {"backend": "cpu", "model": "m", "label": "a", "image": "arm-a"},
            {"backend": "cpu", "model": "m", "label": "b", "image": "arm-b"},
        ]
        assert matrix["until"] == "1%"

    def test_a_file_is_a_model(self, harness) -> None:
        arms = TwoArms(builds=("cpu", "cpu"), model="weights/m.gguf")
        matrix = two_arm_matrix(arms, harness.workspace)
        assert matrix["models"] == {"model": {"file": str(harness.workspace.cwd / "weights/m.gguf")}}

    def test_the_same_question_has_the_same_name(self, harness, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []
        monkeypatch.setattr(two_arms_flow, "measure", lambda request, **_: asked.append(request.file))
        for model in ("m", "m", "n"):
            measure_two_arms(TwoArms(builds=("cpu", "cpu"), model=model), workspace=harness.workspace)
        assert asked[0] == asked[1] != asked[2]

    @pytest.mark.parametrize(
        ("arms", "message"),
        [
            (TwoArms(images=("a",), model="m"), "two arms of one kind are needed"),
            (TwoArms(images=("a", "b", "c"), model="m"), "two arms of one kind are needed"),
            (TwoArms(images=("a", "b"), builds=("cpu", "cpu"), model="m"), "two arms of one kind are needed"),
            (TwoArms(images=("a", "b")), "is needed"),
            (TwoArms(settings=("colour=1", "flash_attn=1"), model="m"), "is no parameter"),
            (TwoArms(settings=("flash_attn=", "flash_attn=1"), model="m"), "is no parameter"),
        ],
    )
    def test_mistakes_are_told(self, harness, arms: TwoArms, message: str) -> None:
        with pytest.raises(InputError, match=message):
            two_arm_matrix(arms, SimpleNamespace(cwd=harness.workspace.cwd))

    @pytest.mark.parametrize(
        ("written", "name"),
        [
            ("fa", "flash_attn"), ("ngl", "n_gpu_layers"), ("ctk", "type_k"), ("ctv", "type_v"), ("ub", "n_ubatch"),
            ("b", "n_batch"), ("t", "n_threads"), ("nkvo", "no_kv_offload"), ("-fa", "flash_attn"),
            ("--cpu-strict", "cpu_strict"), ("flash-attn", "flash_attn"), ("flash_attention", "flash_attn"),
        ],
    )  # fmt: skip
    def test_a_mark_of_llama_bench_is_told_its_name(self, written: str, name: str) -> None:
        with pytest.raises(InputError, match=f"'{written}=1' is no parameter. Did you mean '{name}'?"):
            parse_setting(f"n_batch=512,{written}=1")
        with pytest.raises(InputError) as caught:
            parse_setting("colour=1")
        assert "Did you mean" not in str(caught.value)
