"""Tables in Markdown: of llama-bench, of llama-batched-bench, of scoreboards. A table is known by its columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from harness.formats.foreign.fields import FieldError, metric, rate, size, test, text_of, texts, tokens
from harness.formats.foreign.objects import BOARD_MODEL
from harness.values.foreign import ForeignRow

_CELL = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?")
# No bracket within: each character of a cell is looked at once.
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^)\[]*\)")
_BOARD_RATE = re.compile(r"(pp|tg) ?(\d+)(?: *\(?t/s\)?| tokens/s)?(?: *\[?t/s\]?)?", re.IGNORECASE)
PARAMETERS = {
    "ngl": "n_gpu_layers",
    "fa": "flash_attn",
    "threads": "n_threads",
    "mmap": "use_mmap",
    "sm": "split_mode",
    "mg": "main_gpu",
    "nkvo": "no_kv_offload",
    "ts": "tensor_split",
    "ot": "tensor_buft_overrides",
    "lm": "load_mode",
    "embd": "embeddings",
    "nopo": "no_op_offload",
    "noh": "no_host",
}
"""Columns of llama-bench that are called otherwise than its fields."""
_FIELDS = frozenset({"model", "size", "params", "backend", "test", "t/s", "dev"})
_DEVICES = ("chip", "gpu", "device", "card", "hardware")


def cells(line: str) -> list[str]:
    """The cells of a line of a table."""
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [_LINK.sub(r"\1", cell.replace("\\|", "|")).strip() for cell in _CELL.split(inner)]


def is_rule(line: str) -> bool:
    """Whether a line is the one between a table's head and its rows."""
    return bool(_RULE.fullmatch(line.strip())) and "-" in line


def kind_of(columns: Sequence[str]) -> str | None:
    """The program whose table has these columns; None for other tables."""
    names = [name.casefold() for name in columns]
    if {"model", "test", "t/s"} <= set(names):
        return "llama-bench"
    if {"pp", "tg", "b", "s_pp t/s", "s_tg t/s"} <= set(names):
        return "llama-batched-bench"
    if any(name in _DEVICES for name in names) and any(_BOARD_RATE.fullmatch(name) for name in names):
        return "scoreboard"
    return None


def rows_of(
    kind: str, columns: Sequence[str], values: Sequence[str], about: Mapping[str, str], line: int
) -> list[ForeignRow]:
    """The results of one row of a table.

    Args:
        about: what was said before the table: `device`, `model`, and parameters.

    Raises:
        FieldError: it is no result.
    """
    if len(values) != len(columns):
        raise FieldError(f"{len(values)} cells, and {len(columns)} columns")
    names = [name.casefold() for name in columns]
    if twice := next((name for name in names if name and names.count(name) > 1), ""):
        raise FieldError(f"two columns are called {twice[:40]!r}, and nothing says which is which")
    named = dict(zip(names, values, strict=True))
    reader = {"llama-bench": _llama_bench, "llama-batched-bench": _batched, "scoreboard": _board}[kind]
    return reader(named, about, line)


def _llama_bench(named: Mapping[str, str], about: Mapping[str, str], line: int) -> list[ForeignRow]:
    n_prompt, n_gen, n_depth = test(named["test"])
    value, deviation = rate(named["t/s"])
    return [
        ForeignRow(
            program="llama-bench",
            form="markdown",
            line=line,
            model=text_of(named["model"]),
            device=text_of(about.get("device", "")),
            backend=text_of(named.get("backend", "")),
            metric=metric(n_prompt, n_gen),
            n_prompt=n_prompt,
            n_gen=n_gen,
            n_depth=n_depth,
            tokens_per_s=value,
            deviation=deviation,
            size_bytes=size(named.get("size", "")),
            n_params=size(named.get("params", "")),
            params={PARAMETERS.get(k, k): text_of(v) for k, v in named.items() if k not in _FIELDS},
            raw=texts(named),
        )
    ]


def _batched(named: Mapping[str, str], about: Mapping[str, str], line: int) -> list[ForeignRow]:
    prompt, gen, parallel = (tokens(named[name]) for name in ("pp", "tg", "b"))
    shared = {name: text_of(value) for name, value in about.items() if name not in {"device", "model"}}
    rows = []
    for kind, column, n_prompt, n_gen, depth in (
        ("pp", "s_pp t/s", prompt, 0, 0),
        ("tg", "s_tg t/s", 0, gen, prompt),
    ):
        if n_prompt or n_gen:
            value, _ = rate(named[column])
            rows.append(
                ForeignRow(
                    program="llama-batched-bench",
                    form="markdown",
                    line=line,
                    model=text_of(about.get("model", "")),
                    device=text_of(about.get("device", "")),
                    metric=kind,
                    n_prompt=n_prompt,
                    n_gen=n_gen,
                    n_depth=depth,
                    parallel=max(1, parallel),
                    tokens_per_s=value,
                    params=shared,
                    raw=texts(named),
                )
            )
    return rows


def _board(named: Mapping[str, str], about: Mapping[str, str], line: int) -> list[ForeignRow]:
    device = next(named[name] for name in _DEVICES if name in named)
    flash = next((named[name] for name in ("fa", "flash attention") if name in named), "")
    rows = []
    for name, text in named.items():
        match = _BOARD_RATE.fullmatch(name)
        if match is None or text in {"", "-", "—", "?"}:
            continue
        value, deviation = rate(text)
        count = tokens(match[2])
        rows.append(
            ForeignRow(
                program="scoreboard",
                form="markdown",
                line=line,
                model=text_of(named.get("model") or about.get("model") or BOARD_MODEL),
                device=text_of(device),
                backend=text_of(named.get("backend") or ""),
                metric=match[1].casefold(),
                n_prompt=count if match[1].casefold() == "pp" else 0,
                n_gen=count if match[1].casefold() == "tg" else 0,
                tokens_per_s=value,
                deviation=deviation,
                build_commit=text_of(named.get("commit") or "")[:64],
                params={"flash_attn": text_of(flash)} if flash else {},
                raw=texts(named),
            )
        )
    if not rows:
        raise FieldError("a line of a scoreboard without a rate")
    return rows
