"""The tree that says what limits a cell: each cause from the signs that it leaves, and none from those of another."""

import re
from dataclasses import replace

import pytest

from harness.analysis.bottleneck import diagnose
from harness.analysis.limit_words import percent
from harness.analysis.observed import Observed
from harness.analysis.results import CellResult
from harness.analysis.signs import signs
from harness.analysis.validity import InvalidRun
from harness.values.cell import Test
from harness.values.failure import Failure, Phase, Reason
from harness.values.limit import Limit
from harness.values.record import Violation
from harness.values.roof import Roof
from harness.values.telemetry import HostSummary, ThrottleKind, Window, WindowSummary
from tests.unit.analysis.made import BUSY, GB, HALF, QUIET, ROOF, Facts, Machine, Model, S, made, on_card


def limit(result: CellResult, machine: Machine | None = None) -> Limit:
    found = diagnose(result, machine or Machine())
    assert found is not None
    assert found.decided_by
    assert found.because
    return found.limit


def host(**changes) -> HostSummary:
    return replace(QUIET, **changes)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (made(), Limit.MEMORY_BANDWIDTH),
        # 2 G operations a token: 160 G a second of 400, while 8 of 20 GB/s are read.
        (made(rate=80.0, model=type("Dense", (Model,), {"bytes_per_token": GB // 10})), Limit.COMPUTE),
        (made(rate=5.0), Limit.OVERHEAD),
        (made(host=host(container_throttled_ns=20 * S, container_cpu_ns=20 * S)), Limit.CPU_QUOTA),
        # A quota that is hardly ever reached limits nothing.
        (made(host=host(container_throttled_ns=1 * S)), Limit.MEMORY_BANDWIDTH),
        (made(host=host(container_cpus=2, container_cpu_ns=20 * S)), Limit.FEW_CPUS),
        (made(rate=5.0, host=host(container_cpus=None, container_cpu_ns=10 * S, cpu_busy=0.13)), Limit.FEW_CPUS),
        (made(rate=5.0, host=host(cpu_busy=0.95, container_cpu_ns=30 * S)), Limit.NEIGHBOUR_CPU),
        (made(rate=5.0, host=host(cpu_busy=0.75)), Limit.NEIGHBOUR_BANDWIDTH),
        # Others compute, and nothing is missing: neither CPU time nor bandwidth.
        (made(rate=17.0, host=host(cpu_busy=0.75)), Limit.MEMORY_BANDWIDTH),
        (made(host=host(cpu_steal=0.2)), Limit.NEIGHBOUR_CPU),
        # 100,000 pages in ten seconds are 41 MB/s: of 15 GB/s nothing, of 0.5 GB/s a lot.
        (made(host=host(container_refaults=100_000)), Limit.MEMORY_BANDWIDTH),
        (made(rate=0.5, host=host(container_refaults=100_000)), Limit.PAGING),
        (made(test=Test(n_prompt=64), rate=100.0), Limit.COMPUTE),
        (made(test=Test(n_prompt=64), rate=20.0), Limit.OVERHEAD),
    ],
)
def test_a_cause_on_the_processor(result: CellResult, expected: Limit) -> None:
    assert limit(result) is expected


def test_few_threads_are_the_limit_only_where_memory_has_room() -> None:
    one = Roof(n_threads=1, read_bytes_per_s=(10 * GB,), best_read_bytes_per_s=10 * GB)
    two = {"params": {"n_threads": 1}, "host": host(container_cpu_ns=10 * S, cpu_busy=0.13)}
    assert limit(made(rate=9.0, **two), Machine(one, ROOF)) is Limit.FEW_CPUS
    full = replace(ROOF, read_bytes_per_s=(11 * GB,), best_read_bytes_per_s=11 * GB)
    assert limit(made(rate=9.0, **two), Machine(one, full)) is Limit.MEMORY_BANDWIDTH


def test_cores_that_another_program_uses_are_not_there_for_more_threads() -> None:
    """Its own thread lacks nothing, and a second one would have no core."""
    one = Roof(n_threads=3, read_bytes_per_s=(10 * GB,), best_read_bytes_per_s=10 * GB)
    three = {"params": {"n_threads": 3}, "rate": 9.0}
    assert limit(made(host=host(container_cpu_ns=30 * S, cpu_busy=0.39), **three), Machine(one, ROOF)) is Limit.FEW_CPUS
    taken = made(host=host(container_cpu_ns=30 * S, cpu_busy=0.49), **three)
    assert limit(taken, Machine(one, ROOF)) is Limit.MEMORY_BANDWIDTH


def test_a_probe_below_the_best_shows_a_neighbour_that_was_there_from_the_start() -> None:
    fell = Machine(replace(ROOF, read_bytes_per_s=(10 * GB,)))
    found = diagnose(made(rate=7.5, host=host(cpu_busy=0.75)), fell)
    assert found is not None
    assert found.limit is Limit.NEIGHBOUR_BANDWIDTH
    assert "50 % of the best" in found.because
    # Nobody of this system is to be seen: it is somebody outside of it, or memory itself.
    outside = diagnose(made(rate=7.5), fell)
    assert outside is not None
    assert outside.limit is Limit.SLOWER_MEMORY
    assert "no other program of this system" in outside.because


def test_a_probe_that_the_run_itself_outdid_was_disturbed() -> None:
    """Tokens read 15 of 20 GB a second; that the probe came to 8 says nothing of the run."""
    disturbed = Machine(replace(ROOF, read_bytes_per_s=(8 * GB,)))
    assert limit(made(rate=15.0), disturbed) is Limit.MEMORY_BANDWIDTH


def test_a_probe_that_is_only_a_little_below_the_best_blames_nobody_who_is_not_seen() -> None:
    little = Machine(replace(ROOF, read_bytes_per_s=(16 * GB,)))
    assert limit(made(rate=7.5), little) is not Limit.SLOWER_MEMORY
    assert limit(made(rate=7.5, host=host(cpu_busy=0.75)), little) is Limit.NEIGHBOUR_BANDWIDTH


def test_the_figures_say_what_they_are_shares_of() -> None:
    found = diagnose(made(), Machine())
    assert found is not None
    assert "1 GB of weights and 0.02 MB of KV cache" in found.figures[0]
    assert "75 % of the 20 GB a second that a plain reader with 4 threads reached" in found.figures[0]
    assert "other programs 0.00" in found.figures[-1]


@pytest.mark.parametrize(
    ("share", "bound", "text"),
    [
        (0.5972, 0.6, "59.7 %"),
        (0.5999, 0.6, "59.99 %"),
        (0.6, 0.6, "60 %"),
        (0.604, 0.6, "60.4 %"),
        (0.58, 0.6, "58 %"),
        (0.3963, 0.4, "39.6 %"),
        (0.0503, 0.05, "5.03 %"),
        (0.597, None, "60 %"),
        (0.0057, None, "0.57 %"),
        (0.0, 0.4, "0 %"),
    ],
)
def test_a_share_is_rounded_so_that_it_stays_on_its_side_of_the_bound(
    share: float, bound: float | None, text: str
) -> None:
    assert percent(share, bound) == text


def test_a_cell_just_below_a_bound_does_not_say_that_it_reaches_it() -> None:
    """11.95 of 20 GB a second are 59.8 %, which without another digit read as the 60 % that would be the limit."""
    found = diagnose(made(rate=11.95), Machine())
    assert found is not None
    assert found.limit is Limit.OVERHEAD
    assert "only 59.8 % of the bandwidth" in found.because


@pytest.mark.parametrize("rate", [0.11, 0.68, 5.0, 11.95])
def test_a_share_has_one_figure_in_a_paragraph(rate: float) -> None:
    found = diagnose(made(rate=rate), Machine())
    assert found is not None
    bandwidth, arithmetic = re.findall(r"[0-9.]+ %", found.because)
    assert f"{bandwidth} of the 20 GB a second" in found.figures[0]
    assert f"{arithmetic} of" in found.figures[1]


def test_the_cache_at_a_depth_is_read_too() -> None:
    deep = made(test=Test(n_gen=10, n_depth=100_000))
    found = diagnose(deep, Machine())
    assert found is not None
    assert "0.4 GB of KV cache" in found.figures[0]
    smaller = diagnose(replace(deep, cell=replace(deep.cell, params={"n_threads": 4, "type_k": "q8_0"})), Machine())
    assert smaller is not None
    assert "0.306 GB of KV cache" in smaller.figures[0]


def test_without_telemetry_and_without_a_probe_nothing_is_claimed() -> None:
    assert limit(made(observed=()), Machine(Roof(n_threads=4, problem="no image"))) is Limit.UNKNOWN


def test_a_mixed_test_is_left_alone() -> None:
    assert diagnose(made(test=Test(n_prompt=8, n_gen=8)), Machine()) is None


# Cells without a number.


def failed(reason: Reason) -> CellResult:
    failure = Failure(phase=Phase.RUN, reason=reason, detail="it said so", remedy="")
    return made(runs=(), failures=((0, failure),), observed=())


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (Reason.OOM_HOST, Limit.MEMORY_SIZE),
        (Reason.OOM_DEVICE, Limit.MEMORY_SIZE),
        (Reason.CPU_FALLBACK, Limit.NOT_ON_DEVICE),
        (Reason.WRONG_DEVICE, Limit.NOT_ON_DEVICE),
    ],
)
def test_a_failure_that_says_what_was_missing(reason: Reason, expected: Limit) -> None:
    assert limit(failed(reason)) is expected


