"""Planted bottlenecks: does `harness/analysis/bottleneck` name the cause without being told?

    python benchmarks/planted_bottlenecks.py --out FOLDER --repeats 4 --seed 1        measures what is left, then judges
    python benchmarks/planted_bottlenecks.py --out FOLDER --minutes 7                 stops in time; the same goes on
    python benchmarks/planted_bottlenecks.py --out FOLDER --judge                     judges what was measured

Each trial is one start of the harness on a synthetic model of 1.1 GB, under one cause that is planted from outside: in
the container's control group, by another process, or by a memory limit. The order is shuffled. Trials lie in folders
without their cause in the name; the key is read only when all are judged. Needs root (control groups), an engine and
the CPU image; on a machine that does nothing else meanwhile. PLANTED_CGROUP_PARENT names the engine's parent group
where it is not `docker`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from harness.analysis.bottleneck import diagnose
from harness.analysis.results import read_results
from harness.artifacts.model_shelf import place_of
from harness.artifacts.synthetic_recipe import parse_recipe
from harness.values.limit import Diagnosis, Limit

CGROUPS = Path("/sys/fs/cgroup")
MODEL = {
    "architecture": "llama",
    "n_layers": 16,
    "n_embd": 2048,
    "n_ff": 8192,
    "n_heads": 32,
    "n_kv_heads": 8,
    "n_vocab": 32000,
    "n_ctx": 4096,
    "quantization": "Q8_0",
    "seed": 1,
}
NATURAL = {Limit.MEMORY_BANDWIDTH, Limit.COMPUTE, Limit.OVERHEAD}
CAUSES: dict[str, tuple[set[Limit], dict[str, str]]] = {
    # What may be said of it, and what the matrix has beside the rest.
    "none": (NATURAL, {}),
    "one CPU": ({Limit.FEW_CPUS}, {}),
    "bandwidth": ({Limit.NEIGHBOUR_BANDWIDTH}, {"n_threads": "1"}),
    "memory": ({Limit.PAGING, Limit.MEMORY_SIZE}, {"memory": "700MiB"}),
    "quota": ({Limit.CPU_QUOTA}, {}),
}
KNOWN = "known"
BITES = 0.1
"""Share by which another process has to slow a trial to be what limits it: one that does not is no bottleneck there."""
OTHERS = 0.05
"""Of the machine: as much as the gate lets pass. `--others` takes another share; what was used is printed."""
ATTEMPTS = 3
USUAL_S = {"memory": 330.0}
"""A trial takes: weights that come from a disk for every token take a minute a run, and invalid runs are made again."""
HOG = "import numpy\na = numpy.ones(1 << 26)\nb = numpy.empty_like(a)\nwhile True: numpy.copyto(b, a)\n"
"""Half a gigabyte read and half a gigabyte written, again and again, with one thread."""


def matrix(name: str, cause: str) -> str:
    extra = CAUSES[cause][1] if name != KNOWN else {"n_threads": "[1, 2]"}
    memory = f"memory: {extra['memory']}\n" if "memory" in extra else ""
    threads = f", n_threads: {extra['n_threads']}" if "n_threads" in extra else ""
    return (
        f"name: {name}\npreset: quick\nrepetitions: 3\n{memory}"
        f"models:\n  planted:\n    synthetic: {json.dumps(MODEL)}\n"
        f"cells:\n  - {{backend: cpu, model: planted, tests: [tg16]{threads}}}\n"
    )


def groups(controller: str) -> set[Path]:
    """The control groups of the engine's containers, of version 2 or 1."""
    unified = (CGROUPS / "cgroup.controllers").exists()
    root = CGROUPS if unified else CGROUPS / controller
    parent = os.environ.get("PLANTED_CGROUP_PARENT", "docker")
    patterns = (f"{parent}/*", "system.slice/docker-*.scope")
    return {path for pattern in patterns for path in root.glob(pattern) if path.is_dir()}


