import gc
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

import pytest
import requests
from docker.errors import APIError, DockerException, NotFound

from harness.engine.docker_engine import DockerEngine
from harness.engine.engine_facts import engine_facts
from harness.engine.hardening import MANAGED_LABEL, container_config
from harness.engine.running import run
from harness.engine.waiting import Patience
from harness.errors import ArtifactError, EngineError
from harness.values.container import BindMount, ContainerExit, ContainerSpec, Passthrough

SPEC = ContainerSpec(name="run-1", image="sha256:1", argv=("/app/llama-bench",), memory_bytes=1 << 30)
FAST = Patience(
    step=0.01,
    look=0.05,
    first_look=0.001,
    slowest_look=0.01,
    silence=0.1,
    term=0.1,
    kill=0.1,
    drain=0.2,
    remove_tries=2,
)
EXITED = {"Running": False, "Status": "exited", "ExitCode": 0, "OOMKilled": False, "Error": ""}
RUNNING = {"Running": True, "Status": "running", "ExitCode": 0}


def refused(status: int, text: str = "refused") -> APIError:
    response = requests.Response()
    response.status_code = status
    kind = NotFound if status == 404 else APIError
    return kind(text, response=response, explanation=text)


GONE = refused(404, "No such container: run-1")
CONFLICT = refused(409, 'Conflict. The container name "/run-1" is already in use')


def frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


class Output:
    """The near end of a socket pair, closed as a connection to an engine is: a `recv` in another thread ends."""

    def __init__(self, near: socket.socket) -> None:
        self.near = near
        self.recv = near.recv

    def close(self) -> None:
        with suppress(OSError):
            self.near.shutdown(socket.SHUT_RDWR)
        self.near.close()


@dataclass
class FakeClient:
    """The SDK's client as far as it is used: each call is noted, and answered from a script whose last answer stays."""

    answers: dict[str, list[object]] = field(default_factory=dict)
    states: list[object] = field(default_factory=lambda: [EXITED])
    output: tuple[bytes, ...] = ()
    closes_output: bool = True
    calls: list[tuple[object, ...]] = field(default_factory=list)
    config: Mapping[str, object] = field(default_factory=dict)
    logs_of: Mapping[str, bytes] = field(default_factory=dict)
    timeout: float = 0
    closed: int = 0
    on_kill: Callable[[str], None] | None = None
    api_version: str = "1.41"

    def __post_init__(self) -> None:
        self.here, self.there = socket.socketpair()

    def new_output(self) -> "Output":
        if self.here.fileno() < 0:
            self.here, self.there = socket.socketpair()
        return Output(self.here)

    def answer(self, name: str, default: object) -> object:
        script = self.answers.get(name, [])
        answer = (script.pop(0) if len(script) > 1 else script[0]) if script else default
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def named(self, name: str) -> list[tuple[object, ...]]:
        return [call for call in self.calls if call[0] == name]

    def info(self):
        return self.answer("info", {"SecurityOptions": ["name=seccomp,profile=default"]})

    def version(self):
        return self.answer("version", {"Version": "28.5.2", "ApiVersion": "1.51"})

    def inspect_image(self, ref):
        return self.answer("inspect_image", {"Id": "sha256:1", "Config": {"Volumes": None}})

    def create_container_from_config(self, config, name):
        self.calls.append(("create", name))
        self.config = config
        return self.answer("create", {"Id": "c1"})

    def start(self, container):
        self.calls.append(("start", container))
        self.answer("start", None)
        for data in self.output:
            self.there.sendall(data)
        if self.closes_output:
            self.there.close()

    def inspect_container(self, container):
        if container == "run-1" or "inspect" in self.answers:
            return self.answer("inspect", {"Id": "old", "Config": {"Labels": {MANAGED_LABEL: "1"}}})
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, BaseException):
            raise state
        return {"State": state}

    def kill(self, container, signal):
        self.calls.append(("kill", signal))
        self.answer("kill", None)
        if self.on_kill:
            self.on_kill(signal)

    def logs(self, container, *, stdout, stderr, stream, follow):
        self.calls.append(("logs", stderr))
        return iter([self.logs_of.get("stderr" if stderr else "stdout", b"")])

    def remove_container(self, container, *, v, force):
        assert v
        assert force
        self.calls.append(("remove", container))
        self.answer("remove", None)

    def containers(self, *, all, filters):  # noqa: A002 - the SDK's name
        self.calls.append(("containers", tuple(filters["label"])))
        return self.answer("containers", [])

    def close(self):
        self.closed += 1


