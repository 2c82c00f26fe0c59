"""Models that are resident beside a run: started before it and ended after, in servers that are played."""

import socket
import threading
from contextlib import suppress
from dataclasses import replace

import pytest

from harness.engine.replay import scripted
from harness.errors import CellsFailedError
from harness.flows import residents
from harness.machine.cgroups import ContainerGroup
from harness.machine.host_probe import HostProbe
from harness.machine.roots import MachineRoots
from harness.machine.sampler import _Owners
from harness.measure.server_client import SHARED_FOLDER, SOCKET_NAME
from harness.report.report import render_report
from harness.values.failure import Reason
from harness.values.telemetry import DeviceProcess, DeviceReading
from tests.unit.flows.conftest import IMAGE, AsIfReal

MODEL = "gemma3-270m-q4_k_m"
FILE = f"""
rounds: 2
cells:
  - {{backend: cpu, model: {MODEL}, tests: tg4}}
  - {{backend: cpu, model: {MODEL}, tests: tg4, beside: synthetic-17m-q4_0}}
"""
OPTIONS = dict.fromkeys(
    ("-m", "-dev", "-ngl", "-b", "-ub", "-ctk", "-ctv", "-t", "-lm", "--host", "-np", "-c", "--metrics"), ""
) | {"-fa": "[on|off|auto]"}


class Servers(AsIfReal):
    """Servers that answer by their socket until they are stopped; all else by the script.

    Attributes:
        events: what began and ended, in order. dies: how a server ends at once instead; None for one that answers.
        ready: whether it says so; one that still loads does not.
    """

    dies = None
    ready = True

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self.events: list[str] = []

    def start(self, spec, *, on_line=None):
        if not spec.argv[0].endswith("llama-server"):
            self.events.append("run")
            return super().start(spec, on_line=on_line)
        self.started.append(spec)
        self.events.append("server begins")
        return _Server(spec, self)


class _Server:
    def __init__(self, spec, engine: Servers) -> None:
        self.container_id = "f" * 64
        self.engine = engine
        if engine.dies is None:
            folder = next(mount.source for mount in spec.mounts if mount.target == SHARED_FOLDER)
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(folder / SOCKET_NAME))
            self.listener.listen()
            threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection, connection.makefile("rb") as stream:
                    asked, length = stream.readline(), 0
                    while (line := stream.readline()).strip():
                        name, _, value = line.partition(b":")
                        length = int(value) if name.lower() == b"content-length" else length
                    stream.read(length)
                    body = b'data: {"content":"x","tokens":[1],"stop":true}\n\n' if b"POST" in asked else b"{}"
                    status = "200 OK" if self.engine.ready else "503 Loading model"
                    head = f"HTTP/1.0 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
                    connection.sendall(head.encode() + body)

    def wait(self, *, deadline_ns, cancel):
        if self.engine.dies is not None:
            return self.engine.dies
        cancel.wait(30)
        self.listener.close()
        self.engine.events.append("server ends")
        return replace(scripted(exit_code=143), cancelled=True, kill_stage="term")


