"""A result that another program printed, or a person posted: read, and not verified by anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRow:
    """One rate of one test.

    Attributes:
        program: `llama-bench`, `llama-batched-bench`, `ramalama bench`, `llama-benchy`, or `scoreboard`.
        form: `markdown`, `json`, `csv` or `sql`. line: 1-based, where it begins in what was read.
        model, device, backend: as printed; empty where that was not told.
        metric: `pp`, `tg`, or `pg` for both in one sample. parallel: sequences at once.
        n_prompt, n_gen, n_depth: in tokens.
        tokens_per_s: recomputed from the samples where there are any. deviation: as printed.
        samples_ns: durations, one a repetition; empty where they were not printed.
        size_bytes, n_params: as printed, so that they can be rounded.
        params: parameters by llama-bench's names, as texts. raw: everything that was printed, as texts.
    """

    program: str
    form: str
    line: int
    model: str
    device: str = ""
    backend: str = ""
    metric: str
    n_prompt: int = 0
    n_gen: int = 0
    n_depth: int = 0
    parallel: int = 1
    tokens_per_s: float
    deviation: float | None = None
    samples_ns: tuple[int, ...] = ()
    build_commit: str = ""
    build_number: int | None = None
    size_bytes: int | None = None
    n_params: int | None = None
    cpu: str = ""
    measured_utc: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    raw: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """What was found in a text.

    Attributes:
        rows: in the order of the text.
        refused: what looks like a result and is none, each with its line and the reason.
    """

    rows: tuple[ForeignRow, ...]
    refused: tuple[str, ...] = ()
