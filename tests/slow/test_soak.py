"""Two thousand runs of a llama-bench that fails at random, and some hundreds under a harness and an engine that die.

    DOCKER_HOST=unix:///run/llama-bench-harness/docker.sock python -m pytest tests/slow/test_soak.py -s

An hour on two cores. The engine is the tests' own; that of `DOCKER_HOST` only lends its base image. The figures of
the last run are in docs/faults.md.
"""

import itertools
import json
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.accounting import account, nothing_left
from tests.engine.conftest import host, image, own, shared_engine  # noqa: F401 - fixtures
from tests.engine.faulty import FAULTS, FaultyHarness, build_faulty, matrix, open_files
from tests.engine.own_engine import OwnEngine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(6 * 3600)]

GROUPS, ROUNDS = 40, 49
KILLED_GROUPS, KILLED_ROUNDS = 20, 19


def told(name: str, harness: FaultyHarness, **figures: object) -> None:
    """Print the figures, and keep them beside the records."""
    text = json.dumps({"soak": name, **figures}, indent=1)
    (harness.folder / "figures.json").write_text(text)
    print(text)


def watched(pid: int, ended: threading.Event) -> Iterator[tuple[int, int, int]]:
    """Descriptors, threads and resident MiB of a process, every ten seconds."""
    while not ended.wait(10):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            files = open_files(pid)
        except OSError:
            return
        fields = dict(line.split(":", 1) for line in status.splitlines())
        yield files, int(fields["Threads"]), int(fields["VmRSS"].split()[0]) // 1024


def test_two_thousand_runs_one_in_twenty_faulty(own: OwnEngine, tmp_path: Path) -> None:  # noqa: F811
    tag = build_faulty(own.host, rate=0.05)
    harness = FaultyHarness.made(tmp_path, matrix(tag, groups=GROUPS, rounds=ROUNDS), own.environment(tmp_path))
    begin = time.monotonic()
    process = harness.start()
    ended, seen = threading.Event(), []
    watcher = threading.Thread(target=lambda: seen.extend(watched(process.pid, ended)))
    watcher.start()
    output, _ = process.communicate()
    ended.set()
    watcher.join()
    lines = output.splitlines()
    held = json.loads(lines.pop())
    found = account(harness, groups=GROUPS, rounds=ROUNDS)
    told(
        "2000",
        harness,
        planned=GROUPS * (ROUNDS + 1),
        runs=found.runs,
        records=found.records,
        faults=found.faults,
        seconds=round(time.monotonic() - begin),
        held_at_the_end=held,
        most_files=max(files for files, _, _ in seen),
        most_threads=max(threads for _, threads, _ in seen),
        resident_mib=[seen[0][2], max(resident for _, _, resident in seen), seen[-1][2]],
    )
    assert process.returncode == (1 if any(FAULTS[fault] for fault in found.faults) else 0), output[-3000:]
    # What a run opens it closes: the second half of the runs holds no more than the first.
    half = len(seen) // 2
    for kind in (0, 1):
        assert max(look[kind] for look in seen[half:]) <= max(look[kind] for look in seen[:half]) + 2
    nothing_left(own, harness, held)


def test_a_harness_and_an_engine_that_are_killed_again_and_again(own: OwnEngine, tmp_path: Path) -> None:  # noqa: F811
    tag = build_faulty(own.host, rate=0.05)
    text = matrix(tag, groups=KILLED_GROUPS, rounds=KILLED_ROUNDS)
    harness = FaultyHarness.made(tmp_path, text, own.environment(tmp_path))
    generator = random.Random(20261125)
    begin, kills = time.monotonic(), {"harness": 0, "engine": 0, "both": 0}
    for start in itertools.count(1):
        process = harness.start()
        goal = harness.count() + generator.randrange(8, 25)
        alive = start <= 20 and harness.wait_for(goal, process, seconds=600)
        if alive:
            time.sleep(generator.random() * 2)
            which = generator.choice(["harness", "harness", "engine", "both"])
            kills[which] += 1
            if which != "harness":
                own.kill()
            if which != "engine":
                process.send_signal(signal.SIGKILL)
            if which != "harness":
                time.sleep(generator.random() * 3)
                own.start()
        output, _ = process.communicate()
        lines = output.splitlines()
        if process.returncode in {0, 1} and lines[-1].startswith("{"):
            break
        assert process.returncode in {-9, 3}, output[-3000:]
        assert start < 60
    held = json.loads(lines.pop())
    found = account(harness, groups=KILLED_GROUPS, rounds=KILLED_ROUNDS)
    told(
        "killed",
        harness,
        planned=KILLED_GROUPS * (KILLED_ROUNDS + 1),
        runs=found.runs,
        records=found.records,
        faults=found.faults,
        kills=kills,
        starts=start,
        forgotten_shims=len(own.shims()),
        seconds=round(time.monotonic() - begin),
    )
    nothing_left(own, harness, held, orphans=True)
