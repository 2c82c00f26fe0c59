"""The guide's levels and promises: where a cell stands, and what physics says of what is promised."""

from dataclasses import replace

import pytest

from harness.analysis.expected import expected, promise_of
from harness.analysis.guide import guide
from harness.analysis.levels import Grade, levels, within_runs
from harness.values.cell import Test
from harness.values.facts import Device
from harness.values.telemetry import DeviceSummary, ThrottleKind
from tests.unit.analysis.made import LAYERS, Machine, Model, made, on_card

GIB = 1024**3


class Llama2(Model):
    """7B Q8_0."""

    n_params = 6_738_415_616


class Machine4090(Machine):
    """With a card of 24 GiB."""

    class Facts:
        machine, cpu_cores, cpu_threads = "box", 4, 8
        devices = (Device(vendor="nvidia", kind="gpu", name="d", memory_bytes=24 * GIB),)

    machine = Facts()


def promise(device: str, size: str):
    (found,) = [p for p in guide().promises if p.sheet.id == device and p.size == size]
    return found


@pytest.mark.parametrize(
    ("device", "size", "says"),
    [
        ("rtx-4090", "7B", ""),
        ("rtx-4090", "13B", ""),
        ("rtx-4090", "34B", "cap it at 50.2 tokens/s, at the upper end"),
        ("rtx-4090", "70B", "the file has 42.5 GB and the card 24 GiB: it does not fit"),
        ("strix-halo-8060s", "7B", "cap it at 36.5 tokens/s, below all of what is promised"),
        ("strix-halo-8060s", "34B", "cap it at 12.8 tokens/s, below all"),
        ("strix-halo-8060s", "70B", "cap it at 6.11 tokens/s, below all"),
    ],
)
def test_what_physics_says_of_a_promise(device: str, size: str, says: str) -> None:
    assert says in promise(device, size).against_physics
    assert bool(says) == bool(promise(device, size).against_physics)


@pytest.mark.parametrize(
    ("rate", "verdict", "kept"), [(79.0, "below", False), (80.0, "within", True), (101.0, "above", True)]
)
def test_a_rate_against_its_promise(rate: float, verdict: str, kept: bool) -> None:
    found = expected(on_card(rate=rate, model=Llama2))
    assert found is not None
    assert (found.verdict, found.kept, found.promised) == (verdict, kept, "80 to 100 tokens/s")


def test_an_interval_that_reaches_both_leaves_it_open() -> None:
    result = on_card(rate=80.0, model=Llama2, confidence=0.95, rounds_planned=6)
    (run,) = result.runs
    slow, fast = replace(run, ns_per_token=1e9 / 78), replace(run, ns_per_token=1e9 / 82)
    found = expected(replace(result, runs=(slow, slow, slow, fast, fast, fast), screening=False))
    assert found is not None
    assert (found.verdict, found.kept) == ("below or within", None)


@pytest.mark.parametrize(
    "changes",
    [
        {"test": Test(n_gen=10, n_depth=4096)},
        {"test": Test(n_prompt=10)},
        {"model": type("Bigger", (Llama2,), {"n_params": 8_030_261_312})},
        {"model": type("Smaller", (Llama2,), {"file_type": "Q4_0"})},
        {"n_devices": 2},
        {"device": None},
    ],
)
def test_what_the_guide_does_not_speak_of(changes) -> None:
    name = "Some other card" if "device" in changes else "NVIDIA GeForce RTX 4090"
    changes = {key: value for key, value in changes.items() if key != "device"}
    assert expected(on_card(name, **{"model": Llama2, **changes})) is None


def test_a_laptop_s_card_of_that_name_is_another_one() -> None:
    assert promise_of(on_card("NVIDIA GeForce RTX 4090 Laptop GPU", model=Llama2)) is None


# Levels


def grade(check: str, result, machine=None) -> Grade | None:
    return next((level.grade for level in levels(result, machine or Machine()) if level.check == check), None)


@pytest.mark.parametrize(
    ("percent", "expected_grade"), [(80, Grade.GOOD), (79, Grade.BETWEEN), (50, Grade.BETWEEN), (49, Grade.WARNING)]
)
def test_use_of_a_device(percent: float, expected_grade: Grade) -> None:
    result = on_card(device=DeviceSummary(readings=9, utilization_mean_percent=percent))
    assert grade("device use", result, Machine4090()) is expected_grade


def test_use_of_a_processor_is_that_of_its_threads() -> None:
    assert grade("device use", made()) is Grade.GOOD
    assert grade("device use", made(host=replace(made().observed[0].summary.host, container_cpu_ns=10**10))) is (
        Grade.WARNING
    )
    assert grade("device use", made(observed=())) is None


