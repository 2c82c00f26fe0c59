"""How often the intervals hold the truth, and how often a real difference is found: simulated, with the shipped code.

    python benchmarks/coverage.py [--experiments 2000] [--seed 1]

An experiment is what a campaign gives: in every round each of two arms has a run of five repetitions. A run is off by
its own share (standard deviation 1 %), its repetitions by another 0.5 % upwards only (half-normal: what disturbs makes
slower), and both arms of a round by something common. The run values and intervals are computed by `harness.stats`,
exactly as reports do. One core, about two minutes; the tables stand in docs/measurement.md.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median, stdev

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.stats import until
from harness.stats.holm import corrected
from harness.stats.intervals import median_interval, run_value
from harness.stats.paired import compare_paired, sign_interval
from harness.stats.students_t import two_sided_quantile
from harness.stats.trend import trend
from harness.stats.verdicts import Comparison, Verdict
from harness.stats.welch import compare_apart

RUN = 0.01
REPETITION = 0.005
COMMON = 0.01
REPETITIONS = 5
TOKENS = 128
NS = 1e9
Runs = list[tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What disturbs the arms. Shares; `rho` is the correlation of a run with the one before it."""

    name: str
    outliers: float = 0.0
    drift: float = 0.0
    common_rho: float = 0.0
    own_rho: float = 0.0
    heavy: bool = False
    run: float = RUN


NOISES = (
    Noise(name="normal"),
    Noise(name="1 run in 10 is 5 % slower", outliers=0.1),
    Noise(name="heavy tails (t with 3 degrees)", heavy=True),
    Noise(name="both arms drift by 5 %", drift=0.05),
    Noise(name="common part autocorrelated, 0.7", common_rho=0.7),
    Noise(name="own part autocorrelated, 0.3", own_rho=0.3),
    Noise(name="own part autocorrelated, 0.6", own_rho=0.6),
)


def _series(generator: np.random.Generator, count: int, rho: float, *, heavy: bool = False) -> np.ndarray:
    """Standardised noise, each value correlated with the one before it."""
    fresh = generator.standard_t(3, count) / math.sqrt(3) if heavy else generator.standard_normal(count)
    if not rho:
        return fresh
    found = np.empty(count)
    found[0] = fresh[0]
    for index in range(1, count):
        found[index] = rho * found[index - 1] + math.sqrt(1 - rho**2) * fresh[index]
    return found


def experiment(generator: np.random.Generator, noise: Noise, rounds: int, *, slower: float = 0.0) -> tuple[Runs, Runs]:
    """The samples in ns of two arms, the second slower by a share of its speed."""
    common = COMMON * _series(generator, rounds, noise.common_rho) + noise.drift * np.arange(rounds) / rounds
    arms = []
    for true in (0.0, -math.log1p(-slower)):
        own = noise.run * _series(generator, rounds, noise.own_rho, heavy=noise.heavy)
        own += 0.05 * (generator.random(rounds) < noise.outliers)
        within = REPETITION * np.abs(generator.standard_normal((rounds, REPETITIONS)))
        samples = NS * np.exp(true + common[:, None] + own[:, None] + within)
        arms.append([tuple(int(value) for value in run) for run in samples])
    return arms[0], arms[1]


def values(runs: Runs) -> list[float]:
    """As `harness.analysis.results` computes them."""
    return [run_value(samples, n_tokens=TOKENS) for samples in runs]


def pooled(first: Runs, second: Runs) -> bool:
    """Whether the usual way holds 1: all repetitions as if they were independent, Welch's t."""
    a, b = ([math.log(sample) for run in arm for sample in run[1:]] for arm in (first, second))
    error = math.sqrt(stdev(a) ** 2 / len(a) + stdev(b) ** 2 / len(b))
    return abs(fmean(a) - fmean(b)) <= two_sided_quantile(0.95, len(a) + len(b) - 2) * error


def holds(comparison: Comparison | None, ratio: float = 1.0) -> bool:
    """Whether the interval holds the true ratio."""
    assert comparison is not None
    return comparison.low <= ratio <= comparison.high


