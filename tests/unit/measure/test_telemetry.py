"""Windows, summaries and traces, from readings whose truth is known."""

import json
from dataclasses import replace

import pytest

from harness.formats import llama_bench
from harness.measure.series import Series, thinned
from harness.measure.summaries import baseline, summarise_device, summarise_host
from harness.measure.telemetry import MOST_HOST_POINTS, MOST_POINTS, since, telemetry
from harness.measure.windows import windows
from harness.store.codec import decode, encode
from harness.values.container import Line
from harness.values.facts import Device
from harness.values.sampled import Sampled, SampledDevice
from harness.values.telemetry import (
    DeviceReading,
    HostReading,
    Telemetry,
    Throttle,
    ThrottleKind,
    Window,
)

S = 1_000_000_000
GIB, MIB = 1024**3, 1024**2
CARD = Device(vendor="nvidia", kind="gpu", name="Card", pci="0000:01:00.0")
HOT = Throttle(kind=ThrottleKind.THERMAL, name="sw_thermal_slowdown")
CAPPED = Throttle(kind=ThrottleKind.POWER, name="sw_power_cap")


def window(begin_s, end_s, name="cell", **changes):
    return Window(name=name, begin_ns=round(begin_s * S), end_ns=round(end_s * S), **changes)


def device(readings, **changes):
    nothing = tuple(None for _ in readings)
    fields = {"foreign": nothing, "own_memory_bytes": nothing, **changes}
    return SampledDevice(device=CARD, asked=True, readings=tuple(readings), **fields)


def every(step_s, until_s, **fields):
    """Readings every so many seconds; a field is a value, or a function of the seconds."""
    count = round(until_s / step_s) + 1
    times = [index * step_s for index in range(count)]
    return [
        DeviceReading(at_ns=round(t * S), **{name: v(t) if callable(v) else v for name, v in fields.items()})
        for t in times
    ]


class TestWindows:
    """A run of `pp32` and `tg8` whose rows are stamped at 3 s and 5 s, the container having started at 1 s."""

    @pytest.fixture
    def run(self, captured, cell):
        def make(name="cpu-b11312/good-v", depth=0):
            end = captured(name)
            text = [json.loads(line.text) | {"n_depth": depth} for line in end.stdout]
            for row, samples in zip(text, ([400_000_000] * 2, [500_000_000] * 2), strict=True):
                rates = [1e9 * (row["n_prompt"] + row["n_gen"]) / s for s in samples]
                row |= {"samples_ns": samples, "samples_ts": rates, "avg_ts": rates[0]}
            stdout = tuple(Line(at_ns=at, text=json.dumps(row)) for at, row in zip((3 * S, 5 * S), text, strict=True))
            changes = {"stdout": (Line(at_ns=2 * S, text="banner"), *stdout), "started_ns": S, "ended_ns": 6 * S}

            end = replace(end, **changes)
            cells = (cell(32, n_depth=depth), cell(0, 8, n_depth=depth))
            return cells, end, llama_bench.read(line.text for line in end.stdout)

        return make

    def named(self, found):
        return [(w.name.rpartition("/")[2], w.begin_ns / S, w.end_ns / S, w.untimed) for w in found]

    def test_a_test_ends_with_its_row_and_lasts_as_long_as_its_samples(self, run):
        assert self.named(windows(*run(), begin_ns=0)) == [
            ("idle", 0, 1, False),
            ("load", 1, 2.2, False),
            ("pp32", 2.2, 3, False),
            ("tg8", 4, 5, False),
        ]

    def test_at_a_depth_the_whole_time_since_the_row_before_is_its(self, run):
        assert self.named(windows(*run(depth=64), begin_ns=0))[1:] == [
            ("pp32@d64", 1, 3, True),
            ("tg8@d64", 3, 5, True),
        ]

    def test_a_run_without_rows_is_all_load(self, run):
        cells, end, _ = run()
        assert self.named(windows(cells, end, llama_bench.read([]), begin_ns=None)) == [("load", 1, 6, False)]

    def test_samples_that_claim_more_than_there_was_do_not_reach_into_the_test_before(self, run):
        cells, end, output = run()

        rows = (output.rows[0], replace(output.rows[1], samples_ns=(30 * S,)))
        assert self.named(windows(cells, end, replace(output, rows=rows), begin_ns=None))[-1] == ("tg8", 3, 5, False)


