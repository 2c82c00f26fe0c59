"""A container that is talked to: ended when everything is said, and told apart from one that is cancelled."""

import threading
import time
from dataclasses import replace
from threading import Event

from harness.engine.replay import scripted
from harness.engine.serving import serve
from harness.values.container import ContainerSpec

SPEC = ContainerSpec(name="s", image="sha256:1", argv=("/app/llama-server",))


class Server:
    """An engine whose one container runs until it is cancelled, its deadline, or `ends_s`."""

    def __init__(self, ends_s=None, *, starts=True):
        self.container_id = "c" if starts else ""
        self.ends_s = ends_s

    def start(self, spec, *, on_line=None):
        return self

    def wait(self, *, deadline_ns, cancel):
        began = time.monotonic_ns()
        while not cancel.is_set() and self.container_id:
            if self.ends_s is not None and time.monotonic_ns() - began > self.ends_s * 1e9:
                return replace(scripted(), exit_code=1)
            if time.monotonic_ns() > deadline_ns:
                return replace(scripted(), timed_out=True, kill_stage="term")
            cancel.wait(0.005)
        return replace(scripted(), exit_code=143, cancelled=True, kill_stage="term")


def test_it_is_ended_when_everything_is_said():
    ended, said = serve(Server(), SPEC, talk=lambda _stop: "all", timeout_s=30, cancel=Event())
    assert said == "all"
    assert (ended.cancelled, ended.kill_stage, ended.timed_out) == (False, None, False)


def test_a_server_that_had_to_be_killed_is_known_as_such():
    class Deaf(Server):
        def wait(self, *, deadline_ns, cancel):
            return replace(super().wait(deadline_ns=deadline_ns, cancel=cancel), exit_code=137, kill_stage="kill")

    ended, _ = serve(Deaf(), SPEC, talk=lambda _stop: "all", timeout_s=30, cancel=Event())
    assert (ended.cancelled, ended.kill_stage) == (False, "kill")


def test_a_client_is_told_that_the_server_is_gone():
    def talk(stop):
        assert stop.wait(10)
        return "gave up"

    ended, said = serve(Server(ends_s=0.02), SPEC, talk=talk, timeout_s=30, cancel=Event())
    assert (ended.exit_code, said) == (1, "gave up")


def test_the_users_stop_is_no_end_of_the_talk():
    cancel = Event()

    def talk(stop):
        cancel.set()
        stop.wait(10)
        return "interrupted"

    ended, said = serve(Server(), SPEC, talk=talk, timeout_s=30, cancel=cancel)
    assert ended.cancelled
    assert said == "interrupted"


def test_a_container_that_never_started_is_not_talked_to():
    cancel = Event()
    cancel.set()
    _, said = serve(Server(starts=False), SPEC, talk=lambda _stop: "never", timeout_s=30, cancel=cancel)
    assert said is None


def test_its_deadline_holds_whatever_the_client_does():
    ended, _ = serve(Server(), SPEC, talk=lambda stop: stop.wait(10), timeout_s=0.05, cancel=Event())
    assert ended.timed_out
    assert not any(thread.name == "client" for thread in threading.enumerate())