def share(found: list[bool]) -> str:
    """`94.9 %`."""
    return f"{100 * fmean(found):.1f} %"


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    print(f"\n**{title}**\n\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def true_median(generator: np.random.Generator, noise: Noise) -> float:
    """Of the run values of one arm, without drift, from many runs."""
    runs, _ = experiment(generator, replace(noise, drift=0.0), 20_000)
    return median(values(runs))


def coverage(generator: np.random.Generator, experiments: int) -> None:
    """A/A comparisons: intervals that hold 1. And of one arm: the order-statistic interval and the drift test."""
    rows = []
    for noise in NOISES:
        truth = true_median(generator, noise)
        for rounds in (6, 10, 20):
            found: dict[str, list[bool]] = {name: [] for name in ("t", "sign", "pooled", "median", "drift", "apart")}
            for _ in range(experiments):
                first, second = experiment(generator, noise, rounds)
                a, b = values(first), values(second)
                sign, middle, slope = sign_interval(a, b), median_interval(a), trend(a)
                assert sign is not None
                assert middle is not None
                assert slope is not None
                found["t"].append(holds(compare_paired(a, b)))
                found["apart"].append(holds(compare_apart(a, b)))
                found["sign"].append(sign.low <= 1 <= sign.high)
                found["pooled"].append(pooled(first, second))
                found["median"].append(middle.low <= truth <= middle.high)
                found["drift"].append(slope.drifts)
            kept = "-" if noise.drift else share(found["median"])
            shares = [share(found[name]) for name in ("t", "sign", "apart", "pooled")]
            rows.append([noise.name, str(rounds), *shares, kept, share(found["drift"])])
    columns = ["Noise", "Rounds", "paired t", "sign", "Welch, not paired", '"± over repetitions"']
    table("A thing against itself: the interval holds 1", [*columns, "median of one arm", "drift flagged"], rows)


def power(generator: np.random.Generator, experiments: int) -> None:
    """How often a slowdown is found, and with which sign; and what the smallest detectable effect says."""
    rows = []
    for noise in (NOISES[0], NOISES[1], NOISES[3]):
        for rounds, slower in ((6, 0.02), (10, 0.02), (10, 0.03), (10, 0.1), (20, 0.01)):
            verdicts, held, smallest = [], [], []
            for _ in range(experiments):
                first, second = experiment(generator, noise, rounds, slower=slower)
                comparison = compare_paired(values(first), values(second))
                assert comparison is not None
                # Inside the margin a difference is called equivalent, so what counts is the interval without 1.
                verdicts.append(comparison.high < 1)
                held.append(holds(comparison, 1 - slower))
                smallest.append(comparison.smallest_effect)
            row = [noise.name, str(rounds), f"{100 * slower:.0f} %", share(verdicts), share(held)]
            rows.append([*row, f"{100 * median(smallest):.1f} %"])
    columns = ["Noise", "Rounds", "Slower by", "found", "interval holds the true ratio"]
    table("A planted slowdown", [*columns, "smallest detectable effect (median)"], rows)


def words(generator: np.random.Generator, experiments: int) -> None:
    """Which verdicts equal things get."""
    rows = []
    for run in (0.002, 0.005, 0.01, 0.03):
        for rounds in (6, 10):
            noise = Noise(name="", run=run)
            seen = []
            for _ in range(experiments):
                first, second = experiment(generator, noise, rounds)
                comparison = compare_paired(values(first), values(second))
                assert comparison is not None
                seen.append(comparison.verdict)
            wrong = [verdict in {Verdict.FASTER, Verdict.SLOWER} for verdict in seen]
            kinds = (Verdict.EQUIVALENT, Verdict.NO_DIFFERENCE_SHOWN, Verdict.INCONCLUSIVE)
            counts = [share([verdict is kind for verdict in seen]) for kind in kinds]
            rows.append([f"{100 * run:.1f} %", str(rounds), *counts, share(wrong)])
    columns = ["Scatter of runs", "Rounds", "equivalent", "no difference shown", "inconclusive", "faster or slower"]
    table("What is said of equal things", columns, rows)


def stopping(generator: np.random.Generator, experiments: int) -> None:
    """`until` as shipped: a cell alone, and two arms that stop together and are then compared."""
    rows = []
    for noise in (NOISES[0], NOISES[1], NOISES[2], NOISES[5]):
        truth, log_truth = true_median(generator, noise), _log_mean(generator, noise)
        for goal in (0.01, 0.015, 0.02):
            found: dict[str, list[bool]] = {name: [] for name in ("t", "median", "ratio")}
            made = []
            for _ in range(experiments):
                first, second = (values(arm) for arm in experiment(generator, noise, until.LOOKS[-1]))
                series = [dict(enumerate(arm, start=1)) for arm in (first, second)]
                rounds = until.rounds_wanted(series, goal=goal)
                made.append(rounds)
                a, b = first[:rounds], second[:rounds]
                width = until.relative_half_width(a)
                middle = median_interval(a, confidence=until.CONFIDENCE)
                assert width is not None
                assert middle is not None
                found["t"].append(abs(fmean(math.log(v) for v in a) - log_truth) <= math.log1p(width))
                found["median"].append(middle.low <= truth <= middle.high)
                found["ratio"].append(holds(compare_paired(a, b, confidence=until.CONFIDENCE)))
            shares = [share(found[name]) for name in ("t", "median", "ratio")]
            rows.append([noise.name, f"{100 * goal:.1f} %", f"{fmean(made):.1f}", *shares])
    columns = ["Noise", "until", "Rounds (mean)", "t interval of the cell", "median interval of the cell"]
    table("`until` as shipped: the interval at the stop holds the truth", [*columns, "ratio of two arms"], rows)


def _log_mean(generator: np.random.Generator, noise: Noise) -> float:
    runs, _ = experiment(generator, noise, 20_000)
    return fmean(math.log(value) for value in values(runs))


def looks(generator: np.random.Generator, experiments: int) -> None:
    """The level of a look at which all four together miss in 5 of 100."""
    rows = []
    count = 200 * experiments
    noise = generator.standard_normal((count, until.LOOKS[-1]))
    for level in (0.05, 0.0204, until.LOOK_LEVEL, 0.0125):
        missed = np.zeros(count, dtype=bool)
        for look in until.LOOKS:
            seen = noise[:, :look]
            error = seen.std(axis=1, ddof=1) / math.sqrt(look)
            missed |= np.abs(seen.mean(axis=1)) > two_sided_quantile(1 - level, look - 1) * error
        rows.append([f"{level:.4f}", f"{100 * (1 - missed.mean()):.2f} %"])
    table(f"All four looks hold the truth ({count:,} experiments)", ["Level of each look", "together"], rows)


def families(generator: np.random.Generator, experiments: int) -> None:
    """Ten comparisons in one report, half of them of equal things: any false difference?"""
    rows: dict[str, list[bool]] = {"one by one": [], "Holm": []}
    found: dict[str, list[bool]] = {"one by one": [], "Holm": []}
    for _ in range(experiments):
        plain: list[Comparison | None] = []
        for index in range(10):
            first, second = experiment(generator, NOISES[0], 10, slower=0.03 * (index % 2))
            plain.append(compare_paired(values(first), values(second)))
        for name, seen in (("one by one", plain), ("Holm", list(corrected(plain)))):
            rows[name].append(any(not holds(c) for c in seen[::2]))
            found[name] += [not holds(c) for c in seen[1::2]]
    table(
        "Ten comparisons in one report, five of equal things, five 3 % slower, 10 rounds",
        ["Correction", "any false difference", "real ones found"],
        [[name, share(rows[name]), share(found[name])] for name in rows],
    )


PARTS: dict[str, Callable[[np.random.Generator, int], None]] = {
    "coverage": coverage,
    "power": power,
    "words": words,
    "stopping": stopping,
    "looks": looks,
    "families": families,
}


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=PARTS)
    options = parser.parse_args()
    for name, part in PARTS.items():
        if options.only in {None, name}:
            part(np.random.default_rng([options.seed, *name.encode()]), options.experiments)


if __name__ == "__main__":
    main()