class Limiter(threading.Thread):
    """Writes a limit into the control group of every container that appears."""

    def __init__(self, controller: str, settings: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.controller, self.settings = controller, settings
        self.ended = threading.Event()
        self.before = groups(controller)

    def run(self) -> None:
        """Until it is told to end."""
        done = set(self.before)
        while not self.ended.wait(0.01):
            for group in groups(self.controller) - done:
                done.add(group)
                for name, value in self.settings.items():
                    if (group / name).exists():
                        (group / name).write_text(value)


class Dropper(threading.Thread):
    """Drops a file from the page cache whenever no container runs: what one of them left would be nobody's to drop."""

    def __init__(self, file: Path) -> None:
        super().__init__(daemon=True)
        self.file = file
        self.ended = threading.Event()

    def run(self) -> None:
        """Until it is told to end."""
        with self.file.open("rb") as file:
            while not self.ended.wait(0.05):
                if not groups("memory"):
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Witness(threading.Thread):
    """What others than the trial's own processes and containers used of the machine while a container ran.

    It is the benchmark's own account, whatever the harness says: a trial in which others used more than the gate lets
    pass had another cause than the planted one.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.pids: list[int] = []
        self.others_s = self.seen_s = 0.0

    def run(self) -> None:
        """Until it is told to end."""
        while not self.ended.wait(0.1):
            running = groups("cpuacct")
            before = self._account(running)
            if not running or self.ended.wait(0.2) or groups("cpuacct") != running:
                continue
            after = self._account(running)
            if before and after:
                self.seen_s += after[1] - before[1]
                self.others_s += after[0] - before[0]

    def _account(self, running: set[Path]) -> tuple[float, float] | None:
        """CPU seconds of others since the start of the machine, and the time."""
        ticks = os.sysconf("SC_CLK_TCK")
        try:
            user, nice, system, _, _, irq, softirq, _ = (int(n) for n in Path("/proc/stat").read_text().split()[1:9])
            own = 0.0
            for group in running:
                usage = group / "cpuacct.usage"
                if usage.exists():
                    own += int(usage.read_text()) / 1e9
                else:
                    own += int((group / "cpu.stat").read_text().split()[1]) / 1e6
            for pid in [os.getpid(), *self.pids]:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                own += (int(fields[11]) + int(fields[12])) / ticks
        except (OSError, ValueError):
            return None
        return (user + nice + system + irq + softirq) / ticks - own, time.monotonic()

    @property
    def others(self) -> float | None:
        """Share of the machine's CPU time; None where nothing was seen."""
        return self.others_s / self.seen_s / (os.cpu_count() or 1) if self.seen_s else None


@contextmanager
def planted(cause: str, model: Path, witness: Witness) -> Iterator[None]:
    limiter: Limiter | Dropper | None = None
    hog = None
    if cause == "one CPU":
        limiter = Limiter("cpuset", {"cpuset.cpus": "0"})
    elif cause == "quota":
        # Three fifths of a CPU.
        limiter = Limiter("cpu", {"cpu.cfs_quota_us": "60000", "cpu.max": "60000 100000"})
    elif cause == "bandwidth":
        hog = subprocess.Popen([sys.executable, "-c", HOG])
        witness.pids.append(hog.pid)
    elif cause == "memory":
        limiter = Dropper(model)
    if limiter:
        limiter.start()
    try:
        yield
    finally:
        if limiter:
            limiter.ended.set()
            limiter.join()
        if hog:
            hog.kill()
            hog.wait()


def start(out: Path, name: str, cause: str, *, like: str = "") -> float | None:
    """One start of the harness under a cause; the share of the machine that others used.

    Args:
        like: the cause whose matrix it is, where that is another.
    """
    file = out / f"{name}.yaml"
    file.write_text(matrix(name, like or cause))
    environment = {**os.environ, "BENCH_REPORTS": str(out / "reports"), "XDG_STATE_HOME": str(out / "state")}
    command = [sys.executable, "-m", "invoke", "matrix", "--file", str(file), "--gate-wait", "2"]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llama-bench-harness"
    model = place_of(parse_recipe(MODEL, where="planted").sha256, cache).file
    witness = Witness()
    with planted(cause, model, witness), (out / f"{name}.log").open("w") as log:
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT) as harness:
            witness.pids.append(harness.pid)
            witness.start()
            harness.wait()
        witness.ended.set()
        witness.join()
    if not (out / "reports" / name / "report.md").exists():
        sys.exit(f"{name} could not be measured:\n{(out / f'{name}.log').read_text()}")
    return witness.others


def without(name: str) -> str:
    """The same matrix just before, without the cause: whether that slows it at all is a matter of the machine."""
    return f"{name}-without"


