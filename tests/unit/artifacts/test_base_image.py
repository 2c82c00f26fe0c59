"""A base image: present, pulled, or made; and what is said where none of it works."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.artifacts import base_image
from harness.artifacts.base_image import Host, ensure_base
from harness.errors import ArtifactError
from harness.values.protocols import ImageStoreError

TAG = "llama-bench-harness/base:trixie"
NO_REGISTRY = ImageStoreError('Get "https://registry/v2/": dial tcp: lookup registry: no such host', status=500)


class Machine:
    """Programs that can be found, and what running them does."""

    def __init__(self, *programs: str, root: bool = True, distribution: str = "debian", exit_code: int = 0) -> None:
        self.programs = set(programs)
        self.exit_code = exit_code
        self.commands: list[list[str]] = []
        self.installs_at = 1
        self.host = Host(root=root, os_release={"ID": distribution}, which=self.which, run_lines=self.run)

    def which(self, program: str) -> str | None:
        return f"/usr/bin/{program}" if program in self.programs else None

    def run(self, command: Sequence[str], on_line: Callable[[str], None]) -> int:
        self.commands.append(list(command))
        on_line("I: doing it")
        if command[:2] == ["apt-get", "install"]:
            self.installs_at -= 1
            if self.installs_at > 0:
                return 100
            self.programs.add("mmdebstrap")
            return 0
        if command[0] == "mmdebstrap" and self.exit_code == 0:
            Path(command[-1]).write_bytes(b"root file system")
        return self.exit_code if command[0] == "mmdebstrap" else 0


def test_what_is_there_is_used(image_store, tmp_path: Path) -> None:
    there = image_store.add(TAG)
    base = ensure_base("trixie", store=image_store, cache=tmp_path, say=pytest.fail)
    assert (base.id, base.origin) == (there, "present")
    assert image_store.pulled == []


def test_it_is_pulled_where_a_registry_answers(image_store, tmp_path: Path) -> None:
    said: list[str] = []
    base = ensure_base("trixie", store=image_store, cache=tmp_path, say=said.append, host=Machine().host)
    assert base.origin == "pulled"
    assert image_store.images[TAG]["Id"] == base.id == image_store.images["debian:trixie-slim"]["Id"]
    assert said == ["pulling debian:trixie-slim"]


def test_else_it_is_made_and_each_step_is_said(image_store, tmp_path: Path) -> None:
    image_store.pulls = [NO_REGISTRY]
    machine = Machine("apt-get")
    machine.installs_at = 2
    said: list[str] = []
    base = ensure_base("trixie", store=image_store, cache=tmp_path, say=said.append, host=machine.host)
    assert base.origin == "made"
    assert image_store.images[TAG]["tar"] == b"root file system"
    assert [command[:2] for command in machine.commands] == [
        ["apt-get", "install"],
        ["apt-get", "update"],
        ["apt-get", "install"],
        ["mmdebstrap", "--variant=minbase"],
    ]
    assert not [argument for argument in machine.commands[-1] if "://" in argument]
    assert [text.split()[0] for text in said] == [
        "pulling",
        "debian:trixie-slim",
        "installing",
        "apt-get",
        "making",
        "importing",
    ]
    assert "no such host" in said[1]
    assert list((tmp_path / "base").iterdir()) == []


@pytest.mark.parametrize(
    ("machine", "may_install", "why"),
    [
        (Machine("mmdebstrap", root=False), True, "needs root"),
        (Machine(distribution="fedora"), True, "no apt-get"),
        (Machine("apt-get"), False, "nothing may be installed"),
    ],
)
def test_where_no_way_leads_to_one_two_are_named(
    image_store, tmp_path: Path, machine: Machine, may_install: bool, why: str
) -> None:
    image_store.pulls = [NO_REGISTRY]
    with pytest.raises(ArtifactError, match=why) as caught:
        ensure_base(
            "trixie",
            store=image_store,
            cache=tmp_path,
            say=lambda _: None,
            host=machine.host,
            may_install=may_install,
        )
    assert caught.value.reason == "image"
    assert "docker pull debian:trixie-slim" in caught.value.remedy
    assert "mmdebstrap" in caught.value.remedy
    assert machine.commands == []


def test_a_failing_mmdebstrap_shows_its_last_lines_and_leaves_nothing(image_store, tmp_path: Path) -> None:
    image_store.pulls = [NO_REGISTRY]
    machine = Machine("mmdebstrap", exit_code=25)
    with pytest.raises(ArtifactError, match="exit code 25:\n    I: doing it"):
        ensure_base("trixie", store=image_store, cache=tmp_path, say=lambda _: None, host=machine.host)
    assert list((tmp_path / "base").iterdir()) == []
    assert TAG not in image_store.images


EXPIRED = "E: Release file for InRelease is expired (invalid since 18d 0h 7min 55s). Updates ... will not be applied."


@pytest.mark.parametrize(("words", "runs"), [(EXPIRED, 2), ("E: Unable to locate package x", 1)])
def test_a_list_that_is_past_its_date_is_used_as_it_is_and_said(
    image_store, tmp_path: Path, words: str, runs: int
) -> None:
    image_store.pulls = [NO_REGISTRY]
    commands: list[list[str]] = []

    def run(command: Sequence[str], on_line: Callable[[str], None]) -> int:
        commands.append(list(command))
        if any("Check-Valid-Until" in argument for argument in command):
            Path(command[-1]).write_bytes(b"root file system")
            return 0
        on_line(words)
        return 25

    said: list[str] = []
    host = Host(root=True, os_release={"ID": "debian"}, which=lambda _: "/usr/bin/x", run_lines=run)
    if runs == 1:
        with pytest.raises(ArtifactError, match="exit code 25"):
            ensure_base("forky", store=image_store, cache=tmp_path, say=said.append, host=host)
    else:
        assert ensure_base("forky", store=image_store, cache=tmp_path, say=said.append, host=host).origin == "made"
        assert any("past its date" in line for line in said)
    assert len(commands) == runs


@pytest.mark.parametrize("command", ["sleep 60 & wait", "sleep 60 & exit 0", "trap '' TERM; sleep 60 & wait; wait"])
def test_a_program_that_does_not_end_is_ended_with_all_that_it_started(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(base_image, "TIMEOUT_S", 0.3)
    monkeypatch.setattr(base_image, "_TERM_S", 0.5)
    started = time.monotonic()
    base_image.Host().run_lines(["sh", "-c", command], lambda _: None)
    assert time.monotonic() - started < 20


def test_an_interrupt_ends_a_program_with_all_that_it_started() -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        base_image.Host().run_lines(["sh", "-c", "echo begun; sleep 60 & wait"], interrupted)
    assert time.monotonic() - started < 20


def test_the_output_and_the_exit_code_of_a_program_are_its_own() -> None:
    lines: list[str] = []
    assert base_image.Host().run_lines(["sh", "-c", "echo one; echo two >&2; exit 7"], lines.append) == 7
    assert sorted(lines) == ["one", "two"]