@pytest.fixture
def fake() -> Iterator[FakeClient]:
    client = FakeClient()
    yield client
    client.here.close()
    client.there.close()
    assert [thread for thread in threading.enumerate() if thread.name == "container-output"] == []


def engine_of(fake: FakeClient, patience: Patience = FAST) -> DockerEngine:
    return DockerEngine(
        "unix:///fake.sock",
        patience=patience,
        connect=lambda version, timeout: fake,
        attach=lambda client, ident: fake.new_output(),
    )


def end_of(
    fake: FakeClient, *, spec: ContainerSpec = SPEC, timeout_s: float = 5, cancel: Event | None = None
) -> ContainerExit:
    return run(engine_of(fake), spec, timeout_s=timeout_s, cancel=cancel)


def test_a_clean_end(fake: FakeClient) -> None:
    fake.output = (frame(1, b'{"a": 1}\n'), frame(2, b"loading\n"), frame(1, b"half"))
    end = end_of(fake)
    assert [line.text for line in end.stdout] == ['{"a": 1}', "half"]
    assert [line.text for line in end.stderr] == ["loading"]
    assert (end.exit_code, end.error, end.kill_stage, end.timed_out) == (0, "", None, False)
    assert (end.stdout_bytes, end.stderr_bytes) == (13, 8)
    assert all(end.started_ns <= line.at_ns <= end.ended_ns for line in end.stdout)
    assert fake.named("remove") == [("remove", "c1")]
    assert fake.named("logs") == []
    assert fake.closed


def test_it_waits_for_a_state_that_follows_the_end_of_the_output(fake: FakeClient) -> None:
    fake.states = [RUNNING, RUNNING, {**EXITED, "ExitCode": 134}]
    end = end_of(fake)
    assert (end.exit_code, end.signal, end.error) == (134, 6, "")


def test_an_end_is_seen_although_the_output_stays_open(fake: FakeClient) -> None:
    fake.closes_output = False
    fake.states = [RUNNING, {**EXITED, "ExitCode": 3}]
    fake.output = (frame(1, b"a\n"),)
    end = end_of(fake)
    assert (end.exit_code, [line.text for line in end.stdout]) == (3, ["a"])
    assert len(fake.named("remove")) == 1


def test_the_memory_limit_is_told_even_if_the_news_is_late(fake: FakeClient) -> None:
    fake.states = [{**EXITED, "ExitCode": 137}, {**EXITED, "ExitCode": 137, "OOMKilled": True}]
    assert end_of(fake).oom_killed


@pytest.mark.parametrize(("obeys", "stage"), [("SIGTERM", "term"), ("SIGKILL", "kill"), ("nothing", "remove")])
@pytest.mark.parametrize("cancelled", [False, True])
def test_staged_kill(fake: FakeClient, obeys: str, stage: str, cancelled: bool) -> None:
    fake.closes_output = False
    fake.states = [RUNNING]

    def on_kill(signal: str) -> None:
        if signal == obeys:
            fake.states = [{**EXITED, "ExitCode": 143}]

    fake.on_kill = on_kill
    cancel = Event()
    if cancelled:
        cancel.set()
    end = end_of(fake, timeout_s=30 if cancelled else 0.05, cancel=cancel)
    assert (end.kill_stage, end.timed_out, end.cancelled) == (stage, not cancelled, cancelled)
    assert end.exit_code == (None if stage == "remove" else 143)
    assert end.error == ""
    assert len(fake.named("remove")) == 1


