"""When an engine is installed and started, when it is refused, and what is said where it fails."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from harness.engine.bootstrap import Host, ensure_engine, run_program
from harness.engine.daemon import Daemon, EnginePaths, remedy_for, root_path, spawn_detached
from harness.engine.discovery import Endpoint
from harness.errors import EngineError

USUAL = Endpoint(host="unix:///usual.sock", source="Docker's socket")

STUB = """\
#!{python}
# Stands in for dockerd: answers pings on its socket, as told by its command line.
import socketserver, sys
from http.server import BaseHTTPRequestHandler

option = dict(argument.lstrip("-").split("=", 1) for argument in sys.argv[1:])

class Ping(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")
    def address_string(self):
        return "unix"

open(option["pidfile"], "w").write(str(__import__("os").getpid()))
socketserver.UnixStreamServer(option["host"].removeprefix("unix://"), Ping).serve_forever()
"""


@dataclass
class World:
    """A machine made of fakes: which hosts answer, what was said, run and started."""

    paths: EnginePaths
    host: Host
    answering: set[str] = field(default_factory=set)
    installed: bool = True
    said: list[str] = field(default_factory=list)
    ran: list[list[str]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    apt: tuple[int, str] = (0, "")

    def probe(self, host: str, timeout_s: float) -> None:
        if host not in self.answering:
            raise FileNotFoundError(host)

    def run(self, argv, env) -> tuple[int, str]:
        self.ran.append([*argv])
        assert env["DEBIAN_FRONTEND"] == "noninteractive"
        if "update" in argv:
            return 0, ""
        self.installed = self.installed or self.apt[0] == 0
        return self.apt

    def start(self, daemon: Daemon, dockerd: str) -> Endpoint:
        self.started.append(dockerd)
        return Endpoint(host=f"unix://{daemon.paths.socket}", source="ours")

    def ensure(self, **env: str) -> Endpoint:
        return ensure_engine({"PATH": "/bin", **env}, self.said.append, paths=self.paths, host=self.host)


@pytest.fixture
def world(tmp_path: Path) -> World:
    os_release = tmp_path / "os-release"
    os_release.write_text('NAME="Debian GNU/Linux"\nID=debian\n')
    paths = EnginePaths(data=tmp_path / "data", run=tmp_path / "run")
    made = World(paths=paths, host=Host())
    made.host = Host(
        uid=0,
        os_release=os_release,
        systemd=tmp_path / "no-systemd",
        run=made.run,
        find_dockerd=lambda env: "/usr/sbin/dockerd" if made.installed else None,
        start_dockerd=made.start,
        probe=made.probe,
        usual=(USUAL,),
        settle_s=(0.0, 0.0),
    )
    return made


# --- deciding ------------------------------------------------------------------------------------------------------


def test_an_engine_that_answers_is_used_and_nothing_is_touched(world):
    world.answering.add(USUAL.host)
    world.host = replace(world.host, uid=1000, usual=(USUAL,))
    assert world.ensure(BENCH_INSTALL_ENGINE="0") == USUAL
    assert world.said == world.ran == world.started == []
    assert not world.paths.run.exists()


def test_a_dead_docker_host_never_leads_to_an_installation(world):
    with pytest.raises(EngineError, match=r"unix:///gone\.sock"):
        world.ensure(DOCKER_HOST="unix:///gone.sock")
    assert world.ran == world.started == []


@pytest.mark.parametrize(
    ("change", "env", "why"),
    [
        ({}, {"BENCH_INSTALL_ENGINE": "0"}, "BENCH_INSTALL_ENGINE=0"),
        ({"uid": 1000}, {}, "only root"),
        ({"os_release": Path("/nonexistent/os-release")}, {}, "Debian and Ubuntu only"),
    ],
)
def test_refusals_say_why_and_how_to_get_an_engine(world, change, env, why):
    world.host = replace(world.host, **change)
    with pytest.raises(EngineError, match=why) as caught:
        world.ensure(**env)
    assert caught.value.exit_code == 3
    for words in ("apt-get install docker.io", "podman.socket", "DOCKER_HOST="):
        assert words in caught.value.remedy
    assert world.ran == world.started == []


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("ID=ubuntu\n", True),
        ("ID=linuxmint\nID_LIKE='ubuntu debian'\n", True),
        ('ID="fedora"\nVARIANT_ID=debian\n', False),
        ('ID=rocky\nID_LIKE="rhel centos fedora"\n', False),
        ("", False),
    ],
)
def test_which_distributions_get_an_engine(world, text, accepted):
    world.host.os_release.write_text(text)
    if accepted:
        assert world.ensure().source == "ours"
    else:
        with pytest.raises(EngineError):
            world.ensure()


# --- installing ----------------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_is_told_with_what_to_do(world, tmp_path):
    (tmp_path / "file").touch()
    world.paths = EnginePaths(data=tmp_path / "data", run=tmp_path / "file" / "run")
    with pytest.raises(EngineError, match=r"file/run: .*cannot be made") as caught:
        world.ensure()
    assert "DOCKER_HOST" in caught.value.remedy


def test_an_installed_dockerd_is_started_without_apt(world):
    assert world.ensure().source == "ours"
    assert world.ran == []
    assert world.started == ["/usr/sbin/dockerd"]


def test_a_missing_dockerd_is_installed_after_saying_so(world):
    world.installed = False
    assert world.ensure().source == "ours"
    update, install = world.ran
    assert update[-1] == "update"
    assert install[-2:] == ["install", "docker.io"]
    assert {"--no-install-recommends", "--no-remove"} <= set(install)
    assert "docker.io" in world.said[0]
    assert "BENCH_INSTALL_ENGINE=0" in world.said[0]


def test_the_service_that_the_package_started_is_used(world):
    world.installed = False
    run = world.run

    def install(argv, env):
        world.answering.add(USUAL.host)
        return run(argv, env)

    world.host = replace(world.host, run=install)
    assert world.ensure() == USUAL
    assert world.started == []


def test_a_failed_installation_shows_what_apt_said(world):
    world.installed = False
    world.apt = (100, "Reading package lists...\nE: Unable to locate package docker.io\n")
    with pytest.raises(EngineError, match="Unable to locate package") as caught:
        world.ensure()
    assert "exit code 100" in caught.value.what
    assert "Reading package lists" not in caught.value.what
    assert "apt-get" in caught.value.remedy
    assert world.started == []


def test_a_package_without_dockerd_is_told(world):
    world.host = replace(world.host, find_dockerd=lambda env: None)
    with pytest.raises(EngineError, match="brings no dockerd"):
        world.ensure()


def test_a_program_that_is_missing_is_no_traceback():
    code, output = run_program(["/nonexistent/apt-get"], {})
    assert code == 127
    assert "/nonexistent/apt-get" in output


def test_a_program_has_no_input_and_its_whole_output_is_kept():
    script = "import sys; print(repr(sys.stdin.read())); print('err', file=sys.stderr); sys.exit(3)"
    code, output = run_program([sys.executable, "-c", script], os.environ)
    assert code == 3
    assert "''" in output
    assert "err" in output


# --- two at once ---------------------------------------------------------------------------------------------------


def test_a_second_harness_waits_for_the_first_and_takes_its_engine(world):
    world.paths.run.mkdir()
    lock = (world.paths.run / "engine.lock").open("ab")
    fcntl.flock(lock, fcntl.LOCK_EX)

    def first_one_finishes(text: str) -> None:
        world.said.append(text)
        world.answering.add(USUAL.host)
        lock.close()

    found = ensure_engine({"PATH": "/bin"}, first_one_finishes, paths=world.paths, host=world.host)
    assert found == USUAL
    assert "waiting" in world.said[0]
    assert world.started == []


def test_waiting_has_an_end(world):
    world.paths.run.mkdir()
    world.host = replace(world.host, lock_s=0.0)
    with (world.paths.run / "engine.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(EngineError, match="too long"):
            world.ensure()


# --- starting dockerd, with a stub in its place ---------------------------------------------------------------------


@dataclass
class Stub:
    """A daemon whose dockerd is a script; what it starts ends with the test."""

    daemon: Daemon
    script: Path
    said: list[str]
    processes: list[subprocess.Popen[bytes]]

    def start(self, text: str) -> Endpoint:
        self.script.write_text(text)
        self.script.chmod(0o755)
        return self.daemon.start(str(self.script))


@pytest.fixture
def stub(tmp_path: Path):
    said: list[str] = []
    processes: list[subprocess.Popen[bytes]] = []

    def spawn(command, log, env):
        process = spawn_detached(command, log, env)
        processes.append(process)
        return process

    cgroups = tmp_path / "cgroup"
    cgroups.mkdir()
    (cgroups / "memory").mkdir()
    daemon = Daemon(
        paths=EnginePaths(data=tmp_path / "data", run=tmp_path / "run"),
        env=dict(os.environ),
        say=said.append,
        spawn=spawn,
        cgroups=cgroups,
        start_s=20.0,
        poll_s=0.02,
    )
    yield Stub(daemon=daemon, script=tmp_path / "dockerd", said=said, processes=processes)
    for process in processes:
        process.kill()
        process.wait(10)


ANSWERING = STUB.format(python=sys.executable)


def test_a_started_daemon_answers_lives_in_its_own_session_and_is_found_again(stub):
    found = stub.start(ANSWERING)
    assert found.host == f"unix://{stub.daemon.paths.socket}"
    assert os.getsid(stub.processes[0].pid) == stub.processes[0].pid != os.getsid(0)
    assert str(stub.daemon.paths.data) in stub.said[0]
    assert stub.daemon.start("/nonexistent/dockerd") == found
    assert len(stub.processes) == 1


def test_the_command_line_leaves_network_and_firewall_alone():
    command = EnginePaths().command("dockerd")
    assert {"--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"} <= set(command)
    assert "--host=unix:///run/llama-bench-harness/docker.sock" in command
    assert "--data-root=/var/lib/llama-bench-harness/docker" in command


def test_a_daemon_that_dies_ends_the_waiting_with_the_end_of_its_log(stub):
    lines = "".join(f"echo line {number}\n" for number in range(40))
    with pytest.raises(EngineError, match="exit code 7") as caught:
        stub.start(f"#!/bin/sh\n{lines}echo failed to start daemon: no space left on device >&2\nexit 7\n")
    text = str(caught.value)
    assert caught.value.exit_code == 3
    assert str(stub.daemon.paths.log) in text
    assert "line 39" in text
    assert "line 3\n" not in text
    assert f"make room on the disk of {stub.daemon.paths.data}" in caught.value.remedy


def test_a_daemon_without_a_place_for_its_data_is_told(stub, tmp_path):
    (tmp_path / "file").touch()
    daemon = replace(stub.daemon, paths=replace(stub.daemon.paths, data=tmp_path / "file" / "data"))
    with pytest.raises(EngineError, match=r"file/data: .*cannot be made"):
        daemon.start("dockerd")
    assert stub.processes == []


def test_a_daemon_that_never_answers_is_ended(stub):
    stub.daemon = replace(stub.daemon, start_s=0.2)
    with pytest.raises(EngineError, match="does not answer within"):
        stub.start("#!/bin/sh\nexec sleep 600\n")
    assert stub.processes[0].wait(10) == -signal.SIGTERM


def test_the_log_of_the_start_before_is_kept(stub):
    for text in ("first", "second"):
        with pytest.raises(EngineError):
            stub.start(f"#!/bin/sh\necho {text}\nexit 1\n")
    assert stub.daemon.paths.log.read_text() == "second\n"
    assert stub.daemon.paths.log.with_suffix(".log.1").read_text() == "first\n"


@pytest.mark.parametrize("content", ["999999999", "not a number", "own"])
def test_a_stale_pid_file_is_removed(stub, content):
    # "own" is a process that lives but is no daemon of ours: the number was given to another program.
    stub.daemon.paths.run.mkdir()
    stub.daemon.paths.pid_file.write_text(str(os.getpid()) if content == "own" else content)
    stub.start(ANSWERING)
    assert stub.daemon.paths.pid_file.read_text() == str(stub.processes[0].pid)


def test_a_stale_pid_file_of_containerd_is_removed(stub):
    pid_file = stub.daemon.paths.run / "docker/containerd/containerd.pid"
    pid_file.parent.mkdir(parents=True)
    pid_file.write_text("999999999")
    stub.start(ANSWERING)
    assert not pid_file.exists()


def test_a_daemon_of_ours_that_still_starts_is_waited_for(stub):
    processes = stub.daemon.cgroups.parent / "proc"
    (processes / "42").mkdir(parents=True)
    (processes / "42/cmdline").write_bytes(b"dockerd\0--host=unix://" + bytes(stub.daemon.paths.socket) + b"\0")
    stub.daemon.paths.run.mkdir()
    stub.daemon.paths.pid_file.write_text("42\n")
    stub.daemon = replace(stub.daemon, processes=processes, start_s=0.1)
    with pytest.raises(EngineError, match="does not answer"):
        stub.start(ANSWERING)
    assert stub.processes == []
    assert stub.daemon.paths.pid_file.exists()


# --- control groups ------------------------------------------------------------------------------------------------


def test_control_groups_are_mounted_where_nothing_is(stub):
    (stub.daemon.cgroups / "memory").rmdir()
    mounted: list[Path] = []
    stub.daemon = replace(stub.daemon, mount=mounted.append)
    stub.start(ANSWERING)
    assert mounted == [stub.daemon.cgroups]
    assert any("cgroup v2" in text for text in stub.said)


def test_a_failed_mount_is_told_and_the_start_goes_on(stub):
    (stub.daemon.cgroups / "memory").rmdir()

    def refuse(folder: Path) -> None:
        raise subprocess.CalledProcessError(32, ["mount"])

    stub.daemon = replace(stub.daemon, mount=refuse)
    stub.start(ANSWERING)
    assert any("could not be prepared" in text for text in stub.said)


def test_a_container_on_cgroup_v2_hands_its_controllers_on(stub):
    root = stub.daemon.cgroups
    for name, text in {
        "cgroup.type": "domain\n",
        "cgroup.procs": "1\n17\n",
        "cgroup.controllers": "cpu memory pids\n",
        "cgroup.subtree_control": "",
    }.items():
        (root / name).write_text(text)
    stub.start(ANSWERING)
    assert (root / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (root / "llama-bench-harness-init/cgroup.procs").read_text() == "17"  # in a real one each write adds


def test_the_machines_own_root_group_is_left_alone(stub):
    (stub.daemon.cgroups / "cgroup.procs").write_text("1\n")
    stub.start(ANSWERING)
    assert sorted(path.name for path in stub.daemon.cgroups.iterdir()) == ["cgroup.procs", "memory"]


# --- remedies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("failed to start daemon: error initializing graphdriver: driver not supported", "--storage-driver=vfs"),
        ("failed to start daemon: Devices cgroup isn't mounted", "mount -t cgroup2"),
        ("failed to start daemon: mkdir /x: permission denied", "privileged"),
        ("failed to start daemon: write /x: no space left on device", "make room"),
        ("level=info overlay cgroup\nfailed to start daemon: something new", "see the whole log"),
        ("", "see the whole log"),
    ],
)
def test_remedies_follow_the_decisive_line(log, words):
    assert words in remedy_for(log, EnginePaths())


def test_the_folders_of_system_programs_are_on_the_path_once():
    assert root_path({"PATH": "/usr/bin:/usr/sbin"}) == "/usr/bin:/usr/sbin:/usr/local/sbin:/sbin"
    assert root_path({}).endswith("/usr/local/sbin:/usr/sbin:/sbin")
