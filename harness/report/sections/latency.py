"""What a person who waits for an answer sees: time to first token, time between tokens, and how long loading takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.analysis.comparability import proof_of
from harness.analysis.results import CellResult, MachineResults
from harness.report import words
from harness.report.data import ReportData
from harness.stats.digits import plain, with_interval
from harness.values.block import Block, Heading, Paragraph, Table
from harness.values.measurement import LATENCY, LOAD

_WAITING = ("ttft_ms", "itl_p50_ms", "itl_p95_ms", "itl_p99_ms")
_RATES = (
    "client_prompt_tokens_per_s",
    "server_prompt_tokens_per_s",
    "client_generation_tokens_per_s",
    "server_generation_tokens_per_s",
    "throughput_tokens_per_s",
    "draft_accepted_percent",
)
_Row = tuple[MachineResults, CellResult]
_Last = tuple[str, Callable[[MachineResults, CellResult], str]]


def render(data: ReportData) -> tuple[Block, ...]:
    """Waiting, rates as client, server and llama-bench see them, and loading; nothing where none was measured."""
    latency = [row for row in data.rows() if row[1].cell.test.measurement == LATENCY and row[1].runs]
    loading = [row for row in data.rows() if row[1].cell.test.measurement == LOAD and row[1].runs]
    blocks: list[Block] = []
    if latency:
        blocks += _latency(latency, data)
    if loading:
        blocks += _loading(loading, several=data.several)
    return tuple(blocks)


def _latency(rows: Sequence[_Row], data: ReportData) -> list[Block]:
    return [
        Heading(level=2, text="Latency"),
        _table(rows, _WAITING, several=data.several, last=("Proof", lambda _, c: str(proof_of(c)))),
        Paragraph(
            text="Milliseconds as a client of llama-server sees them: medians over rounds with their 95 % intervals. "
            "x4 means four requests at once, @d4096 a prefix of that length in the server's cache; else nothing is "
            "cached. The time to first token is that of the whole prompt. p95: 95 of 100 tokens came within this "
            "time after the one before."
        ),
        Heading(level=3, text="The same in tokens per second"),
        _table(rows, _RATES, several=data.several, last=("llama-bench", _bench)),
        Paragraph(
            text="Prompt: the client divides the prompt's tokens by the time to first token, which also holds the "
            "request, its reading and the first token; the server counts its own work only. Generation: the client "
            "counts from the first token to the last. llama-bench, where this report has the same test, neither "
            "samples tokens nor speaks HTTP. With several requests at once the rates are those of one of them."
            + _shares(rows)
        ),
    ]


def _shares(rows: Sequence[_Row]) -> str:
    """What is left of each rate from llama-bench to the server, and from there to its client, over all rows."""
    said = []
    for name, kind in (("prompt", "pp"), ("generation", "tg")):
        client, server = [], []
        for machine, result in rows:
            seen, own = (result.metric(f"{who}_{name}_tokens_per_s") for who in ("client", "server"))
            like = _same_in_bench(machine, result, kind)
            if seen and own:
                client.append(seen.median / own.median)
            if own and like and like.tokens_per_s and result.cell.test.n_parallel == 1:
                server.append(own.median / like.tokens_per_s)
        told = [f"the client saw {_range(client)} of the server's rate"] if client else []
        told += [f"the server reached {_range(server)} of llama-bench's"] if server else []
        said += [f"{name}: {', '.join(told)}"] * bool(told)
    return f" In these rows, by the medians: {'; '.join(said)}." if said else ""


def _range(shares: Sequence[float]) -> str:
    low, high = f"{100 * min(shares):.1f}", f"{100 * max(shares):.1f}"
    return f"{low} %" if low == high else f"{low} to {high} %"


def _bench(machine: MachineResults, result: CellResult) -> str:
    """The rates of llama-bench for the same setting, prompt and generation; a dash where it was not measured."""
    found = [
        f"{like.cell.test.name} {with_interval(like.tokens_per_s, like.interval)}"
        for kind in ("pp", "tg")
        if (like := _same_in_bench(machine, result, kind)) is not None and like.tokens_per_s is not None
    ]
    return ", ".join(found) or "-"


def _same_in_bench(machine: MachineResults, result: CellResult, kind: str) -> CellResult | None:
    """The cell of llama-bench with the same setting, depth, and number of tokens of this kind; None without one."""
    test = result.cell.test
    tokens = {"pp": (test.n_prompt, 0), "tg": (0, test.n_gen)}[kind]
    return next(
        (
            other
            for other in machine.cells
            if other.cell.test.kind == kind
            and (other.cell.test.n_prompt, other.cell.test.n_gen) == tokens
            and other.cell.test.n_depth == test.n_depth
            and not other.cell.test.sustained_s
            and not other.cell.label
            and (other.cell.backend, other.cell.image, other.cell.model, other.cell.device)
            == (result.cell.backend, result.cell.image, result.cell.model, result.cell.device)
            and dict(other.cell.params) == dict(result.cell.params)
            and other.tokens_per_s is not None
        ),
        None,
    )


def _loading(rows: Sequence[_Row], *, several: bool) -> list[Block]:
    return [
        Heading(level=2, text="Loading"),
        _table(rows, ("load_ms",), several=several, last=("Proof", lambda _, c: str(proof_of(c)))),
        Paragraph(
            text="Milliseconds from the start of the container until the server says that it is ready, its own warm-up "
            "included. Cold: the model's file was dropped from the page cache before, so it comes from the disk."
            + "".join(_from_disk(machine, result, rows) for machine, result in rows if result.cell.test.cold)
        ),
    ]


def _from_disk(machine: MachineResults, cold: CellResult, rows: Sequence[_Row]) -> str:
    """How much longer a cold start takes, and what that makes of the disk; empty without the same start warm."""
    like = replace(cold.cell, id="", test=replace(cold.cell.test, cold=False))
    warm = next((r for m, r in rows if m is machine and replace(r.cell, id="") == like), None)
    seconds = [(found.median / 1e3) for result in (cold, warm) if result and (found := result.metric("load_ms"))]
    if len(seconds) < 2 or cold.model is None:  # noqa: PLR2004 - cold and warm
        return ""
    longer = seconds[0] - seconds[1]
    size = f"{cold.model.title or cold.cell.model} ({words.size(cold.model.size_bytes)})"
    if longer <= 0:
        return f" {size}: cold is no slower than warm; what lies below the page cache has it in memory, or is as fast."
    rate = cold.model.size_bytes / longer / 1e9
    return f" {size}: cold takes {plain(longer)} s longer by the medians, as from a disk of {plain(rate)} GB/s."


def _table(rows: Sequence[_Row], names: Sequence[str], *, several: bool, last: _Last) -> Table:
    titles = {m.metric.name: m.metric.title for _, c in rows for m in c.metrics}
    shown = [name for name in names if name in titles]
    columns = ("Model", "Test", "Backend", "Device", "Parameters", *(titles[n] for n in shown), "Rounds", last[0])
    align = ("left",) * 5 + ("right",) * (len(shown) + 1) + ("left",)
    return Table(
        columns=("Machine", *columns) if several else columns,
        rows=tuple((*((m.machine.machine,) if several else ()), *_row(c, shown), last[1](m, c)) for m, c in rows),
        align=("left", *align) if several else align,
    )


def _row(result: CellResult, names: Sequence[str]) -> tuple[str, ...]:
    found = {m.metric.name: m for m in result.metrics}
    values = [with_interval(m.median, m.interval) if (m := found.get(name)) else "-" for name in names]
    return (
        result.model.title if result.model else result.cell.model,
        result.cell.test.name,
        words.backend(result.cell),
        result.device,
        words.parameters(result.cell),
        *values,
        str(len(result.runs)) + ("" if result.complete else f" of {result.rounds_planned}"),
    )
