import threading
import time

import pytest

from harness.machine import sampler as sampler_module
from harness.machine.host_probe import HostProbe
from harness.machine.sampler import KEPT_NS, WATCH_EVERY, Sampler, Watched
from harness.machine.vendors.probing import FieldProbe
from harness.machine.watch import HUNG, Watch
from harness.values.facts import Device
from harness.values.telemetry import DeviceProcess, HostReading

CARD = Device(vendor="test", kind="gpu", name="Card", index=0)
OTHER = Device(vendor="test", kind="gpu", name="Card", index=1)


class FakeHost(HostProbe):
    """Nothing of the machine that runs the test."""

    def __init__(self) -> None:
        super().__init__()
        self.watched = []

    def watch(self, container_id: str) -> None:
        self.watched.append(container_id)

    def read(self) -> HostReading:
        return HostReading(at_ns=time.monotonic_ns())


def wait_for(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.005)


def sampler_of(*watched: Watched, host=None, **changes) -> Sampler:
    return Sampler(watched, host or FakeHost(), interval_s=0.002, **changes)


def counting(**getters):
    """A probe and how often it was asked."""
    asked = []

    def utilization() -> int:
        asked.append(threading.current_thread().name)
        return 50

    return FieldProbe({"utilization_percent": utilization, **getters}), asked


def test_looks_from_start_to_stop_in_a_thread_of_its_own() -> None:
    probe, asked = counting()
    sampler = sampler_of(Watched(device=CARD, probe=probe)).start()
    wait_for(lambda: len(asked) > 5)
    sampled = sampler.stop()
    assert set(asked) == {"telemetry"}
    (device,) = sampled.devices
    assert len(device.readings) == len(asked)
    assert [r.at_ns for r in device.readings] == sorted(r.at_ns for r in device.readings)
    assert {r.utilization_percent for r in device.readings} == {50}
    assert len(sampled.host) == len(device.readings)
    assert sampled.problem == ""
    assert 0 <= sampled.sampling_cpu_ns <= sampled.elapsed_ns
    assert "telemetry" not in {thread.name for thread in threading.enumerate()}


def test_a_second_stop_changes_nothing() -> None:
    probe, _ = counting()
    sampler = sampler_of(Watched(device=CARD, probe=probe)).start()
    assert sampler.stop() is sampler.stop()


def test_other_devices_are_looked_at_less_often() -> None:
    (probe, asked), (other, seldom) = counting(), counting()
    sampler = sampler_of(Watched(device=CARD, probe=probe), Watched(device=OTHER, probe=other, asked=False)).start()
    wait_for(lambda: len(asked) > 3 * WATCH_EVERY)
    sampled = sampler.stop()
    assert 3 <= len(seldom) <= len(asked) // WATCH_EVERY + 2
    assert [device.asked for device in sampled.devices] == [True, False]


def test_the_latest_look_is_there_for_the_gate() -> None:
    probe, asked = counting()
    other, _ = counting()
    sampler = sampler_of(Watched(device=CARD, probe=probe), Watched(device=OTHER, probe=other, asked=False)).start()
    wait_for(lambda: len(asked) > 2)
    ((device, reading),) = sampler.latest()
    sampler.stop()
    assert (device, reading.utilization_percent) == (CARD, 50)


def test_what_was_seen_long_before_the_container_is_not_kept() -> None:
    now = [0]
    probe = FieldProbe({"utilization_percent": lambda: 1}, clock=lambda: now[0])
    seen = []
    sampler = sampler_of(Watched(device=CARD, probe=probe), clock=lambda: now[0]).start()
    wait_for(sampler.latest)
    now[0] = 10 * KEPT_NS
    wait_for(lambda: sampler.latest()[0][1].at_ns == now[0])
    sampler.started("c1")
    seen = sampler.stop().devices[0].readings
    assert {reading.at_ns for reading in seen} == {10 * KEPT_NS}


def test_a_container_is_looked_for_once() -> None:
    host, (probe, asked) = FakeHost(), counting()
    sampler = sampler_of(Watched(device=CARD, probe=probe), host=host).start()
    sampler.started("c1")
    wait_for(lambda: len(asked) > 5)
    sampler.stop()
    assert host.watched == ["c1"]