def test_a_failure_of_another_kind_is_no_limit() -> None:
    assert diagnose(failed(Reason.MALFORMED), Machine()) is None
    assert diagnose(made(runs=(), observed=()), Machine()) is None


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("major_faults", Limit.PAGING),
        ("refaults", Limit.PAGING),
        ("swap", Limit.PAGING),
        ("thermal_slowdown", Limit.THERMAL),
        ("foreign_process", Limit.NEIGHBOUR_DEVICE),
    ],
)
def test_runs_that_do_not_count_say_why(rule: str, expected: Limit) -> None:
    broken = InvalidRun(round=1, repeat=0, rules=(Violation(rule=rule, evidence="9 of them"),), made_again=False)
    found = diagnose(made(runs=(), observed=(), invalid=(broken,)), Machine())
    assert found is not None
    assert found.limit is expected
    assert "9 of them" in found.because


# Cells on a GPU: simulated readings, since no card is here.


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (on_card(), Limit.MEMORY_BANDWIDTH),
        (on_card(rate=300.0), Limit.OVERHEAD),
        (on_card(device=replace(BUSY, utilization_mean_percent=30)), Limit.HOST),
        (on_card(throttled={ThrottleKind.THERMAL: 0.2}), Limit.THERMAL),
        (on_card(throttled={ThrottleKind.HARDWARE: 0.2}), Limit.THERMAL),
        (on_card(throttled={ThrottleKind.POWER: 0.9}), Limit.POWER),
        (on_card(throttled={ThrottleKind.POWER: 0.2}), Limit.MEMORY_BANDWIDTH),
        (on_card(log=HALF, rate=20.0), Limit.OFFLOAD),
        # 0.5 GB over 31.5 GB/s are 16 ms of a prompt's 20.
        (on_card(log=HALF, test=Test(n_prompt=512), rate=25_600.0), Limit.PCIE),
        (on_card(log=HALF, test=Test(n_prompt=512), rate=2_560.0), Limit.OFFLOAD),
        (on_card("Some card that nobody knows"), Limit.UNKNOWN),
    ],
)
def test_a_cause_on_a_card(result: CellResult, expected: Limit) -> None:
    assert limit(result) is expected


def test_of_layers_on_the_host_it_is_said_what_reading_them_takes_at_least() -> None:
    found = diagnose(on_card(log=HALF, rate=20.0), Machine())
    assert found is not None
    assert "at least 25.0 of 50.0 ms a token" in found.because


@pytest.mark.parametrize(
    ("readings", "untimed", "load", "told"),
    [(100, False, False, True), (9, False, False, False), (100, True, False, False), (100, True, True, True)],
)
def test_cpu_time_is_told_of_windows_that_are_long_and_of_the_test_alone(readings, untimed, load, told):
    """A token in a tenth of a second, and the start of a container, look like other programs."""
    host = replace(QUIET, readings=readings, cpu_busy=0.9)
    window = Window(name="x", begin_ns=0, end_ns=10 * S, untimed=untimed)
    summary = WindowSummary(window=window, devices=(), host=host)
    run = Observed(round=1, traces=(), summary=summary, load=summary if load else None)
    found = signs(made(observed=(run,)), Facts())
    assert (found.foreign_cpus is not None, found.cpu_share is not None, found.cpus_used is not None) == (told,) * 3
    assert found.container_cpus == QUIET.container_cpus
