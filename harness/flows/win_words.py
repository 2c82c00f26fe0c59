"""What was found of each quick win, as lines and as JSON, and the command that follows from it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.analysis.results import CellResult
from harness.flows.tables import columns
from harness.matrix.wins import Win
from harness.stats.digits import plain
from harness.stats.verdicts import Verdict, in_words
from harness.values.backend import BACKENDS
from harness.values.cell import PARAMETERS, Cell, ParameterValue, Test

if TYPE_CHECKING:
    from harness.flows.wins import Judged

SCHEMA = "llama-bench-harness/wins"
VERSION = 1
CONTEXT = 8192
"""Of the command that is shown: llama-server's own default is all that the model was made for."""


def is_shown(judged: Judged) -> bool:
    """Whether the claim holds here: what comes after is faster, and the interval says so."""
    found = judged.compared.comparison if judged.compared else None
    return found is not None and found.verdict is Verdict.FASTER


def is_harmful(judged: Judged) -> bool:
    """Whether what was claimed to be faster is shown to be slower."""
    found = judged.compared.comparison if judged.compared else None
    return found is not None and found.verdict is Verdict.SLOWER


def as_lines(base: Cell, judged: Sequence[Judged], quality: Sequence[CellResult], *, model: Path) -> Iterator[str]:
    """True wins first, then the claims that are not shown, what quantizations cost, and the command."""
    wins, others = [j for j in judged if is_shown(j)], [j for j in judged if not is_shown(j)]
    number = sum(j.compared is not None and j.compared.comparison is not None for j in judged)
    yield ""
    yield f"Quick wins for {base.model}, {BACKENDS[base.backend].title}: true here"
    yield columns(_HEAD, [_row(j) for j in wins]) if wins else "  none of those that were tried"
    if others:
        yield ""
        yield "Claimed, and not shown here"
        yield columns(_HEAD, [_row(j) for j in others])
    yield ""
    yield f"95 % intervals, paired t on the log ratios of common rounds; {number} comparisons, by Holm's procedure."
    if any(j.compared and j.compared.arms.first.simulated for j in judged):
        yield "Simulated: nothing here was measured."
    if quality:
        yield ""
        yield "What the smaller quantizations cost, against the largest"
        yield columns(("model", "KL divergence, nats", "same top token, %", "perplexity, ratio"), _costs(quality))
    yield ""
    if any(each.win.model for each in wins):
        yield "A smaller quantization is faster and worse: which one to take is yours to say, so -m stays the base."
    yield "To use what is true here:"
    yield f"  {shlex.join(command(base, judged, model=model))}"


_HEAD = ("win", "test", "before, tokens/s", "after, tokens/s", "is", "promised")


def _row(judged: Judged) -> tuple[str, ...]:
    win, compared = judged.win, judged.compared
    if compared is None:
        return (win.name, _test(win), "-", "-", judged.why_none[:100], win.claim)
    rates = (_rate(compared.arms.first), _rate(compared.arms.second))
    return (win.name, _test(win), *rates, in_words(compared.comparison, why_none=compared.why_none), win.claim)


def _test(win: Win) -> str:
    before, after = win.before.test, win.after.test
    return before.name if before == after else f"{before.name} to {after.name}"


def _rate(result: CellResult) -> str:
    return "-" if result.tokens_per_s is None else plain(result.tokens_per_s)


def _costs(quality: Sequence[CellResult]) -> list[tuple[str, ...]]:
    return [(result.cell.model, *(_figure(result, name) for name in _COSTS)) for result in quality]


_COSTS = ("kl_divergence", "same_top_percent", "perplexity_ratio")


def _figure(result: CellResult, name: str) -> str:
    value, error = result.metric(name), result.metric(f"{name}_error")
    if value is None:
        return "-"
    return f"{plain(value.median)} ± {plain(error.median, 2)}" if error else plain(value.median)


def settings(judged: Sequence[Judged]) -> dict[str, ParameterValue]:
    """What to set: of every win that is true somewhere and harmful nowhere; of several values the best one."""
    best: dict[str, tuple[float, Mapping[str, ParameterValue]]] = {}
    harmful = {frozenset(j.win.sets.items()) for j in judged if is_harmful(j)}
    for each in judged:
        sets = each.win.sets
        found = each.compared.comparison if each.compared else None
        if not sets or found is None or not is_shown(each) or frozenset(sets.items()) in harmful:
            continue
        # Several sizes of one thing exclude each other.
        name = next(iter(sets))
        if name not in best or found.ratio > best[name][0]:
            best[name] = (found.ratio, sets)
    return {name: value for _, sets in best.values() for name, value in sets.items()}


def command(base: Cell, judged: Sequence[Judged], *, model: Path) -> list[str]:
    """The llama-server command with the base's settings and what is true here."""
    params = {**base.params, **settings(judged)}
    argv = ["llama-server", "-m", str(model), "-c", str(CONTEXT)]
    for name, value in params.items():
        if name == "flash_attn":
            argv += ["-fa", {0: "off", 1: "on"}.get(value, "auto") if isinstance(value, int) else str(value)]
        elif name not in _LLAMA_BENCH_ONLY and not isinstance(value, bool):
            argv += [PARAMETERS[name].flag, str(value)]
    return argv + _drafting(judged)


def _drafting(judged: Sequence[Judged]) -> list[str]:
    """The options of speculative decoding, spelled as the measured build wants them; none where it is not shown."""
    found = next((each for each in judged if each.win.draft and is_shown(each)), None)
    if found is None or found.compared is None:
        return []
    measured = found.compared.arms.second.argv
    kind = measured.index("--spec-type") if "--spec-type" in measured else len(measured)
    return ["-md", f"{found.win.draft}.gguf", *measured[kind : kind + 2]]


_LLAMA_BENCH_ONLY = {"embeddings", "repack", "no_kv_offload", "no_op_offload", "no_host", "power_limit_w"}
"""Switches, or not of the server."""


def as_json(base: Cell, judged: Sequence[Judged], quality: Sequence[CellResult]) -> dict[str, Any]:
    """Everything, with ratios of speeds (after over before) as numbers."""
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "backend": base.backend,
        "model": base.model,
        "wins": [_entry(each) for each in judged],
        "quality": [
            {"model": r.cell.model, "against": r.cell.test.against, **{m.metric.name: m.median for m in r.metrics}}
            for r in quality
        ],
        "set": settings(judged),
    }


def _entry(judged: Judged) -> dict[str, Any]:
    win, compared = judged.win, judged.compared
    found = compared.comparison if compared else None
    return {
        "name": win.name,
        "claim": win.claim,
        "before": _side(win.before.model, win.before.test, win.before.params),
        "after": _side(win.after.model, win.after.test, win.after.params),
        "true_here": is_shown(judged),
        "words": in_words(found, why_none=judged.why_none or (compared.why_none if compared else "")),
        "ratio": found.ratio if found else None,
        "low": found.low if found else None,
        "high": found.high if found else None,
        "rounds": found.rounds if found else None,
        "simulated": bool(compared and compared.arms.first.simulated),
    }


def _side(model: str, test: Test, params: Mapping[str, ParameterValue]) -> dict[str, Any]:
    return {"model": model, "test": test.name, "params": dict(params)}