def slowed(out: Path, name: str) -> float | None:
    """By what share the cause slowed a trial; None where it was not measured without."""
    rates = []
    for folder in (out / "reports" / without(name), out / "reports" / name):
        if not (folder / "report.md").exists():
            return None
        rates.append(read_results(folder)[0].cells[0].tokens_per_s)
    return None if not all(rates) else 1 - rates[1] / rates[0]


def judge(folder: Path) -> Diagnosis | None:
    """What the rules say, from the records alone."""
    (machine,) = read_results(folder)
    (result,) = machine.cells
    return diagnose(result, machine)


def spoil(out: Path, name: str) -> None:
    """Put a trial aside in which others took part; it is counted, and made again."""
    number = sum(1 for _ in (out / "spoiled").glob("*")) + 1
    (out / "spoiled").mkdir(exist_ok=True)
    (out / "reports" / name).rename(out / "spoiled" / f"{name}-{number}")


def measure(out: Path, order: list[str], minutes: float, most_others: float) -> bool:
    """Measure what is left; whether all is."""
    begin = time.monotonic()
    if not (out / "reports" / KNOWN / "report.md").exists():
        # The machine is not new to the harness, as it is not to people: one start without a cause comes before.
        start(out, KNOWN, "none")
    for number, cause in enumerate(order, start=1):
        name = f"trial-{number:02}"
        if (out / "reports" / name / "report.md").exists():
            continue
        if time.monotonic() - begin + USUAL_S.get(cause, 60.0) > 60 * minutes:
            return False
        if cause == "bandwidth":
            start(out, without(name), "none", like=cause)
        for attempt in range(1, ATTEMPTS + 1):
            others = start(out, name, cause)
            shown = "unknown" if others is None else f"{100 * others:.1f} %"
            print(f"{name}, attempt {attempt}: others used {shown} of the machine while containers ran", flush=True)
            # Of the planted causes a neighbour is one: here every other one is too many.
            if others is not None and others <= most_others:
                break
            if attempt == ATTEMPTS or time.monotonic() - begin + USUAL_S.get(cause, 60.0) > 60 * minutes:
                spoil(out, name)
                return False
            spoil(out, name)
    return True


def confusion(out: Path, order: list[str]) -> None:
    table: dict[str, Counter[str]] = {cause: Counter() for cause in CAUSES}
    right = idle = 0
    for number, cause in enumerate(order, start=1):
        folder = out / "reports" / f"trial-{number:02}"
        if not (folder / "report.md").exists():
            print(f"not measured: {folder.name}")
            continue
        found = judge(folder)
        said = str(found.limit) if found else "nothing"
        effect = slowed(out, folder.name)
        if effect is not None and effect < BITES:
            idle += 1
            print(f"{folder.name}  planted: {cause}, and slowed by {100 * effect:.0f} %: no limit here; said: {said}")
            continue
        table[cause][said] += 1
        right += found is not None and found.limit in CAUSES[cause][0]
        print(f"{folder.name}  planted: {cause:10}  said: {said}: {found.because if found else ''}")
    words = sorted({said for counts in table.values() for said in counts})
    print("\n| planted | " + " | ".join(words) + " |\n|---|" + "---|" * len(words))
    for cause, counts in table.items():
        print(f"| {cause} | " + " | ".join(str(counts[word] or "") for word in words) + " |")
    print(f"\nput aside and made again, since others used the machine: {sum(1 for _ in (out / 'spoiled').glob('*'))}")
    print(f"{right} of {sum(sum(c.values()) for c in table.values())} right; {idle} more whose cause slowed nothing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--others", type=float, default=OTHERS, help="of the machine's CPU time, at most (0.05)")
    parser.add_argument("--judge", action="store_true")
    options = parser.parse_args()
    out = options.out.resolve()
    key = out / "key.json"
    if not key.exists():
        out.mkdir(parents=True, exist_ok=True)
        order = [cause for cause in CAUSES for _ in range(options.repeats)]
        random.Random(options.seed).shuffle(order)
        key.write_text(json.dumps(order))
    order = json.loads(key.read_text())
    if not options.judge and not measure(out, order, options.minutes, options.others):
        print("not finished: call it again")
        return
    confusion(out, order)


if __name__ == "__main__":
    main()
