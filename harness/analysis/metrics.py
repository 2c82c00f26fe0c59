"""What each measurement says of a run, by named metrics; and of a cell, as medians over its runs with their intervals.

A metric is computed from the raw values of one run, without those of its first repetition, and has one value a run:
requests within one run hang together. Units are those of tables: ms and tokens per second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from types import MappingProxyType

from harness.stats.intervals import Interval, median_interval, rate, run_value
from harness.values.cell import Cell
from harness.values.measurement import BATCHED, BENCH, CONTEXT, LATENCY, LOAD, QUALITY
from harness.values.record import Outcome

_MS_NS = 1e6
_S_NS = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number of a run.

    Attributes:
        name: with its unit, as in exports: `ttft_ms`.
        title: in tables.
        unit: `ms`, `tokens/s`, `perplexity`, ...
        higher_is_better: None where neither is.
        of: from a cell and its outcome in one run; None where the run does not tell.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool | None
    of: Callable[[Cell, Outcome], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricResult:
    """A metric of a cell: one value a counted run, their median, and its interval where there are enough."""

    metric: Metric
    values: tuple[float, ...]
    median: float
    interval: Interval | None


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all do not exceed.

    Raises:
        ValueError: there is no value, or the share is not above 0 and at most 1.
    """
    if not values or not 0 < share <= 1:
        raise ValueError(f"{len(values)} values have no quantile {share}")
    return sorted(values)[math.ceil(share * len(values)) - 1]