class TestWhatGoesWrong:
    def test_a_host_that_cannot_be_read_ends_the_telemetry_and_nothing_else(self) -> None:
        class Broken(FakeHost):
            def read(self) -> HostReading:
                raise OSError("no /proc")

        probe, _ = counting()
        sampled = sampler_of(Watched(device=CARD, probe=probe), host=Broken()).start().stop()
        assert sampled.problem == "telemetry ended early: OSError: no /proc"
        assert len(sampled.devices[0].readings) == 1

    def test_no_thread_to_be_had(self, monkeypatch) -> None:
        def refuse(_self):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        probe, _ = counting()
        sampled = sampler_of(Watched(device=CARD, probe=probe)).start().stop()
        assert "can't start new thread" in sampled.problem
        assert sampled.devices[0].readings == ()

    def test_a_driver_that_hangs_is_not_waited_for_and_not_asked_again(self, monkeypatch) -> None:
        monkeypatch.setattr(sampler_module, "_STOP_WAIT_S", 0.05)
        release, hangs = threading.Event(), threading.Event()

        def utilization() -> int:
            hangs.set()
            release.wait(10)
            return 0

        class Vendor:
            def telemetry(self, _device):
                return FieldProbe({"utilization_percent": utilization})

        watch = Watch((CARD,), vendors={"test": Vendor()}, interval_s=0.002)
        with watch.during((CARD,)) as sampler:
            hangs.wait(5)
            sampled = sampler.stop()
        assert "did not answer" in sampled.problem
        with watch.during((CARD,)) as sampler:
            wait_for(sampler.latest)
            (device,) = sampler.stop().devices
        assert device.missing["utilization_percent"] == HUNG
        release.set()


class TestProcesses:
    @pytest.fixture
    def proc(self, tmp_path):
        for pid, group in ((10, "0::/docker/c1"), (11, "0::/user.slice"), (12, "0::/system.slice/docker-c1.scope")):
            (tmp_path / str(pid)).mkdir()
            (tmp_path / str(pid) / "cgroup").write_text(group + "\n")
        return tmp_path

    def sampled(self, proc, processes, container="c1"):
        probe = FieldProbe({"processes": lambda: processes})
        sampler = sampler_of(Watched(device=CARD, probe=probe), proc=proc).start()
        wait_for(sampler.latest)
        if container:
            sampler.started(container)
        device = sampler.stop().devices[0]
        return set(device.foreign), set(device.own_memory_bytes)

    def test_those_of_the_container_are_not_foreign(self, proc) -> None:
        ours = (DeviceProcess(pid=10, memory_bytes=5), DeviceProcess(pid=12, memory_bytes=6))
        assert self.sampled(proc, ours) == ({0}, {11})

    def test_others_are(self, proc) -> None:
        assert self.sampled(proc, (DeviceProcess(pid=10, memory_bytes=5), DeviceProcess(pid=11))) == ({1}, {5})

    def test_one_that_cannot_be_placed_is_not_accused(self, proc) -> None:
        assert self.sampled(proc, (DeviceProcess(pid=99, memory_bytes=5),)) == ({0}, {None})

    def test_a_driver_that_does_not_list_them(self, proc) -> None:
        assert self.sampled(proc, None) == ({None}, {None})


def test_a_watch_opens_each_probe_once_and_closes_it() -> None:
    opened, closed = [], []

    class Vendor:
        def telemetry(self, device):
            opened.append(device)
            return FieldProbe({}, close=lambda: closed.append(device))

    broken = Device(vendor="test", kind="gpu", name="Broken", index=2, problem="no driver")
    processor = Device(vendor="test", kind="cpu", name="CPU", index=3)
    watch = Watch((CARD, OTHER, broken, processor), vendors={"test": Vendor()}, interval_s=0.002)
    for asked in ((CARD,), (processor,)):
        with watch.during(asked) as sampler:
            pass
        assert [d.device for d in sampler.stop().devices if d.asked] == list(asked)
    assert opened == [CARD, OTHER, processor]
    watch.close()
    assert closed == opened


def test_looking_costs_little() -> None:
    # A real look at this host ten times a second; measured at 0.5 % of one CPU. Wide, since other tests run beside it.
    sampler = Sampler((), HostProbe()).start()
    time.sleep(1.0)
    sampled = sampler.stop()
    assert sampled.sampling_cpu_ns < 0.05 * sampled.elapsed_ns