def test_cancel_is_heeded_quickly_while_the_output_is_open(fake: FakeClient) -> None:
    fake.closes_output = False
    fake.states = [RUNNING]
    fake.on_kill = lambda signal: fake.states.__setitem__(slice(None), [{**EXITED, "ExitCode": 143}])
    cancel = Event()
    threading.Timer(0.1, cancel.set).start()
    running = engine_of(fake, replace(Patience(), drain=0.1)).start(SPEC)
    begun = time.monotonic()
    end = running.wait(deadline_ns=time.monotonic_ns() + 60 * 10**9, cancel=cancel)
    assert end.cancelled
    assert time.monotonic() - begun < 1.0


def test_an_end_at_the_last_moment_is_no_timeout(fake: FakeClient) -> None:
    end = end_of(fake, timeout_s=0)
    assert (end.exit_code, end.timed_out, end.kill_stage) == (0, False, None)
    assert fake.named("kill") == []


def test_a_signal_that_comes_too_late_is_no_trouble(fake: FakeClient) -> None:
    fake.closes_output = False
    fake.states = [RUNNING, RUNNING, EXITED]
    fake.answers["kill"] = [refused(409, "Container c1 is not running")]
    assert end_of(fake, timeout_s=0).error == ""


@pytest.mark.parametrize(
    "problem",
    [
        requests.exceptions.ConnectionError("Connection aborted."),
        requests.exceptions.ReadTimeout("Read timed out."),
        refused(500, "server error"),
    ],
    ids=["connection", "timeout", "500"],
)
class TestEngineAway:
    def test_for_good(self, fake: FakeClient, problem: Exception) -> None:
        fake.states = [problem]
        fake.answers["remove"] = [problem]
        end = end_of(fake)
        assert (end.exit_code, end.error_phase) == (None, "wait")
        assert end.error.startswith("the engine went away during the run: ")
        assert len(fake.named("remove")) == 1

    def test_and_back_with_a_killed_container(self, fake: FakeClient, problem: Exception) -> None:
        fake.states = [RUNNING, problem, {**EXITED, "ExitCode": 137}]
        end = end_of(fake)
        assert (end.error_phase, end.exit_code) == ("wait", 137)

    def test_and_back_with_a_container_that_went_on(self, fake: FakeClient, problem: Exception) -> None:
        fake.output = (frame(1, b"one\n"),)
        fake.logs_of = {"stdout": b"one\ntwo\n", "stderr": b"note\n"}
        fake.states = [problem, RUNNING, EXITED]
        end = end_of(fake)
        assert (end.error, end.exit_code) == ("", 0)
        assert [line.text for line in end.stdout] == ["one", "two"]
        assert [line.text for line in end.stderr] == ["note"]

    def test_slow_while_the_output_is_open(self, fake: FakeClient, problem: Exception) -> None:
        fake.closes_output = False
        fake.states = [problem, {**EXITED, "ExitCode": 1}]
        end = end_of(fake)
        assert (end.error, end.exit_code) == ("", 1)

    def test_at_the_deadline(self, fake: FakeClient, problem: Exception) -> None:
        fake.closes_output = False
        fake.states = [problem]
        fake.answers = {"kill": [problem], "remove": [problem]}
        end = end_of(fake, timeout_s=0.01)
        assert (end.timed_out, end.error_phase, end.kill_stage) == (True, "wait", "remove")

    def test_removal_is_tried_again_at_the_next_start(self, fake: FakeClient, problem: Exception) -> None:
        fake.answers["remove"] = [problem, problem, None]
        engine = engine_of(fake)
        assert run(engine, SPEC, timeout_s=5).error == ""
        fake.answers["inspect"] = [{"Id": "c1", "Config": {"Labels": {MANAGED_LABEL: "1"}}, "State": EXITED}]
        fake.calls.clear()
        run(engine, SPEC, timeout_s=5)
        assert fake.calls[0] == ("remove", "c1")

    def test_at_the_start(self, fake: FakeClient, problem: Exception) -> None:
        fake.answers["start"] = [problem]
        end = end_of(fake)
        assert (end.exit_code, end.error_phase) == (None, "start")
        assert fake.named("remove") == [("remove", "c1")]

    def test_at_the_create_the_container_may_exist(self, fake: FakeClient, problem: Exception) -> None:
        fake.answers["create"] = [problem]
        end = end_of(fake)
        assert (end.exit_code, end.error_phase) == (None, "create")
        assert fake.named("remove") == [("remove", "old")]


