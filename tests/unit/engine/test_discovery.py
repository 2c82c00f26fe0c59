"""Which engine is taken, in which order, and what is said about those that are not."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from harness.engine.discovery import Endpoint, discover, find_engine, ping, usual_places
from harness.errors import EngineError

OK = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK"


@contextmanager
def serving(path: Path, answer: bytes = OK) -> Iterator[str]:
    """A Unix socket whose server gives everybody the same answer; nothing at all where it is empty."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    if not answer:
                        done.wait(10)
                        continue
                    peer.recv(4096)
                    peer.sendall(answer)

        done = threading.Event()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"unix://{path}"
        done.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def dead_socket(path: Path) -> str:
    """A socket file that its server left behind."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as server:
        server.bind(str(path))
    return f"unix://{path}"


def probe_of(*answering: str, failing: dict[str, OSError] | None = None):
    def probe(host: str, timeout_s: float) -> None:
        if failing and host in failing:
            raise failing[host]
        if host not in answering:
            raise FileNotFoundError(host)

    return probe


def places(*hosts: str) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(host=host, source=f"place {number}") for number, host in enumerate(hosts))


def write_context(home: Path, name: str, host: str, *, current: bool = False) -> None:
    folder = home / ".docker/contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
    if current:
        (home / ".docker/config.json").write_text(json.dumps({"currentContext": name, "auths": {}}))


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "xdg")}


# --- the order -----------------------------------------------------------------------------------------------------


def test_docker_host_comes_before_the_context_and_the_usual_places(env, tmp_path):
    write_context(tmp_path, "work", "unix:///context.sock", current=True)
    env["DOCKER_HOST"] = "unix:///host.sock"
    probe = probe_of("unix:///host.sock", "unix:///context.sock", "unix:///usual.sock")
    assert find_engine(env, usual=places("unix:///usual.sock"), probe=probe) == Endpoint(
        host="unix:///host.sock", source="DOCKER_HOST"
    )


def test_docker_context_comes_before_the_current_context(env, tmp_path):
    write_context(tmp_path, "work", "unix:///work.sock", current=True)
    write_context(tmp_path, "play", "unix:///play.sock")
    env["DOCKER_CONTEXT"] = "play"
    found = find_engine(env, usual=(), probe=probe_of("unix:///work.sock", "unix:///play.sock"))
    assert found is not None
    assert found.host == "unix:///play.sock"
    assert found.source == "DOCKER_CONTEXT 'play'"


def test_the_current_context_comes_before_the_usual_places(env, tmp_path):
    write_context(tmp_path, "work", "unix:///work.sock", current=True)
    found = find_engine(env, usual=places("unix:///a"), probe=probe_of("unix:///work.sock", "unix:///a"))
    assert found == Endpoint(host="unix:///work.sock", source="the current Docker context 'work'")


def test_docker_config_moves_the_folder_of_contexts(env, tmp_path):
    other = tmp_path / "other"
    write_context(other, "work", "unix:///work.sock", current=True)
    env["DOCKER_CONFIG"] = str(other / ".docker")
    found = find_engine(env, usual=(), probe=probe_of("unix:///work.sock"))
    assert found is not None
    assert found.host == "unix:///work.sock"


def test_the_default_context_overrides_the_current_one_and_means_the_usual_places(env, tmp_path):
    write_context(tmp_path, "work", "unix:///work.sock", current=True)
    env["DOCKER_CONTEXT"] = "default"
    found = find_engine(env, usual=places("unix:///a"), probe=probe_of("unix:///work.sock", "unix:///a"))
    assert found is not None
    assert found.host == "unix:///a"


@pytest.mark.parametrize("config", ['{"currentContext": "default"}', '{"currentContext": 7}', "{}", "[]"])
def test_a_config_that_chooses_no_context_means_the_usual_places(env, tmp_path, config):
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(config)
    assert find_engine(env, usual=places("unix:///a"), probe=probe_of("unix:///a")) == places("unix:///a")[0]


def test_an_unreadable_config_chooses_no_context_and_is_told(env, tmp_path):
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text("{")
    found = discover(env, usual=places("unix:///a"), probe=probe_of("unix:///a"))
    assert found.endpoint == places("unix:///a")[0]
    assert any(r.source.endswith("config.json") and "cannot be read" in r.reason for r in found.rejected)


def test_the_first_usual_place_that_answers_is_taken_and_the_others_are_explained(env):
    hosts = ("unix:///a", "unix:///b", "unix:///c", "unix:///d", "unix:///e")
    failing = {"unix:///b": ConnectionRefusedError(), "unix:///c": TimeoutError()}
    found = discover(env, usual=places(*hosts), probe=probe_of("unix:///d", "unix:///e", failing=failing))
    assert found.endpoint == Endpoint(host="unix:///d", source="place 3")
    reasons = {r.host: r.reason for r in found.rejected if r.host}
    assert list(reasons) == ["unix:///a", "unix:///b", "unix:///c"]
    assert reasons["unix:///a"] == "no such socket"
    assert "no engine listens" in reasons["unix:///b"]
    assert reasons["unix:///c"] == "no answer within 10 s"


def test_the_usual_places_in_their_order(env, tmp_path):
    hosts = [place.host for place in usual_places(env, own_socket=Path("/own.sock"))]
    assert hosts == [
        "unix:///own.sock",
        "unix:///var/run/docker.sock",
        f"unix://{tmp_path}/xdg/docker.sock",
        f"unix://{tmp_path}/.docker/run/docker.sock",
        "unix:///run/podman/podman.sock",
        f"unix://{tmp_path}/xdg/podman/podman.sock",
    ]


def test_nothing_anywhere_is_no_error(env):
    assert find_engine(env, usual=places("unix:///a"), probe=probe_of()) is None


# --- what the user named is taken or is an error --------------------------------------------------------------------


def test_a_dead_docker_host_is_named_and_nothing_else_is_taken(env):
    env["DOCKER_HOST"] = "unix:///gone.sock"
    with pytest.raises(EngineError) as caught:
        find_engine(env, usual=places("unix:///a"), probe=probe_of("unix:///a"))
    assert caught.value.exit_code == 3
    assert "unix:///gone.sock" in str(caught.value)
    assert "unset DOCKER_HOST" in caught.value.remedy


def test_a_dead_context_is_named(env, tmp_path):
    write_context(tmp_path, "desktop-linux", "unix:///desktop.sock", current=True)
    with pytest.raises(EngineError, match=r"desktop-linux.*unix:///desktop.sock") as caught:
        find_engine(env, usual=places("unix:///a"), probe=probe_of("unix:///a"))
    assert "docker context use" in caught.value.remedy


def test_an_unknown_context_is_an_error(env):
    env["DOCKER_CONTEXT"] = "nowhere"
    with pytest.raises(EngineError, match=r"nowhere.*no such Docker context"):
        find_engine(env, usual=(), probe=probe_of())


@pytest.mark.parametrize("content", ["[]", "{", '{"Endpoints": null}', '{"Endpoints": {"kubernetes": {}}}'])
def test_a_context_without_a_docker_host_is_an_error(env, tmp_path, content):
    write_context(tmp_path, "odd", "unix:///odd.sock", current=True)
    next((tmp_path / ".docker/contexts/meta").glob("*/meta.json")).write_text(content)
    with pytest.raises(EngineError, match="odd"):
        find_engine(env, usual=(), probe=probe_of())


@pytest.mark.parametrize("host", ["npipe:////./pipe/docker", "/var/run/docker.sock", "tcp://h:many", "tcp://[::1"])
def test_an_address_of_no_engine_is_refused(env, host):
    env["DOCKER_HOST"] = host
    with pytest.raises(EngineError, match="no address of a container engine"):
        find_engine(env, usual=(), probe=probe_of(host))


@pytest.mark.parametrize("host", ["tcp://192.0.2.7:2375", "tcp://bench.example:2375", "tcp://localhost.example:2375"])
def test_another_machine_without_tls_is_refused(env, host):
    env["DOCKER_HOST"] = host
    with pytest.raises(EngineError, match="without TLS"):
        find_engine(env, usual=(), probe=probe_of(host))


@pytest.mark.parametrize("host", ["tcp://localhost:2375", "tcp://127.0.0.1:2375", "tcp://[::1]:2375"])
def test_this_machine_needs_no_tls_but_has_to_answer(env, host):
    env["DOCKER_HOST"] = host
    found = find_engine(env, usual=(), probe=probe_of(host))
    assert found is not None
    assert found.local
    with pytest.raises(EngineError, match="does not answer"):
        find_engine(env, usual=(), probe=probe_of())


@pytest.mark.parametrize(("host", "tls"), [("ssh://me@bench.example", ""), ("tcp://bench.example:2376", "1")])
def test_ssh_and_tls_are_left_to_the_sdk(env, host, tls):
    env |= {"DOCKER_HOST": host, "DOCKER_TLS_VERIFY": tls}
    found = find_engine(env, usual=(), probe=probe_of())
    assert found == Endpoint(host=host, source="DOCKER_HOST")
    assert not found.local


# --- permissions ---------------------------------------------------------------------------------------------------


def test_a_forbidden_docker_host_says_what_to_do(env, tmp_path):
    host = dead_socket(tmp_path / "d.sock")
    env["DOCKER_HOST"] = host
    with pytest.raises(EngineError, match="may not open it") as caught:
        find_engine(env, usual=(), probe=probe_of(failing={host: PermissionError()}))
    assert "usermod -aG docker" in caught.value.remedy
    assert "rootless" in caught.value.remedy


def test_a_forbidden_socket_is_passed_over_where_another_engine_answers(env, tmp_path):
    forbidden = dead_socket(tmp_path / "d.sock")
    probe = probe_of("unix:///rootless", failing={forbidden: PermissionError()})
    found = discover(env, usual=places(forbidden, "unix:///rootless"), probe=probe)
    assert found.endpoint == Endpoint(host="unix:///rootless", source="place 1")
    assert found.rejected[-1].forbidden


def test_a_forbidden_socket_alone_is_an_error(env, tmp_path):
    forbidden = dead_socket(tmp_path / "d.sock")
    probe = probe_of(failing={forbidden: PermissionError()})
    with pytest.raises(EngineError, match="may not open it"):
        find_engine(env, usual=places("unix:///a", forbidden), probe=probe)


def test_a_closed_folder_without_a_socket_in_it_is_no_engine(env, tmp_path):
    host = f"unix://{tmp_path}/closed/podman.sock"
    found = discover(env, usual=places(host), probe=probe_of(failing={host: PermissionError()}))
    assert found.endpoint is None
    assert not found.rejected[-1].forbidden
    assert "folder" in found.rejected[-1].reason


# --- asking for a sign of life, on real sockets ---------------------------------------------------------------------


def test_ping_is_content_with_an_engine(tmp_path):
    with serving(tmp_path / "d.sock") as host:
        ping(host, 5)


def test_ping_meets_nobody(tmp_path):
    with pytest.raises(FileNotFoundError):
        ping(f"unix://{tmp_path}/none.sock", 5)
    with pytest.raises(ConnectionRefusedError):
        ping(dead_socket(tmp_path / "dead.sock"), 5)


def test_ping_waits_only_so_long(tmp_path):
    with serving(tmp_path / "d.sock", b"") as host, pytest.raises(TimeoutError):
        ping(host, 0.1)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 500 Internal Server Error\r\nApi-Version: 1.41\r\nContent-Length: 4\r\n\r\noops",
    ],
)
def test_ping_wants_an_engine_and_nothing_else(tmp_path, answer):
    with serving(tmp_path / "d.sock", answer) as host, pytest.raises(OSError, match="what answers there"):
        ping(host, 5)