@pytest.fixture
def serving(harness, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(residents, "SETTLE_S", 0.0)
    monkeypatch.setattr(
        "harness.flows.prepare._with_programs",
        lambda facts, *_: replace(facts, programs={"llama-server": OPTIONS}),
    )
    monkeypatch.setattr(Servers, "dies", None)
    monkeypatch.setattr(Servers, "ready", True)
    harness.engine_class = Servers
    harness.image = IMAGE
    return harness


def test_it_is_there_before_the_run_and_gone_after(serving, monkeypatch) -> None:
    engines: list[Servers] = []
    made = Servers.__init__
    monkeypatch.setattr(Servers, "__init__", lambda self, *a: (made(self, *a), engines.append(self))[0])
    serving.measure(serving.matrix(FILE))
    together = ["server begins", "run", "server ends"]
    events = engines[0].events
    assert events.count("run") == 6
    assert events.count("server begins") == events.count("server ends") == 3
    for index, event in enumerate(events):
        if event == "server begins":
            assert events[index : index + 3] == together


def test_the_record_and_the_report_tell_of_it(serving) -> None:
    serving.measure(serving.matrix(FILE))
    beside = [record for record in serving.records() if record.beside]
    assert len(beside) == 3
    (told,) = beside[-1].beside
    assert (told.model, told.busy, told.problem) == ("synthetic-17m-q4_0", False, "")
    assert told.load_ns is not None
    assert told.load_ns > 0
    text = render_report(serving.workspace.reports / "tiny")["report.md"]
    assert "## Several models at once" in text
    assert "synthetic-17m-q4_0 (idle)" in text
    section = text.split("## Several models at once")[1].split("\n## ")[0]
    assert "not measured alone" not in section


def test_its_container_is_as_closed_and_swept_like_that_of_a_run(serving) -> None:
    serving.measure(serving.matrix(FILE))
    server = next(spec for spec in serving.started if spec.argv[0].endswith("llama-server"))
    run = next(spec for spec in serving.started if spec.name == server.name.removesuffix("-b0"))
    assert server.labels == run.labels
    assert server.memory_bytes == run.memory_bytes
    assert server.labels["llama-bench-harness.purpose"] == "run"


def test_one_that_has_no_room_fails_the_cell_with_its_reason(serving, monkeypatch) -> None:
    monkeypatch.setattr(Servers, "dies", replace(scripted(exit_code=137), oom_killed=True))
    with pytest.raises(CellsFailedError):
        serving.measure(serving.matrix(FILE))
    failures = [o.failure for record in serving.records() for o in record.outcomes if o.failure]
    assert {failure.reason for failure in failures} == {Reason.OOM_HOST}
    assert all("synthetic-17m-q4_0, beside it" in failure.detail for failure in failures)
    # The same cell alone has its numbers.
    assert sum(o.ok for record in serving.records() for o in record.outcomes) == 3


def test_one_that_still_loads_when_its_time_is_up_is_ended(serving, monkeypatch) -> None:
    engines: list[Servers] = []
    made = Servers.__init__
    monkeypatch.setattr(Servers, "__init__", lambda self, *a: (made(self, *a), engines.append(self))[0])
    monkeypatch.setattr(Servers, "ready", False)
    monkeypatch.setattr(residents, "_ENDS_S", 5.0)
    with pytest.raises(CellsFailedError):
        serving.measure(serving.matrix(FILE.replace("tests: tg4, beside", "tests: tg4, timeout: 1, beside")))
    events = [event for event in engines[0].events if event != "run"]
    assert events == ["server begins", "server ends"] * (len(events) // 2)
    failures = [o.failure for record in serving.records() for o in record.outcomes if o.failure]
    assert {failure.reason for failure in failures} == {Reason.TIMEOUT}


def test_at_work_it_answers_all_the_time(serving) -> None:
    text = FILE.replace("beside: synthetic-17m-q4_0", "beside: synthetic-17m-q4_0, beside_load: busy")
    slow = threading.Event()
    serving.bench.seen = lambda _spec: slow.wait(0.2)
    serving.measure(serving.matrix(text))
    told = [each for record in serving.records() for each in record.beside]
    assert all(each.busy for each in told)
    assert all(each.answered > 0 for each in told)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("beside: nobody", "is no model"),
        ("beside_load: busy", "`beside` names none"),
    ],
)
def test_mistakes_are_told(serving, entry: str, words: str) -> None:
    text = f"cells:\n  - {{backend: cpu, model: {MODEL}, {entry}}}\n"
    with pytest.raises(Exception, match=words):
        serving.measure(serving.matrix(text))


def test_what_it_uses_is_not_held_against_the_run(tmp_path) -> None:
    ours = _Owners(tmp_path)
    for pid, container in ((1, "a" * 64), (2, "b" * 64), (3, "c" * 64)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cgroup").write_text(f"0::/docker/{container}\n")
    processes = tuple(DeviceProcess(pid=pid, memory_bytes=pid * 100) for pid in (1, 2, 3))
    reading = DeviceReading(at_ns=1, processes=processes)
    ours.meet(reading)
    assert ours.sort((reading,), "a" * 64) == ((2,), (100,))
    assert ours.sort((reading,), "a" * 64, beside=("b" * 64,)) == ((1,), (100,))
    assert ours.most((reading,), "b" * 64) == 200


def test_its_cpu_time_is_ours(tmp_path) -> None:
    group = tmp_path / "sys/fs/cgroup/docker" / ("b" * 64)
    group.mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cgroup.controllers").write_text("cpu memory\n")
    (group / "cpu.stat").write_text("usage_usec 5000\n")
    assert ContainerGroup.find("b" * 64, tmp_path / "sys/fs/cgroup") is not None
    probe = HostProbe(MachineRoots(proc=tmp_path / "proc", sys=tmp_path / "sys"), own_cpu_ns=lambda: 7)
    assert probe.read().own_cpu_ns == 7
    probe.beside(("b" * 64,))
    assert probe.read().own_cpu_ns == 5_000_007