def test_nothing_is_started_beside_a_container_of_which_the_engine_says_nothing(fake: FakeClient) -> None:
    """A process that hangs in a driver holds the engine's answers about its container, and no others."""
    silent = requests.exceptions.ReadTimeout("Read timed out.")
    fake.closes_output = False
    fake.states = [silent]
    fake.answers = {"kill": [silent], "remove": [silent]}
    engine = engine_of(fake)
    assert run(engine, SPEC, timeout_s=0.2).exit_code is None
    fake.answers["inspect"] = [silent]
    fake.calls.clear()
    end = run(engine, SPEC, timeout_s=5)
    assert (end.error_phase, fake.named("create")) == ("create", [])
    assert "for all that the engine says" in end.error
    fake.there.close()
    fake.answers = {"inspect": [GONE]}
    run(engine, SPEC, timeout_s=5)
    assert fake.named("create") == [("create", "run-1")]


def test_nothing_is_started_beside_a_container_that_cannot_be_ended(fake: FakeClient) -> None:
    """It would share the device with what still runs, and every number after it would be wrong."""
    stuck = refused(500, "could not kill: tried to kill container, but did not receive an exit event")
    fake.closes_output = False
    fake.states = [RUNNING]
    fake.answers = {"kill": [stuck], "remove": [stuck]}
    engine = engine_of(fake)
    assert run(engine, SPEC, timeout_s=0.01).kill_stage == "remove"
    fake.answers["inspect"] = [{"Id": "c1", "Config": {"Labels": {MANAGED_LABEL: "1"}}, "State": RUNNING}]
    fake.calls.clear()
    for _ in range(2):
        end = run(engine, SPEC, timeout_s=5)
        assert (end.exit_code, end.error_phase) == (None, "create")
        assert "c1" in end.error
        assert "still running" in end.error
    assert fake.named("create") == []
    fake.there.close()
    fake.answers |= {"remove": [None], "kill": [None]}
    fake.states, fake.closes_output = [EXITED], True
    assert run(engine, SPEC, timeout_s=5).error == ""


def test_removed_by_someone_else(fake: FakeClient) -> None:
    fake.states = [GONE]
    fake.answers["remove"] = [GONE]
    end = end_of(fake)
    assert (end.error, end.error_phase) == ("the container was removed by someone else while it ran", "wait")


def test_a_broken_stream_is_completed_from_the_log(fake: FakeClient) -> None:
    fake.output = (frame(1, b"one\ntw"), frame(1, b"o\nthree\n")[:9])
    fake.logs_of = {"stdout": b"one\ntwo\nthree\n"}
    end = end_of(fake)
    assert [line.text for line in end.stdout] == ["one", "two", "three"]
    assert not end.stdout_truncated


def test_a_program_that_is_not_there_is_a_start_error(fake: FakeClient) -> None:
    fake.output = (frame(2, b"[FATAL tini (7)] exec /app/llama-bench failed: No such file or directory\n"),)
    fake.states = [{**EXITED, "ExitCode": 127}]
    end = end_of(fake)
    assert (end.exit_code, end.error_phase) == (None, "start")
    assert "exec /app/llama-bench failed" in end.error


