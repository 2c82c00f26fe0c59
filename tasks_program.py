"""What `./bench` starts: Invoke, with mistakes on the command line told as every other mistake in the input is.

Invoke's own program ends with 1 where a flag is misspelt. Here 1 means that a cell failed or that a slowdown was shown:
a gate in CI with a typing mistake in it would say that a build is slow.
"""

from __future__ import annotations

import difflib
import itertools
import os
import re
import sys
from collections.abc import Callable

from invoke import Exit, Program
from invoke.exceptions import ParseError

from harness import __version__

WRONG_INPUT = 2
_FLAGS_WITH_VALUE = ("-s", "--sources", "-o", "--source", "-u", "--out")
_UNKNOWN = re.compile(r"No idea what '(?P<word>.*)' is!", re.DOTALL)
_NO_VALUE = re.compile(r"Flag <Argument: (?P<flag>\S+).*needed value", re.DOTALL)
_NO_ARGUMENT = re.compile(r"required positional arguments: (?P<names>.*)", re.DOTALL)


class BenchProgram(Program):  # type: ignore[misc]
    """Invoke with this project's words and exit codes for a command line that cannot be read."""

    def parse_core(self, argv: list[str] | None) -> None:
        """Read the flags before the first task."""
        words = with_help_first(with_sources(sys.argv if argv is None else argv))
        self._read(lambda: super(BenchProgram, self).parse_core(words))

    def parse_tasks(self) -> None:
        """Read the tasks and their flags."""
        self._read(super().parse_tasks)

    def _read(self, parse: Callable[[], None]) -> None:
        try:
            parse()
        except ParseError as error:
            raise Exit(message=self._told(error), code=WRONG_INPUT) from None
        except ValueError as error:  # Invoke turns texts into numbers, and does not say of which flag
            raise Exit(message=no_number(self.argv, str(error)), code=WRONG_INPUT) from None

    def _told(self, error: ParseError) -> str:
        """What is wrong, what was perhaps meant, and where all of it is listed."""
        task = (error.context.name if error.context else None) or ""
        unknown, text = _UNKNOWN.search(str(error)), str(error)
        near: list[str] = []
        if unknown:
            word = unknown["word"]
            names = [*error.context.flags] if error.context else []
            if not task and hasattr(self, "collection"):
                names += self.collection.task_names
            near = [n for n in difflib.get_close_matches(word, names, n=1) if n.startswith("-") == word.startswith("-")]
            text = f"{word!r} is neither a flag of it nor a task" if task else f"{word!r} is no task and no flag"
        elif no_value := _NO_VALUE.search(text):
            text = f"--{no_value['flag']} needs a value"
        elif no_argument := _NO_ARGUMENT.search(text):
            text = f"needs {no_argument['names']}"
        meant = f"Did you mean {near[0]}? " if near else ""
        return f"{task + ': ' if task else ''}{text}\n  -> {meant}{_listed(task)}"


def no_number(argv: list[str], said: str) -> str:
    """That a flag's value is none, with the flag: the one before the word that Python's message ends with."""
    task = next((word for word in argv[1:] if not word.startswith("-")), "")
    kind = "a whole number" if "int()" in said else "a number"
    for before, word in itertools.pairwise(argv):
        flag, _, value = word.partition("=") if word.startswith("--") else (before, "", word)
        if flag.startswith("-") and value and said.endswith(repr(value)):
            return f"{task}: {flag} needs {kind}, not {value!r}\n  -> {_listed(task)}"
    return f"a flag's value is no number: {said}\n  -> {_listed(task)}"


def with_help_first(argv: list[str]) -> list[str]:
    """`TASK --help` as Invoke can read it: of a task that needs a word it would ask for the word first."""
    task = next((word for word in argv[1:] if not word.startswith("-")), "")
    if not task or argv[argv.index(task) + 1 :] not in (["--help"], ["-h"]):
        return argv
    return [*argv[: argv.index(task)], "--help", task]


def with_sources(argv: list[str]) -> list[str]:
    """`merge A B C` as Invoke can read it: a task of it has one argument without a flag, and B would be a task."""
    if "merge" not in argv or any(not word.startswith("-") for word in argv[1 : argv.index("merge")]):
        return argv
    found, left = argv[: argv.index("merge") + 1], argv[argv.index("merge") + 1 :]
    named = False
    while left:
        word = left.pop(0)
        if word in _FLAGS_WITH_VALUE and left:
            found += [word, left.pop(0)]
        elif word.startswith("-"):
            found.append(word)
        else:
            found += ["--source", word] if named else [word]
            named = True
    return found


def _listed(task: str) -> str:
    return f"`./bench --help {task}` lists what it takes." if task else "`./bench --list` shows the tasks."


program = BenchProgram(name="llama-bench-harness", binary="./bench", binary_names=["bench"], version=__version__)

if __name__ == "__main__":
    try:
        program.run()
    except BrokenPipeError:
        # The reader of our output went away (`| head`); nothing is wrong.
        sys.stderr.close()
        os._exit(0)
