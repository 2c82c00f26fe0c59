"""Energy for a token: net of idle power, with the code of why there is none. The readings of cards are made up."""

from dataclasses import replace

import pytest

from harness.analysis.energy import Validity, token_energy
from harness.values.cell import Test
from harness.values.telemetry import DeviceSummary, Trace
from tests.unit.analysis.made import QUIET, Machine, S, made, on_card

DRAWN = DeviceSummary(readings=100, utilization_mean_percent=97, energy_j=3000.0, net_energy_j=2500.0, power_mean_w=300)
SILENT = replace(DRAWN, energy_j=None, net_energy_j=None)
BLIND = {"energy_j": "not readable but by root", "power_w": "not readable but by root"}


def card(device=DRAWN, **changes):
    """Ten seconds in which five samples of ten tokens were taken."""
    result = on_card(device=device, **changes)
    return replace(result, runs=(replace(result.runs[0], samples_ns=(1,) * 5),))


def seen(result, **changes):
    """The same with another window or another trace."""
    (run,) = result.observed
    window = replace(run.summary.window, **{k: v for k, v in changes.items() if k != "missing"})
    trace = Trace(subject="d", missing=changes.get("missing", {}))
    return replace(result, observed=(replace(run, traces=(trace,), summary=replace(run.summary, window=window)),))


def test_joules_for_a_token_and_what_a_million_cost() -> None:
    energy = token_energy(card(), Machine())
    assert energy is not None
    assert (energy.validity, energy.net_j, energy.gross_j) == (Validity.VALID, 50.0, 60.0)
    assert energy.tokens_per_j == pytest.approx(0.02)
    # 50 MJ are 13.9 kWh.
    assert energy.kwh_per_million == pytest.approx(13.889, abs=0.001)
    assert energy.cost_per_million(0.3) == pytest.approx((4.1667, 5.0), abs=0.001)


def test_prompt_and_generation_are_apart_and_a_mixed_test_has_none() -> None:
    assert token_energy(card(test=Test(n_prompt=100)), Machine()).net_j == 5.0  # type: ignore[union-attr] # it has
    assert token_energy(card(test=Test(n_prompt=100, n_gen=10)), Machine()) is None


@pytest.mark.parametrize(
    ("result", "code", "reason"),
    [
        (replace(card(), observed=()), Validity.UNSEEN, "looked at"),
        (seen(card(), untimed=True), Validity.UNTIMED, "depth"),
        (seen(card(SILENT), end_ns=4 * S), Validity.TOO_SHORT, "lasted 4.0 s; 5 are needed"),
        (seen(card(SILENT), missing=BLIND), Validity.NO_SENSOR, "by root"),
        (card(replace(DRAWN, net_energy_j=None)), Validity.NO_IDLE, "before the container"),
        (card(replace(DRAWN, net_energy_j=-5.0)), Validity.BELOW_IDLE, "idle power"),
        (made(device=DRAWN, host=replace(QUIET, cpu_busy=0.9)), Validity.OTHERS, "other programs used 3.20 CPUs"),
    ],
)
def test_where_there_is_no_figure_there_is_a_code_and_a_reason(result, code: Validity, reason: str) -> None:
    energy = token_energy(result, Machine())
    assert energy is not None
    assert energy.validity is code
    assert reason in energy.reason
    assert (energy.net_j, energy.tokens_per_j, energy.kwh_per_million, energy.cost_per_million(0.3)) == (None,) * 4


def test_of_several_devices_the_sum_counts_and_one_that_does_not_tell_spoils_it() -> None:
    result = card()
    (run,) = result.observed
    both = replace(run, traces=run.traces * 2, summary=replace(run.summary, devices=(DRAWN, DRAWN)))
    energy = token_energy(replace(result, observed=(both,)), Machine())
    assert energy is not None
    assert energy.net_j == 100.0
    one = replace(both, summary=replace(run.summary, devices=(DRAWN, SILENT)))
    energy = token_energy(replace(result, observed=(one,)), Machine())
    assert energy is not None
    assert energy.net_j is None