def test_a_start_that_is_refused(fake: FakeClient) -> None:
    fake.answers["start"] = [refused(500, 'could not select device driver "nvidia" with capabilities: [[gpu]]')]
    end = end_of(fake)
    assert end.error == 'could not select device driver "nvidia" with capabilities: [[gpu]]'
    assert (end.error_phase, end.container_id) == ("start", "c1")
    assert fake.named("remove") == [("remove", "c1")]


def test_an_absent_image_is_not_pulled(fake: FakeClient) -> None:
    fake.answers["inspect_image"] = [refused(404, "No such image: sha256:1")]
    end = end_of(fake)
    assert (end.error, end.error_phase) == ("No such image: sha256:1", "create")
    assert fake.calls == []


def test_an_interrupt_between_create_and_start_leaves_nothing(fake: FakeClient) -> None:
    fake.answers["start"] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        engine_of(fake).start(SPEC)
    assert fake.named("remove") == [("remove", "c1")]


def test_an_interrupt_while_waiting_leaves_nothing(fake: FakeClient) -> None:
    fake.states = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        end_of(fake)
    assert fake.named("remove") == [("remove", "c1")]


def test_a_name_of_our_own_is_taken_over(fake: FakeClient) -> None:
    fake.answers["create"] = [CONFLICT, {"Id": "c1"}]
    assert end_of(fake).error == ""
    assert fake.named("remove") == [("remove", "old"), ("remove", "c1")]


def test_a_name_of_a_foreign_container_is_left_alone(fake: FakeClient) -> None:
    fake.answers["create"] = [CONFLICT]
    fake.answers["inspect"] = [{"Id": "foreign", "Config": {"Labels": {}}}]
    end = end_of(fake)
    assert (end.error_phase, "already in use" in end.error) == ("create", True)
    assert fake.named("remove") == []
    assert len(fake.named("create")) == 1


def test_a_name_that_stays_taken_is_tried_once_more_only(fake: FakeClient) -> None:
    fake.answers["create"] = [CONFLICT]
    assert end_of(fake).error_phase == "create"
    assert len(fake.named("create")) == 2


PODMAN = {"ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]}
NO_REQUEST = {"HostConfig": {"DeviceRequests": None, "Devices": []}, "Id": "c1", "State": EXITED}


@pytest.mark.parametrize(
    ("version", "driver"),
    [
        ({"Version": "28.5.2"}, "cdi"),
        (PODMAN | {"Version": "4.3.1"}, "cdi"),
        (PODMAN | {"Version": "5.3.2"}, "cdi"),
        (PODMAN | {"Version": "5.8.6"}, "nvidia"),
        (PODMAN | {"Version": "5.8.6"}, ""),
    ],
)
def test_a_device_request_that_the_engine_drops(fake: FakeClient, version: dict, driver: str) -> None:
    fake.answers |= {"inspect": [NO_REQUEST], "version": [version]}
    request = {"driver": driver, "device_ids": ["nvidia.com/gpu=0"]}
    end = end_of(fake, spec=replace(SPEC, passthrough=Passthrough(device_requests=(request,))))
    assert (end.error_phase, end.exit_code) == ("start", None)
    assert f"{version['Version']} drops the request for a device" in end.error
    assert fake.named("start") == []
    assert fake.named("remove") == [("remove", "c1")]


@pytest.mark.parametrize("version", ["5.4.0", "5.8.6"])
def test_podman_resolves_cdi_at_the_start_and_shows_no_request_before(fake: FakeClient, version: str) -> None:
    fake.answers |= {"version": [PODMAN | {"Version": version}]}
    fake.answers["inspect"] = [NO_REQUEST]
    request = {"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0"]}
    end = end_of(fake, spec=replace(SPEC, passthrough=Passthrough(device_requests=(request,))))
    assert (end.error, end.exit_code) == ("", 0)
    assert fake.named("start") == [("start", "c1")]