class TestSeries:
    ramp = Series.of([(0, 0), (10, 10), (20, None), (30, 30)])

    def test_between_two_looks_it_is_on_the_line(self):
        assert self.ramp.at(15) == 15
        assert self.ramp.at(30) == 30
        assert self.ramp.at(31) is None
        assert Series.of([]).at(0) is None

    def test_a_counter_s_growth(self):
        assert self.ramp.grown(5, 25) == 20
        assert self.ramp.grown(5, 35) is None
        assert Series.of([(0, 5), (10, 1)]).grown(0, 10) is None

    def test_the_integral_of_a_ramp(self):
        seconds = Series.of([(0, 0), (2 * S, 4)])
        assert seconds.integral_s(0, 2 * S) == 4
        assert seconds.integral_s(S // 2, 3 * S // 2) == pytest.approx(2)

    def test_thinning_keeps_both_ends(self):
        kept = thinned(6001, 120)
        assert (len(kept), kept[0], kept[-1]) == (120, 0, 6000)
        assert sorted(set(kept)) == list(kept)
        assert thinned(3, 120) == (0, 1, 2)


class TestDevice:
    idle = window(0, 2, name="idle")
    test = window(4, 10)

    def summary(self, readings, **changes):
        sampled = device(readings, **changes)
        return summarise_device(sampled, self.test, baseline(sampled, (self.idle, self.test)))

    def test_memory_grows_from_the_idle_median(self):
        held = every(0.5, 12, memory_used_bytes=lambda t: GIB if t <= 2 else 5 * GIB)
        found = self.summary(held)
        assert (found.memory_growth_bytes, found.memory_max_bytes) == (4 * GIB, 5 * GIB)

    def test_the_memory_of_an_apu_is_carve_out_and_gtt(self):
        held = every(0.5, 12, memory_used_bytes=MIB, gtt_used_bytes=lambda t: 0 if t <= 2 else 60 * GIB)
        assert self.summary(held).memory_growth_bytes == 60 * GIB

    def test_without_an_idle_look_nothing_is_said_of_growth(self):
        sampled = device(every(0.5, 12, memory_used_bytes=GIB))
        found = summarise_device(sampled, self.test, baseline(sampled, (self.test,)))
        assert found.memory_growth_bytes is None
        assert found.memory_max_bytes == GIB

    def test_the_first_second_is_not_counted_as_being_busy(self):
        busy = every(0.1, 12, utilization_percent=lambda t: 0 if t < 4.9 else 100)
        assert self.summary(busy).utilization_mean_percent == 100

    def test_energy_from_the_counter_less_idle_power(self):
        # 20 W idle, 320 W at work; the counter is what counts, whatever power says.
        counter = every(0.1, 12, energy_j=lambda t: 20 * t if t < 4 else 80 + 320 * (t - 4), power_w=20)
        found = self.summary(counter)
        assert found.energy_j == pytest.approx(6 * 320)
        assert found.net_energy_j == pytest.approx(6 * 300)

    def test_energy_from_power_where_there_is_no_counter(self):
        power = every(0.1, 12, power_w=lambda t: 20 if t < 3 else 320)
        found = self.summary(power)
        assert found.energy_j == pytest.approx(6 * 320)
        assert found.net_energy_j == pytest.approx(6 * 300)
        assert (found.power_mean_w, found.power_max_w) == (320, 320)

    def test_power_from_the_counter_where_there_is_no_power(self):
        counter = every(0.1, 12, energy_j=lambda t: 5 * t if t < 4 else 20 + 65 * (t - 4))
        found = self.summary(counter)
        assert found.power_mean_w == pytest.approx(65)
        assert found.net_energy_j == pytest.approx(6 * 60)

    def test_a_short_test_has_no_energy(self):
        sampled = device(every(0.1, 12, power_w=300))
        found = summarise_device(sampled, window(4, 8.9), baseline(sampled, (self.idle,)))
        assert (found.energy_j, found.net_energy_j) == (None, None)
        assert found.power_mean_w == 300

    def test_throttling_is_a_share_of_the_readings_that_tell(self):
        def reasons(t):
            if t < 5:
                return (HOT, CAPPED)
            return (CAPPED,) if t < 9 else None

        found = self.summary(every(1, 12, throttle=reasons))
        assert found.throttled == {ThrottleKind.THERMAL: 0.2, ThrottleKind.POWER: 1.0, ThrottleKind.HARDWARE: 0.0}
        assert self.summary(every(1, 12)).throttled is None

    def test_the_most_of_foreign_processes_and_of_the_container_s_memory(self):
        readings = every(1, 12)
        found = self.summary(
            readings,
            foreign=tuple(2 if i == 6 else 0 for i in range(13)),
            own_memory_bytes=tuple(GIB if i > 3 else None for i in range(13)),
        )
        assert (found.foreign_processes, found.own_memory_bytes) == (2, GIB)

    def test_nothing_seen_is_none_and_never_zero(self):
        found = self.summary(every(1, 12))
        assert found.readings == 7
        assert {value for name, value in encode(found).items() if name != "readings"} == {None}


def test_the_host_in_a_window():
    def reading(second):
        return HostReading(
            at_ns=second * S,
            cpu_busy_ns=2 * second * S,
            cpu_total_ns=4 * second * S,
            cpu_steal_ns=second * S // 10,
            own_cpu_ns=second * S // 100,
            swap_in_bytes=4096 * second,
            swap_out_bytes=0,
            container_major_faults=None if second < 3 else 7 * second,
        )

    found = summarise_host(tuple(reading(second) for second in range(12)), window(4, 10))
    assert (found.cpu_busy, found.cpu_steal, found.own_cpu) == (0.5, 0.025, 0.0025)
    assert found.swap_bytes == 6 * 4096
    assert found.container_major_faults == 42
    assert found.container_refaults is None


def test_a_container_is_gone_before_it_can_be_looked_at_again():
    # Its control group is found a look after its start, and removed before the look after its last row.
    def reading(tenth):
        inside = 42 <= tenth <= 99
        return HostReading(at_ns=tenth * S // 10, container_refaults=5 * tenth if inside else None)

    readings = tuple(reading(tenth) for tenth in range(120))
    assert summarise_host(readings, window(4, 10)).container_refaults == 5 * 57
    # But a container that was seen for a part of the window only tells nothing of the window.
    assert summarise_host(readings, window(3, 10)).container_refaults is None


class TestTrace:
    def made(self, seconds=600, **fields):
        readings = every(0.1, seconds, **fields)
        host = tuple(HostReading(at_ns=r.at_ns, cpu_busy_ns=r.at_ns, cpu_total_ns=2 * r.at_ns) for r in readings)
        sampled = Sampled(
            interval_ms=100, devices=(device(readings),), host=host, sampling_cpu_ns=3 * S, elapsed_ns=seconds * S
        )
        return telemetry(sampled, (window(0, 2, name="idle"), window(4, seconds)), started_ns=2 * S)

    def full(self):
        return self.made(
            utilization_percent=lambda t: round(97 + t % 3),
            memory_used_bytes=lambda t: GIB + round(t) * MIB,
            power_w=lambda t: 400 + t % 7,
            energy_j=lambda t: 1e9 + 400 * t,
            temperature_c=lambda t: 50 + round(t) % 9,
            core_clock_mhz=2520,
            throttle=lambda t: (HOT, CAPPED) if t > 300 else (CAPPED,),
            pcie_width=16,
        )

    def test_a_run_of_ten_minutes_stays_small(self):
        made = self.full()
        assert len(made.devices[0].at_ms) == MOST_POINTS
        assert len(made.host.at_ms) == MOST_HOST_POINTS
        assert len(json.dumps(encode(made), separators=(",", ":"))) < 16_000
        # What was thinned out is in the summary all the same.
        assert made.window("cell").devices[0].readings == 5961

    def test_it_says_what_was_seen(self):
        trace = self.full().devices[0]
        assert trace.at_ms[0] == -2000
        assert trace.constant == {"core_clock_mhz": 2520, "pcie_width": 16}
        assert trace.columns["energy_j"][0] == 0
        assert trace.columns["memory_used_mib"][0] == 1024
        assert trace.throttle_reasons == ("power:sw_power_cap", "thermal:sw_thermal_slowdown")
        assert trace.columns["throttle"][0] == 0b01
        assert trace.columns["throttle"][-1] == 0b11

    def test_counters_of_the_host_begin_at_zero(self):
        host = self.full().host
        assert host.columns["cpu_busy_ms"][0] == 0
        assert host.columns["cpu_busy_ms"][-1] == 600_000

    def test_what_looking_cost(self):
        assert self.made(seconds=30).sampling_cpu == 0.1

    def test_it_survives_json(self):
        made = self.full()
        assert decode(Telemetry, json.loads(json.dumps(encode(made)))) == made

    def test_a_device_that_tells_nothing_takes_no_room(self):
        trace = self.made(seconds=30).devices[0]
        assert (trace.at_ms, trace.columns, trace.constant) == ((), {}, {})


def test_a_container_that_was_found_late_used_cpu_time_in_the_rest_of_the_window_too() -> None:
    def looks(first_s: int) -> tuple[HostReading, ...]:
        return tuple(
            HostReading(at_ns=s * S, cpu_total_ns=2 * s * S, container_cpu_ns=None if s < first_s else s * S)
            for s in range(11)
        )

    window = Window(name="x", begin_ns=0, end_ns=10 * S)
    assert summarise_host(looks(0), window).container_cpu_ns == 10 * S
    assert summarise_host(looks(4), window).container_cpu_ns == 10 * S
    assert summarise_host(looks(6), window).container_cpu_ns is None


def test_looks_from_a_moment_on_keep_what_belongs_to_them() -> None:
    readings = tuple(DeviceReading(at_ns=at) for at in (1, 2, 3))
    device = SampledDevice(
        device=CARD, asked=True, readings=readings, foreign=(7, 8, 9), own_memory_bytes=(None, 20, 30)
    )
    host = tuple(HostReading(at_ns=at) for at in (1, 2))
    kept = since(Sampled(interval_ms=100, devices=(device,), host=host), 2)
    assert [reading.at_ns for reading in kept.devices[0].readings] == [2, 3]
    assert (kept.devices[0].foreign, kept.devices[0].own_memory_bytes) == ((8, 9), (20, 30))
    assert [reading.at_ns for reading in kept.host] == [2]
