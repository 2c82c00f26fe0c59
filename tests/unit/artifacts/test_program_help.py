"""What an image's other programs say about themselves, and that each is asked once."""

from pathlib import Path

import pytest

from harness.artifacts.answers import kept_as
from harness.artifacts.program_help import ask_program

HELP = "-m,    --model FNAME      model path\n--version                show version and build info\n"
VERSION = "version: 0.5.0-dev (build 11312, commit 0c1e57098)\nbuilt with GNU 14.2.0 for Linux x86_64\n"


class Program:
    """Answers as one in a container does, and counts."""

    def __init__(self, help_text: str = HELP, version: str = VERSION, code: int | None = 0) -> None:
        self.answers, self.code, self.asked = {"--help": help_text, "--version": version}, code, []

    def __call__(self, image_id: str, argv: tuple[str, ...]) -> tuple[int | None, str, str]:
        self.asked.append(argv)
        return self.code, self.answers[argv[-1]], ""


def test_options_and_build_are_asked_once(tmp_path: Path) -> None:
    program = Program()
    for _ in range(2):
        said = ask_program("sha256:1", "/app/", "llama-perplexity", probe=program, cache=tmp_path)
        assert (said.flags, said.build) == ({"-m": "FNAME", "--model": "FNAME", "--version": ""}, "b11312 (0c1e57098)")
    assert program.asked == [("/app/llama-perplexity", "--help"), ("/app/llama-perplexity", "--version")]


def test_what_an_older_harness_kept_is_asked_again(tmp_path: Path) -> None:
    kept = kept_as("sha256:1", "/app", tmp_path, what="llama-perplexity.json")
    kept.parent.mkdir()
    kept.write_text('{"format": 1, "flags": {"-m": "FNAME"}}')
    said = ask_program("sha256:1", "/app", "llama-perplexity", probe=Program(), cache=tmp_path)
    assert said.build == "b11312 (0c1e57098)"


@pytest.mark.parametrize("version", ["", "version: 0 (unknown)", "error: invalid argument"])
def test_a_program_that_does_not_know_its_build(tmp_path: Path, version: str) -> None:
    said = ask_program("sha256:1", "/app", "llama-perplexity", probe=Program(version=version), cache=tmp_path)
    assert (said.build, "-m" in said.flags) == (None, True)


def test_another_folder_of_an_image_holds_another_program(tmp_path: Path) -> None:
    ask_program("sha256:1", "/app", "llama-server", probe=Program(), cache=tmp_path)
    older = Program(help_text="-m FNAME\n--version\n", version="version: 5163 (84a9bf2f)")
    said = ask_program("sha256:1", "/old", "llama-server", probe=older, cache=tmp_path)
    assert said.build == "b5163 (84a9bf2f)"


@pytest.mark.parametrize("code", [None, 137])
def test_a_build_that_could_not_be_asked_for_is_asked_for_again(tmp_path: Path, code: int | None) -> None:
    def fails(image_id: str, argv: tuple[str, ...]) -> tuple[int | None, str, str]:
        return (0, HELP, "") if argv[-1] == "--help" else (code, "", "the engine went away")

    assert ask_program("sha256:1", "/app", "llama-server", probe=fails, cache=tmp_path).build is None
    assert (
        ask_program("sha256:1", "/app", "llama-server", probe=Program(), cache=tmp_path).build == "b11312 (0c1e57098)"
    )


def test_a_program_that_is_not_there_is_asked_again(tmp_path: Path) -> None:
    absent = Program(help_text="", code=None)
    for _ in range(2):
        said = ask_program("sha256:1", "/app", "llama-perplexity", probe=absent, cache=tmp_path)
        assert (said.flags, said.build) == ({}, None)
    assert len(absent.asked) == 2