def test_one_request_that_is_dropped_is_enough(fake: FakeClient) -> None:
    fake.answers |= {"inspect": [NO_REQUEST], "version": [PODMAN | {"Version": "5.8.6"}]}
    requests_ = ({"driver": "cdi", "device_ids": ["a.com/b=0"]}, {"driver": "nvidia", "count": -1})
    end = end_of(fake, spec=replace(SPEC, passthrough=Passthrough(device_requests=requests_)))
    assert "drops the request for a device" in end.error
    assert "driver nvidia" in end.error


def test_a_callback_that_fails_does_not_stop_the_reading(fake: FakeClient, caplog: pytest.LogCaptureFixture) -> None:
    def broken(stream: str, text: str) -> None:
        raise RuntimeError(text)

    fake.output = (frame(1, b"one\n"), frame(1, b"two\n"))
    end = run(engine_of(fake), SPEC, timeout_s=5, on_line=broken)
    assert [line.text for line in end.stdout] == ["one", "two"]
    assert len(caplog.records) == 1


def test_lines_are_told_with_their_stream(fake: FakeClient) -> None:
    told = []
    fake.output = (frame(1, b"a\n"), frame(2, b"b\n"))
    run(engine_of(fake), SPEC, timeout_s=5, on_line=lambda stream, text: told.append((stream, text)))
    assert told == [("stdout", "a"), ("stderr", "b")]


class TestSweep:
    def test_only_ours_until_none_is_left(self, fake: FakeClient) -> None:
        first, late = {"Id": "1", "Names": ["/run-1"]}, {"Id": "2", "Names": ["/run-2"]}
        fake.answers["containers"] = [[first], [late], []]
        assert engine_of(fake).sweep(labels={"session": "s"}) == ("run-1", "run-2")
        assert fake.calls[0] == ("containers", ("session=s", f"{MANAGED_LABEL}=1"))

    @pytest.mark.parametrize("answer", [GONE, refused(409, "removal is already in progress")])
    def test_with_another_sweeper_at_work(self, fake: FakeClient, answer: Exception) -> None:
        fake.answers["containers"] = [[{"Id": "1", "Names": ["/run-1"]}], []]
        fake.answers["remove"] = [answer]
        assert engine_of(fake).sweep(labels={}) == ("run-1",)

    def test_what_cannot_be_removed_is_an_error(self, fake: FakeClient) -> None:
        fake.answers["containers"] = [[{"Id": "1", "Names": ["/run-1"]}]]
        fake.answers["remove"] = [refused(500, "device or resource busy")]
        ticks = iter(range(0, 10**12, 40 * 10**9))
        engine = DockerEngine("unix:///fake.sock", clock=lambda: next(ticks), connect=lambda version, timeout: fake)
        with pytest.raises(EngineError, match=r"cannot be removed: run-1 \(device or resource busy\)"):
            engine.sweep(labels={})

    def test_without_an_engine(self) -> None:
        with pytest.raises(EngineError, match="does not answer"):
            away(DockerException("Error while fetching server API version")).sweep(labels={})


def away(problem: Exception) -> DockerEngine:
    def connect(version: str, timeout: float):
        raise problem

    return DockerEngine("unix:///fake.sock", connect=connect)


def test_an_engine_that_does_not_answer() -> None:
    engine = away(
        DockerException("Error while fetching server API version: ('Connection aborted.', ConnectionRefusedError)")
    )
    for ask in (engine.facts, lambda: engine.image_id("a"), lambda: engine.inspect_image("a")):
        with pytest.raises(EngineError, match="does not answer") as caught:
            ask()
        assert caught.value.where == "unix:///fake.sock"
        assert "DOCKER_HOST" in caught.value.remedy
    end = run(engine, SPEC, timeout_s=1)
    assert (end.error_phase, end.exit_code) == ("create", None)


