"""What the processor can do in a container like those of the runs: measured at the start of a session, in seconds.

Nothing in here may cost a start its measurement: what cannot be had is a roof with a problem.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from harness.artifacts.probe_image import ensure_probe
from harness.engine.running import run
from harness.errors import BenchError
from harness.flows.console import Display
from harness.flows.engines import probe_labels
from harness.flows.run_once import utc_now
from harness.formats.strict_json import JsonError, loads
from harness.measure.roof import read_roof, roof_argv
from harness.store.files import write_whole
from harness.values.cell import Cell
from harness.values.container import ContainerSpec
from harness.values.protocols import Engine, ImageStore, ImageStoreError
from harness.values.roof import Roof

TIMEOUT_S = 60.0
MOST_THREAD_COUNTS = 4
"""A ladder of threads is probed at its first numbers only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prober:
    """Measures roofs.

    Attributes:
        machine: its name in records; cores: that it has.
        memory_bytes: limit of the container, that of the runs.
        images: folder of Dockerfiles. cache: for logs. state: where the best of earlier starts is kept.
        journal: told of each container before it is created.
        lock: that is held, a label of the containers.
    """

    engine: Engine
    store: ImageStore
    machine: str
    cores: int
    memory_bytes: int
    images: Path
    cache: Path
    state: Path
    display: Display
    cancel: Event
    journal: Callable[[str, Mapping[str, object]], None]
    lock: str

    def roofs(self, cells: Sequence[Cell]) -> tuple[Roof, ...]:
        """A roof for each number of threads. Never raises but for an engine that is gone."""
        wanted = {int(cell.params["n_threads"]) for cell in cells if "n_threads" in cell.params}
        # All cores too: what few threads leave unused is seen against it.
        counts = sorted({*sorted(wanted)[:MOST_THREAD_COUNTS], self.cores} if wanted else ())
        if self.engine.simulated or not counts:
            return ()
        with self.display.step("what the processor can do") as step:
            try:
                image = ensure_probe(
                    images=self.images, store=self.store, cache=self.cache, say=self.display.say, progress=step
                )
            except (BenchError, ImageStoreError, OSError) as error:
                problem = f"the probe's image cannot be had: {error}".splitlines()[0][:300]
                return tuple(Roof(n_threads=count, problem=problem) for count in counts)
            found = tuple(self._one(count, image) for count in counts)
        return remembered(found, self.state / f"roofs-{self.machine}.json", now=utc_now())

    def _one(self, n_threads: int, image: str) -> Roof:
        spec = ContainerSpec(
            name=f"lbh-probe-{os.getpid()}-{os.urandom(4).hex()}",
            image=image,
            argv=roof_argv(n_threads),
            labels=probe_labels(self.lock),
            memory_bytes=self.memory_bytes,
        )
        self.journal("probing", {"image": image, "argv": list(spec.argv), "container": spec.name})
        ended = run(self.engine, spec, timeout_s=TIMEOUT_S, cancel=self.cancel)
        return read_roof(ended, n_threads=n_threads, image=image)


def remembered(roofs: Sequence[Roof], path: Path, *, now: str) -> tuple[Roof, ...]:
    """The roofs with the best that this machine has shown; a better one takes its place in the file.

    A file that cannot be read or written costs the memory of earlier starts, and nothing else.
    """
    best = _read(path)
    found = []
    for roof in roofs:
        read, key = roof.read, str(roof.n_threads)
        if read is not None and (key not in best or best[key][0] < read):
            best[key] = (round(read), now)
        known = best.get(key)
        found.append(
            replace(roof, best_read_bytes_per_s=known[0], best_utc=known[1]) if known and read is not None else roof
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, _encoded(best))
    except (BenchError, OSError):
        pass
    return tuple(found)


def _read(path: Path) -> dict[str, tuple[int, str]]:
    try:
        data = loads(path.read_bytes())
    except (OSError, JsonError):
        return {}
    rows = data.get("read_bytes_per_s", {}) if isinstance(data, dict) else {}
    return {
        str(count): (row["best"], row["utc"])
        for count, row in rows.items()
        if isinstance(row, dict) and isinstance(row.get("best"), int) and isinstance(row.get("utc"), str)
    }


def _encoded(best: Mapping[str, tuple[int, str]]) -> bytes:
    rows = {count: {"best": rate, "utc": utc} for count, (rate, utc) in sorted(best.items())}
    return json.dumps({"read_bytes_per_s": rows}, indent=1).encode() + b"\n"
