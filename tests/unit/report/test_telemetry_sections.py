"""The sections on telemetry and on invalid runs: figures, and reasons where there are none."""

from dataclasses import MISSING, fields, replace

import pytest

from harness.analysis.observed import Observed
from harness.analysis.results import CellResult, RunValue
from harness.analysis.validity import InvalidRun
from harness.report.data import ReportData
from harness.report.sections import failures, telemetry, validity
from harness.values.block import Paragraph, Table
from harness.values.cell import Cell, Test
from harness.values.record import Violation
from harness.values.telemetry import (
    OF_THE_HOST,
    DeviceSummary,
    HostSummary,
    ThrottleKind,
    Trace,
    Window,
    WindowSummary,
)

GIB = 1024**3
CELL = Cell(id="cuda/m/tg100", backend="cuda", image="cuda", model="m", test=Test(n_gen=100))
RUN = RunValue(round=1, session="s", record="r", ns_per_token=1.0, samples_ns=(1, 2, 3), gate_passed=True)
CARD = Trace(subject="Card", pci="0000:01:00.0")
BUSY = DeviceSummary(
    readings=100,
    utilization_mean_percent=97,
    utilization_max_percent=100,
    memory_max_bytes=5 * GIB,
    power_mean_w=310,
    power_max_w=350,
    net_energy_j=600,
    temperature_max_c=71,
    core_clock_mean_mhz=2520,
    throttled={ThrottleKind.POWER: 0.4, ThrottleKind.THERMAL: 0.0, ThrottleKind.HARDWARE: 0.0},
    pcie_generation=4,
    pcie_width=16,
)


class Machine:
    """As much of a machine's results as these sections read."""

    class Facts:
        machine = "box"

    machine = Facts()

    def __init__(self, *cells):
        self.cells = cells


def seen(trace=CARD, device=BUSY, host=None, **window):
    summary = WindowSummary(
        window=Window(name=CELL.id, begin_ns=0, end_ns=10**10, **window), devices=(device,), host=host
    )
    return Observed(round=1, traces=(trace,), summary=summary)


def result(**changes):
    """A result with nothing in it but what these sections read."""
    empty = {field.name: None for field in fields(CellResult) if field.default is MISSING}
    known = {"cell": CELL, "runs": (RUN,), "failures": (), "rounds_planned": 1, "checks": ()}
    return CellResult(**{**empty, **known, **changes})


def data(*cells, machines=1):
    return ReportData(name="demo", machines=tuple(Machine(*cells) for _ in range(machines)))


def table(blocks):
    (found,) = [block for block in blocks if isinstance(block, Table)]
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def test_a_card_at_work():
    assert table(telemetry.render(data(result(observed=(seen(),))))) == [
        {
            "Cell": "cuda/m/tg100",
            "Device": "Card at 0000:01:00.0",
            "Memory": "5 GiB",
            "Busy": "97 %, most 100 %",
            "Power": "310 W, most 350 W",
            # 600 J over three repetitions of 100 tokens
            "Net energy a token": "2 J",
            "Temperature": "71 °C",
            "Clock": "2520 MHz",
            "Throttled": "power 40 %",
            "PCIe": "gen 4 x16",
        }
    ]


def test_the_median_over_rounds_and_the_most_of_throttling():
    hot = replace(BUSY, temperature_max_c=81, throttled={ThrottleKind.THERMAL: 0.005})
    (row,) = table(telemetry.render(data(result(observed=(seen(), seen(), seen(device=hot))))))
    assert (row["Temperature"], row["Throttled"]) == ("71 °C", "thermal 0.5 %, power 40 %")


def test_energy_of_a_test_with_untimed_parts_is_not_shared_out():
    assert "Net energy a token" not in table(telemetry.render(data(result(observed=(seen(untimed=True),)))))[0]


def test_what_is_missing_is_a_dash_and_a_reason():
    silent = Trace(subject="Arc", missing={"utilization_percent": "no file for it", "throttle": "no reasons"})
    blocks = telemetry.render(
        data(result(observed=(seen(),)), result(observed=(seen(silent, DeviceSummary(readings=1)),)))
    )
    assert {value for name, value in table(blocks)[1].items() if name not in {"Cell", "Device"}} == {"-"}
    assert blocks[-1] == Paragraph(text="Not to be had: busy: Arc: no file for it; throttling: Arc: no reasons.")


def test_a_processor_has_the_figures_of_the_host():
    host = HostSummary(
        readings=9, cpu_busy=0.98, cpu_steal=0.01, own_cpu=0.004, container_memory_max_bytes=GIB,
        container_major_faults=0,
    )  # fmt: skip
    missing = {"memory_used_bytes": OF_THE_HOST, "utilization_percent": OF_THE_HOST}
    trace = Trace(subject="CPU", missing={**missing, "energy_j": "closed", "power_w": "from the counter"})
    blocks = telemetry.render(data(result(observed=(seen(trace, DeviceSummary(readings=9), host),))))
    assert table(blocks) == [{"Cell": "cuda/m/tg100", "Device": "CPU", "Memory": "1 GiB", "Busy": "98 %"}]
    texts = [block.text for block in blocks if isinstance(block, Paragraph)]
    assert texts[1] == (
        "The most that was seen on box during any test: steal 1 %, the harness itself 0.4 % of the CPU time, "
        "0 pages read from disk, 1 GiB in the container."
    )
    assert texts[2] == "Not to be had: power: CPU: closed."


def test_records_without_telemetry_have_no_section():
    assert telemetry.render(data(result())) == ()


def test_several_machines_are_told_apart():
    rows = table(telemetry.render(data(result(observed=(seen(),)), machines=2)))
    assert [row["Machine"] for row in rows] == ["box", "box"]


HOT = (Violation(rule="thermal_slowdown", evidence="Card: in 4.0 % of 50 timed readings"),)


def test_a_machine_that_nothing_was_recorded_of_is_named():
    watched, older = Machine(result(observed=(seen(),))), Machine(result())
    older.machine = type("Facts", (), {"machine": "older"})()
    both = ReportData(name="demo", machines=(watched, older))
    text = telemetry.render(both)[-1].text
    assert text == "Not recorded on older, so nothing of it is here."
    older.cells = ()
    assert not any("older" in block.text for block in telemetry.render(both) if isinstance(block, Paragraph))


@pytest.mark.parametrize(("made_again", "words"), [(True, "the round was made again"), (False, "left out")])
def test_invalid_runs_are_shown(made_again, words):
    run = InvalidRun(round=3, repeat=2, rules=HOT, made_again=made_again)
    blocks = validity.render(data(result(invalid=(run,), set_aside=4)))
    (row,) = table(blocks)
    assert row["Where"] == "round 3, repetition 2"
    assert row["Rule"] == "thermal_slowdown: Card: in 4.0 % of 50 timed readings"
    assert words in row["What became of it"]
    assert "either: 4." in blocks[1].text


def test_without_invalid_runs_there_is_no_section():
    assert validity.render(data(result())) == ()


def test_a_hole_is_among_those_without_a_result():
    run = InvalidRun(round=1, repeat=3, rules=HOT, made_again=False)
    (row,) = table(failures.render(data(result(runs=(), invalid=(run,)))))
    assert (row["Where"], row["Reason"]) == ("round 1", "invalid")
    assert "thermal_slowdown" in row["Evidence"]