def test_a_socket_that_may_not_be_opened() -> None:
    with pytest.raises(EngineError) as caught:
        away(DockerException("('Connection aborted.', PermissionError(13, 'Permission denied'))")).facts()
    assert "group docker" in caught.value.remedy


def test_a_socket_that_is_not_there_is_not_left_open(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        with pytest.raises(EngineError, match="does not answer"):
            DockerEngine(f"unix://{tmp_path}/none.sock").facts()
        gc.collect()
    assert [str(warning.message) for warning in seen if "socket" in str(warning.message)] == []


def test_images(fake: FakeClient) -> None:
    engine = engine_of(fake)
    assert engine.image_id("demo:cpu") == "sha256:1"
    assert engine.inspect_image("demo:cpu")["Id"] == "sha256:1"
    fake.answers["inspect_image"] = [refused(404, "No such image: demo:cpu")]
    assert engine.image_id("demo:cpu") is None
    with pytest.raises(ArtifactError, match="not present"):
        engine.inspect_image("demo:cpu")


def test_facts_of_docker(fake: FakeClient) -> None:
    fake.answers["info"] = [
        {
            "Driver": "overlay2",
            "CgroupVersion": "2",
            "CgroupDriver": "systemd",
            "Runtimes": {"runc": {}, "nvidia": {}},
            "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"],
            "DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}, {"Source": "other", "ID": "x"}],
            "CDISpecDirs": ["/etc/cdi", "/var/run/cdi"],
            "MemoryLimit": True,
            "PidsLimit": False,
        }
    ]
    facts = engine_of(fake).facts()
    assert (facts.name, facts.version, facts.api_version) == ("Docker Engine", "28.5.2", "1.51")
    assert (facts.runtimes, facts.cdi_devices, facts.rootless) == (("nvidia", "runc"), ("nvidia.com/gpu=0",), True)
    assert (facts.memory_limit, facts.pids_limit) == (True, False)
    assert facts.cdi_folders == ("/etc/cdi", "/var/run/cdi")


@pytest.mark.parametrize(("said", "folders"), [([], ()), (None, None), ("absent", None)])
def test_no_folder_of_specifications_is_told_from_no_word_about_them(said: object, folders: object) -> None:
    info = {} if said == "absent" else {"CDISpecDirs": said}
    assert engine_facts(version={}, info=info, host="unix:///x").cdi_folders == folders