@pytest.mark.parametrize(
    ("used", "expected_grade"),
    [(89_999, Grade.GOOD), (90_000, Grade.BETWEEN), (95_000, Grade.BETWEEN), (95_001, Grade.WARNING)],
)
def test_memory_of_a_card(used: int, expected_grade: Grade) -> None:
    class Facts(Machine4090.Facts):
        devices = (replace(Machine4090.Facts.devices[0], memory_bytes=100_000),)

    machine = Machine4090()
    machine.machine = Facts()
    result = on_card(device=DeviceSummary(readings=9, memory_max_bytes=used))
    assert grade("memory", result, machine) is expected_grade


def test_memory_of_a_processor_is_what_its_run_held_of_the_machine_s() -> None:
    class Facts(Machine.machine.__class__):
        memory_bytes = 10 * GIB

    machine = Machine()
    machine.machine = Facts()
    host = replace(made().observed[0].summary.host, container_resident_max_bytes=9 * GIB)
    assert grade("memory", made(host=host), machine) is Grade.BETWEEN
    assert grade("memory", made(host=replace(host, container_resident_max_bytes=9 * GIB - 1)), machine) is Grade.GOOD
    assert grade("memory", made(), machine) is None


@pytest.mark.parametrize(
    ("ms", "expected_grade"),
    [(499.9, Grade.GOOD), (500.0, Grade.BETWEEN), (2000.0, Grade.BETWEEN), (2000.1, Grade.WARNING)],
)
def test_the_first_token_of_a_server(ms: float, expected_grade: Grade) -> None:
    result = made(test=Test(n_prompt=128, n_gen=32, measurement="latency"))
    (run,) = result.runs
    served = replace(result, runs=(replace(run, metrics={"ttft_ms": ms}),), screening=True)
    assert grade("first token", served) is expected_grade
    assert grade("first token", made()) is None


def test_a_long_wait_is_written_out() -> None:
    result = made(test=Test(n_prompt=128, n_gen=32, measurement="latency"))
    served = replace(result, runs=(replace(result.runs[0], metrics={"ttft_ms": 5948.0}),), screening=True)
    (level,) = [level for level in levels(served, Machine()) if level.check == "first token"]
    assert level.found == "5948 ms after the request"


def samples(*values: int):
    result = made()
    return replace(result, runs=(replace(result.runs[0], samples_ns=values),))


def test_speed_that_falls_within_a_run_is_a_warning() -> None:
    falling = samples(*(10**9 + 10**7 * step for step in range(20)))
    assert grade("speed over time", falling) is Grade.WARNING
    steady = samples(*(10**9 + 10**6 * (step % 3) for step in range(20)))
    assert grade("speed over time", steady) is Grade.GOOD
    rising = samples(*(10**9 - 10**7 * step for step in range(20)))
    assert grade("speed over time", rising) is Grade.GOOD
    assert grade("speed over time", samples(1, 2, 3, 4)) is None


@pytest.mark.parametrize(
    ("step", "n_samples", "expected_grade"),
    # From the first counted repetition to the last by 0.99 and by 1.01 % of the median.
    [(555_000, 20, Grade.GOOD), (565_000, 20, Grade.WARNING), (10**7, 8, Grade.WARNING), (10**7, 7, None)],
)
def test_speed_falls_from_one_percent_on(step: int, n_samples: int, expected_grade: Grade | None) -> None:
    assert grade("speed over time", samples(*(10**9 + step * at for at in range(n_samples)))) is expected_grade


def test_the_reason_of_falling_speed_is_named() -> None:
    hot = on_card(throttled={ThrottleKind.THERMAL: 0.3}, log=LAYERS)
    falling = replace(hot, runs=(replace(hot.runs[0], samples_ns=tuple(10**9 + 10**7 * s for s in range(20))),))
    (level,) = [level for level in levels(falling, Machine4090()) if level.check == "speed over time"]
    assert "heat held clocks down for 30 % of the time" in level.found
    cool = replace(falling, observed=())
    (level,) = [level for level in levels(cool, Machine4090()) if level.check == "speed over time"]
    assert "no reason for lower clocks is known" in level.found


def test_many_samples_are_put_together() -> None:
    drift = within_runs(samples(*(10**9 + 10**5 * step for step in range(3000))))
    assert drift is not None
    assert drift.drifts
    assert drift.change == pytest.approx(0.26, abs=0.02)
