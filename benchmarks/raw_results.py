"""Raw results of a benchmark, kept in a file: it can be made in several short windows, and its tables are made of all.

A row counts only where it was made in the same setting: the same machine, image and parameters.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.flows.workspace import find_workspace
from harness.machine.facts import cpu_model

Row = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that all benchmarks have that measure for long."""
    parser.add_argument("--minutes", type=float, help="stop after about so long; the same command goes on later")
    parser.add_argument("--into", type=Path, help="file of the raw results (default: in the harness's cache folder)")
    parser.add_argument("--fresh", action="store_true", help="begin anew: the raw results so far are removed")


class RawResults:
    """The rows of one benchmark in one setting.

    Args:
        name: of the benchmark.
        asked: its options; those of `add_arguments` are used.
        setting: what has to be the same for rows to belong together, beside the machine.
    """

    def __init__(self, name: str, asked: argparse.Namespace, setting: Mapping[str, object]) -> None:
        self.path = asked.into or find_workspace().cache / "benchmarks" / f"{name}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.setting = json.loads(json.dumps({"cpu": cpu_model(), "cores": os.cpu_count(), **setting}))
        if asked.fresh:
            self.path.unlink(missing_ok=True)
        self._end = time.monotonic() + 60 * asked.minutes if asked.minutes else None
        self._longest_s = 0.0
        self._begun: float | None = None
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        made = [json.loads(line) for line in lines if line.endswith("}")]
        self.rows: list[Row] = [row for row in made if row.pop("setting") == self.setting]
        print(f"{len(self.rows)} rows are in {self.path} already", flush=True)

    def time_left(self) -> bool:
        """Whether one more piece of work fits into the window, by the longest so far."""
        now = time.monotonic()
        if self._begun is not None:
            self._longest_s = max(self._longest_s, now - self._begun)
        self._begun = now
        return self._end is None or now + self._longest_s < self._end

    def add(self, **row: object) -> None:
        """Keep a row."""
        with self.path.open("a") as file:
            file.write(json.dumps({"setting": self.setting, **row}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.rows.append(dict(row))


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in Markdown."""
    print(f"\n**{title}**\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
