"""What `llama-batched-bench --output-format jsonl` prints: rows among log lines and empty lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.formats.strict_json import JsonError, loads

MAX_BYTES = 16 * 1024
MAX_DEPTH = 8
"""Of a row: it is kept whole in the record, which has to be read again."""
_TIMES = ("t_pp", "t_tg", "t")
_MOST_TOKENS = 1 << 31
_MOST_S = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchedRow:
    """One row.

    Attributes:
        raw: the whole object as printed.
        n_prompt, n_gen: tokens of each sequence. n_parallel: sequences.
        t_pp_s, t_tg_s, t_s: seconds of prompts, of generation, of both.
        line: index of its line in what was read: its stamp is the end of it.
    """

    raw: Mapping[str, object]
    n_prompt: int
    n_gen: int
    n_parallel: int
    t_pp_s: float
    t_tg_s: float
    t_s: float
    line: int


def read(lines: Iterable[str]) -> tuple[BatchedRow, ...]:
    """The rows in the order printed. Never raises: a line that is no row is passed over."""
    found = []
    for index, line in enumerate(lines):
        text = line.strip()
        if not text.startswith("{"):
            continue
        try:
            raw = loads(text, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
        except JsonError:
            continue
        if isinstance(raw, dict) and (row := _row(raw, index)):
            found.append(row)
    return tuple(found)


def _row(raw: Mapping[str, object], line: int) -> BatchedRow | None:
    counts = [raw.get(name) for name in ("pp", "tg", "pl")]
    times = [raw.get(name) for name in _TIMES]
    if not all(isinstance(count, int) and 0 <= count < _MOST_TOKENS for count in counts):
        return None
    if not all(isinstance(time, (int, float)) and 0 < time < _MOST_S for time in times):
        return None
    n_prompt, n_gen, n_parallel = (int(str(count)) for count in counts)
    t_pp, t_tg, t = (float(str(time)) for time in times)
    return BatchedRow(
        raw=raw,
        n_prompt=n_prompt,
        n_gen=n_gen,
        n_parallel=n_parallel,
        t_pp_s=t_pp,
        t_tg_s=t_tg,
        t_s=t,
        line=line,
    )