def test_facts_of_podman_which_leaves_much_out() -> None:
    facts = engine_facts(
        version={"Version": "4.3.1", "ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]},
        info={"Rootless": True},
        host="unix:///podman.sock",
    )
    assert (facts.name, facts.rootless, facts.storage_driver, facts.cdi_devices) == ("Podman", True, None, ())
    assert (facts.memory_limit, facts.pids_limit) == (True, True)


class TestHardening:
    def host(self, spec: ContainerSpec = SPEC, **options) -> dict:
        return container_config(spec, **options)["HostConfig"]

    def test_all_is_closed(self) -> None:
        config = container_config(SPEC)
        host = self.host()
        assert config["User"] == "65532:65532"
        assert config["Healthcheck"] == {"Test": ["NONE"]}
        expected = {
            "NetworkMode": "none",
            "IpcMode": "private",
            "Privileged": False,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "PidsLimit": 512,
            "Init": True,
            "AutoRemove": False,
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "Memory": 1 << 30,
            "MemorySwap": 1 << 30,
            "OomScoreAdj": 500,
            "Devices": [],
            "DeviceRequests": [],
            "Mounts": [],
        }
        assert {key: host[key] for key in expected} == expected
        assert host["Tmpfs"] == {"/tmp": "rw,noexec,nosuid,nodev,size=268435456,mode=1777"}
        assert {limit["Name"]: limit["Hard"] for limit in host["Ulimits"]} == {"core": 0, "nofile": 4096, "nproc": 4096}
        assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10485760", "max-file": "2"}}

    def test_nothing_of_the_images_own_start_is_used(self) -> None:
        config = container_config(replace(SPEC, argv=("/app/llama-bench", "-o", "jsonl")))
        assert (config["Entrypoint"], config["Cmd"]) == (["/app/llama-bench", "-o", "jsonl"], [])

    def test_the_environment_is_what_was_given(self) -> None:
        spec = replace(
            SPEC,
            environment={"GGML_VK_VISIBLE_DEVICES": "0"},
            passthrough=Passthrough(environment={"CUDA_VISIBLE_DEVICES": "0"}),
        )
        assert container_config(spec)["Env"] == [
            "HOME=/tmp",
            "XDG_CACHE_HOME=/tmp",
            "CUDA_VISIBLE_DEVICES=0",
            "GGML_VK_VISIBLE_DEVICES=0",
        ]

    def test_labels_cannot_take_ours_away(self) -> None:
        labels = container_config(replace(SPEC, labels={"a": "b", MANAGED_LABEL: "0"}))["Labels"]
        assert labels == {"a": "b", MANAGED_LABEL: "1"}

    def test_mounts(self) -> None:
        mount = BindMount(source=Path("/models/a.gguf"), target="/models/model.gguf")
        assert self.host(replace(SPEC, mounts=(mount,)))["Mounts"] == [
            {
                "Type": "bind",
                "Source": "/models/a.gguf",
                "Target": "/models/model.gguf",
                "ReadOnly": True,
                "BindOptions": {"Propagation": "rprivate"},
            }
        ]
        with pytest.raises(ValueError, match="absolute"):
            container_config(replace(SPEC, mounts=(replace(mount, source=Path("a.gguf")),)))

    def test_volumes_of_the_image_become_tmpfs(self) -> None:
        host = self.host(replace(SPEC, tmpfs={"/cache": 1024}), image_volumes=["/data", "/cache", "/tmp"])
        assert [(mount["Type"], mount["Target"]) for mount in host["Mounts"]] == [("tmpfs", "/data")]
        assert "size=1024" in host["Tmpfs"]["/cache"]

    def test_devices_are_given_read_and_write_with_numeric_groups(self) -> None:
        passthrough = Passthrough(
            device_nodes=("/dev/kfd",),
            groups=(993, 44, 993),
            device_requests=({"driver": "nvidia", "device_ids": ("GPU-1",), "capabilities": (("gpu", "compute"),)},),
        )
        host = self.host(replace(SPEC, passthrough=passthrough))
        assert host["Devices"] == [{"PathOnHost": "/dev/kfd", "PathInContainer": "/dev/kfd", "CgroupPermissions": "rw"}]
        assert host["GroupAdd"] == ["993", "44"]
        assert host["DeviceRequests"] == [
            {
                "Driver": "nvidia",
                "Count": 0,
                "DeviceIDs": ["GPU-1"],
                "Capabilities": [["gpu", "compute"]],
                "Options": {},
            }
        ]

    @pytest.mark.parametrize("request_", [{"driver": "nvidia"}, {"count": -1, "device_ids": ["0"]}, {"driver": 1}])
    def test_a_device_request_that_engines_misunderstand(self, request_: dict) -> None:
        with pytest.raises(ValueError, match=r"[dD]evice"):
            container_config(replace(SPEC, passthrough=Passthrough(device_requests=(request_,))))

    def test_no_memory_limit_and_selinux(self) -> None:
        host = self.host(replace(SPEC, memory_bytes=None), selinux=True)
        assert "Memory" not in host
        assert host["SecurityOpt"] == ["no-new-privileges", "label=disable"]

    def test_no_program(self) -> None:
        with pytest.raises(ValueError, match="no program"):
            container_config(replace(SPEC, argv=()))