def _counted(outcome: Outcome, name: str) -> tuple[float, ...]:
    """The values of a series without those of the first repetition, where there is another."""
    values = tuple(float(value) for value in outcome.series.get(name, ()))
    repetitions = len(outcome.samples_ns)
    if repetitions < 2 or len(values) % repetitions:  # noqa: PLR2004 - the first and one more
        return values
    return values[len(values) // repetitions :]


def _median_ms(name: str) -> Callable[[Cell, Outcome], float | None]:
    def of(_cell: Cell, outcome: Outcome) -> float | None:
        values = _counted(outcome, name)
        return median(values) / _MS_NS if values else None

    return of


def _mean_of(name: str) -> Callable[[Cell, Outcome], float | None]:
    def of(_cell: Cell, outcome: Outcome) -> float | None:
        values = _counted(outcome, name)
        return fmean(values) if values else None

    return of


def _itl(share: float) -> Callable[[Cell, Outcome], float | None]:
    def of(_cell: Cell, outcome: Outcome) -> float | None:
        # Kept without those of the first repetition.
        values = outcome.series.get("itl_ns", ())
        return quantile(values, share) / _MS_NS if values else None

    return of


def _prompt_rate(cell: Cell, outcome: Outcome) -> float | None:
    values = _counted(outcome, "ttft_ns")
    return _S_NS * cell.test.n_prompt / median(values) if values else None


def _generation_rate(_cell: Cell, outcome: Outcome) -> float | None:
    times, counts = _counted(outcome, "generation_ns"), _counted(outcome, "generated_tokens")
    # The first token belongs to the prompt: n tokens have n - 1 steps.
    rates = [_S_NS * (count - 1) / ns for ns, count in zip(times, counts, strict=True) if ns > 0 and count > 1]
    return median(rates) if rates else None


def _throughput(cell: Cell, outcome: Outcome) -> float | None:
    walls = _counted(outcome, "all_requests_ns")
    return _S_NS * cell.test.n_parallel * cell.test.n_gen / median(walls) if walls else None


def _accepted(_cell: Cell, outcome: Outcome) -> float | None:
    drafted, accepted = (sum(_counted(outcome, f"server_{name}")) for name in ("draft_n", "draft_n_accepted"))
    return 100 * accepted / drafted if drafted else None


def _batch_rate(series: str, tokens: Callable[[Cell], int]) -> Callable[[Cell, Outcome], float | None]:
    def of(cell: Cell, outcome: Outcome) -> float | None:
        values = _counted(outcome, series)
        return _S_NS * tokens(cell) / median(values) if values else None

    return of


def _first(name: str) -> Callable[[Cell, Outcome], float | None]:
    def of(_cell: Cell, outcome: Outcome) -> float | None:
        values = outcome.series.get(name, ())
        return float(values[0]) if values else None

    return of


def _load(_cell: Cell, outcome: Outcome) -> float | None:
    values = outcome.series.get("load_ns", ())
    return values[0] / _MS_NS if values else None


def _bench_rate(cell: Cell, outcome: Outcome) -> float | None:
    return rate(run_value(outcome.samples_ns, n_tokens=cell.test.n_tokens)) if outcome.samples_ns else None


def _prompts(cell: Cell) -> int:
    return cell.test.n_prompt * cell.test.n_parallel


def _generated(cell: Cell) -> int:
    return cell.test.n_gen * cell.test.n_parallel


def _figure(name: str, title: str, unit: str, *, higher_is_better: bool) -> tuple[Metric, Metric]:
    """A figure that a program printed, and the standard error that it printed beside it."""
    error = f"{name}_error"
    return (
        Metric(name=name, title=title, unit=unit, higher_is_better=higher_is_better, of=_first(name)),
        Metric(name=error, title=f"{title}, error", unit=unit, higher_is_better=None, of=_first(error)),
    )


METRICS: Mapping[str, tuple[Metric, ...]] = MappingProxyType(
    {
        BENCH: (Metric(name="tokens_per_s", title="Tokens/s", unit="tokens/s", higher_is_better=True, of=_bench_rate),),
        CONTEXT: (
            Metric(
                name="context_tokens",
                title="Largest context",
                unit="tokens",
                higher_is_better=True,
                of=lambda cell, _outcome: float(cell.test.n_prompt),
            ),
            Metric(name="tokens_per_s", title="Prompt", unit="tokens/s", higher_is_better=True, of=_bench_rate),
        ),
        LATENCY: (
            Metric(
                name="ttft_ms",
                title="Time to first token",
                unit="ms",
                higher_is_better=False,
                of=_median_ms("ttft_ns"),
            ),
            Metric(name="itl_p50_ms", title="Between tokens, p50", unit="ms", higher_is_better=False, of=_itl(0.5)),
            Metric(name="itl_p95_ms", title="p95", unit="ms", higher_is_better=False, of=_itl(0.95)),
            Metric(name="itl_p99_ms", title="p99", unit="ms", higher_is_better=False, of=_itl(0.99)),
            Metric(
                name="client_prompt_tokens_per_s",
                title="Prompt, client",
                unit="tokens/s",
                higher_is_better=True,
                of=_prompt_rate,
            ),
            Metric(
                name="server_prompt_tokens_per_s",
                title="Prompt, server",
                unit="tokens/s",
                higher_is_better=True,
                of=_mean_of("server_prompt_per_second"),
            ),
            Metric(
                name="client_generation_tokens_per_s",
                title="Generation, client",
                unit="tokens/s",
                higher_is_better=True,
                of=_generation_rate,
            ),
            Metric(
                name="server_generation_tokens_per_s",
                title="Generation, server",
                unit="tokens/s",
                higher_is_better=True,
                of=_mean_of("server_predicted_per_second"),
            ),
            Metric(
                name="throughput_tokens_per_s",
                title="All requests",
                unit="tokens/s",
                higher_is_better=True,
                of=_throughput,
            ),
            Metric(
                name="draft_accepted_percent",
                title="Drafted and accepted, %",
                unit="percent",
                higher_is_better=True,
                of=_accepted,
            ),
            Metric(name="load_ms", title="Load", unit="ms", higher_is_better=False, of=_load),
        ),
        LOAD: (Metric(name="load_ms", title="Load", unit="ms", higher_is_better=False, of=_load),),
        BATCHED: (
            Metric(
                name="prompt_tokens_per_s",
                title="Prompts",
                unit="tokens/s",
                higher_is_better=True,
                of=_batch_rate("prompt_ns", _prompts),
            ),
            Metric(
                name="generation_tokens_per_s",
                title="Generation",
                unit="tokens/s",
                higher_is_better=True,
                of=_batch_rate("generation_ns", _generated),
            ),
        ),
        QUALITY: (
            *_figure("perplexity", "Perplexity", "perplexity", higher_is_better=False),
            *_figure("perplexity_ratio", "Ratio to the base's", "ratio", higher_is_better=False),
            *_figure("kl_divergence", "KL divergence", "nats", higher_is_better=False),
            *_figure("same_top_percent", "Same most likely token", "percent", higher_is_better=True),
        ),
    }
)
"""By the measurement's name, in the order of tables; the first stands for it."""


def run_metrics(cell: Cell, outcome: Outcome, ns_per_token: float | None = None) -> dict[str, float]:
    """What one run says of a cell, by the metric's name; without those that it does not tell.

    Args:
        ns_per_token: the value of the run, where it was computed before.
    """
    if ns_per_token is not None and cell.test.measurement == BENCH:
        return {METRICS[BENCH][0].name: rate(ns_per_token)}
    found = {metric.name: metric.of(cell, outcome) for metric in METRICS.get(cell.test.measurement, ())}
    return {name: value for name, value in found.items() if value is not None and math.isfinite(value)}


def metric_results(
    cell: Cell, by_run: Sequence[Mapping[str, float]], *, confidence: float, screening: bool
) -> tuple[MetricResult, ...]:
    """The metrics of a cell over its counted runs, those that every run tells."""
    found = []
    for metric in METRICS.get(cell.test.measurement, ()):
        values = tuple(run[metric.name] for run in by_run if metric.name in run)
        if not values or len(values) < len(by_run):
            continue
        interval = None if screening else median_interval(values, confidence=confidence)
        found.append(MetricResult(metric=metric, values=values, median=median(values), interval=interval))
    return tuple(found)
