"""llama-perplexity as a measurement: its figures read, and a text that was not read whole is no result."""

import pytest

from harness.formats import llama_perplexity
from harness.measure.quality import LOGITS_PATH, Quality
from harness.values.cell import Cell, Test
from harness.values.container import Passthrough
from harness.values.failure import Reason
from harness.values.measured import Asked
from tests.unit.measure.conftest import PARAMS, TINY, make_ended, make_image_facts

PLAIN = (
    "perplexity: calculating perplexity over 8 chunks, n_ctx=512, batch_size=2048, n_seq=4",
    "[1]31.2345,[2]30.1111,",
    "Final estimate: PPL = 28.1234 +/- 1.02345",
)
DIVERGENCE = (
    "chunk             PPL               ln(PPL(Q)/PPL(base))          KL Divergence              Δp RMS    Same top p",
    "   1      31.0 ±    5.0       0.1 ±    0.05       0.1 ±    0.01     5.0 ±  0.5 %    90.0 ±  1.9 %",
    "   8      29.0 ±    1.5       0.05 ±    0.01       0.08 ±    0.003     4.5 ±  0.2 %    91.0 ±  0.6 %",
    "Mean PPL(Q)                   :  29.012345 ±   1.500000",
    "Mean PPL(base)                :  28.012345 ±   1.400000",
    "Mean PPL(Q)/PPL(base)         :   1.035698 ±   0.004000",
    "Mean    KLD:   0.081000 ±   0.003000",
    "Same top p: 91.176 ± 0.628 %",
)
FLAGS = {"llama-perplexity": dict.fromkeys(("-m", "-dev", "-ngl", "-b", "-ub", "-ctk", "-ctv", "-t", "-lm"), "N")}
FLAGS["llama-perplexity"] |= {"-fa": "[on|off|auto]"}


def cell(against=""):
    test = Test(n_prompt=512, measurement="quality", against=against)
    return Cell(id=f"cpu/m/{test.name}", backend="cpu", image="cpu", model="model", params=PARAMS, test=test)


def judged(lines, against="", **ended):
    asked = Asked(passthrough=Passthrough(), backend="cpu", image=make_image_facts(), model=TINY, repetitions=1)
    (outcome,) = Quality().judge((cell(against),), make_ended((), lines, **ended), None, asked)
    return outcome


def test_the_figures_are_read_with_their_errors():
    found = llama_perplexity.read(DIVERGENCE)
    assert found["kl_divergence"] == pytest.approx(0.081)
    assert found["kl_divergence_error"] == pytest.approx(0.003)
    assert found["perplexity_ratio"] == pytest.approx(1.035698)
    assert found["same_top_percent"] == pytest.approx(91.176)
    assert found["chunks"] == 8
    assert llama_perplexity.read(PLAIN) == {"chunks": 8, "perplexity": 28.1234, "perplexity_error": 1.02345}


def test_names_say_what_is_compared():
    assert cell().test.name == "quality:c512"
    assert cell("big").test.name == "quality:c512+to:big"


@pytest.mark.parametrize(("lines", "against"), [(PLAIN, ""), (DIVERGENCE, "big")])
def test_a_whole_reading_is_a_result(lines, against):
    outcome = judged(lines, against)
    assert outcome.failure is None
    assert outcome.series["perplexity"]


def test_a_text_that_was_not_read_whole_is_none():
    outcome = judged([line.replace("8 chunks", "5 chunks") for line in PLAIN])
    assert outcome.failure.reason is Reason.INCONSISTENT


def test_without_the_divergence_that_was_asked_for_there_is_no_result():
    outcome = judged(PLAIN, "big")
    assert outcome.failure.reason is Reason.MISSING_ROWS
    assert "kl_divergence" in outcome.failure.detail


def test_a_crash_is_told_as_one():
    assert judged(PLAIN[:1], exit_code=139).failure.reason is Reason.CRASH


def test_the_command_line_names_the_base_logits_only_where_there_are_any():
    def argv(against):
        image = make_image_facts(programs=FLAGS)
        return Quality().argv((cell(against),), image, passthrough=Passthrough(), repetitions=3, verbose=False)

    assert LOGITS_PATH not in argv("")
    assert argv("big")[-2:] == ("--kl-divergence-base", LOGITS_PATH)
