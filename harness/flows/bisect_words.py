"""What a bisection found: as lines, as a report in Markdown, and as JSON for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.flows.bisect_steps import Pair
from harness.matrix.strategies.bisection import Narrowed
from harness.stats.digits import plain
from harness.stats.sides import Side
from harness.stats.verdicts import in_words

SCHEMA = "llama-bench-harness/bisection"
VERSION = 1
SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The end of a bisection.

    Attributes:
        good, bad: as they were given.
        limit: a ratio of speeds to the good build's: what is below is slow.
        ends: the bad build against the good one.
        steps: candidates against the good build, in the order in which they were looked at.
        sides: what each turned out to be. skipped: why those are undecided that are.
        narrowed: the answer.
        change: the first slow build against the last fine one, where that is not the good one.
        asked: what was measured, for people.
    """

    good: int
    bad: int
    limit: float
    ends: Pair
    steps: tuple[Pair, ...]
    sides: Mapping[int, Side]
    skipped: Mapping[int, str]
    narrowed: Narrowed
    change: Pair | None
    confidence: float
    asked: str

    @property
    def at_the_change(self) -> Pair:
        """The first slow build against the last fine one."""
        if self.change is not None:
            return self.change
        return next((step for step in self.steps if step.candidate == self.narrowed.slow), self.ends)


def how_slow(pair: Pair) -> str:
    """`slower by 9.1 % (8.0 to 10.2), 8 rounds`, or why nothing can be said."""
    if pair.why_none:
        return pair.why_none
    return f"{in_words(pair.comparison)}, {pair.rounds} rounds"


def share(limit: float) -> str:
    """`4.7 %` for a ratio of 0.953."""
    return f"{100 * (1 - limit):.1f} %"


def last_words(found: Found) -> Iterator[str]:
    """The answer."""
    narrowed, pair = found.narrowed, found.at_the_change
    if narrowed.found:
        yield f"first slow build: b{narrowed.slow}. Against b{narrowed.fine}, the last fine one: {how_slow(pair)}"
    else:
        yield (
            f"the first slow build is one of b{narrowed.skipped[0]} to b{narrowed.slow}: b{narrowed.fine} is fine, "
            f"b{narrowed.slow} is slow, and what is between could not be judged ({len(narrowed.skipped)})"
        )
        for number in narrowed.skipped[:SHOWN]:
            yield f"  b{number}: {found.skipped.get(number, 'undecided')}"
        if len(narrowed.skipped) > SHOWN:
            yield f"  and {len(narrowed.skipped) - SHOWN} more"
        yield f"b{narrowed.slow} against b{narrowed.fine}: {how_slow(pair)}"
    if pair.comparison is not None and not pair.comparison.high < 1:
        yield (
            "That step alone is not shown to be a slowdown: it came in several, or not for good. "
            "Look at the steps, and bisect between them."
        )


def as_markdown(found: Found) -> str:
    """The report."""
    lines = [f"# Bisection: b{found.good} to b{found.bad}", "", f"Measured: {found.asked}.", ""]
    if found.ends.simulated:
        lines += ["**Simulated: nothing here was measured.**", ""]
    lines += [f"**{next(iter(last_words(found)))}**", "", *list(last_words(found))[1:], ""]
    lines += ["| Build | against | tokens/s | rounds | it is | and so |", "|---|---|---|---|---|---|"]
    pairs = [(found.ends, "bad, as given"), *((step, str(found.sides[step.candidate])) for step in found.steps)]
    pairs += [(found.change, "the change alone")] if found.change else []
    for pair, so in pairs:
        rates = " / ".join("-" if rate is None else plain(rate) for rate in reversed(pair.tokens_per_s))
        words = pair.why_none or in_words(pair.comparison)
        lines.append(f"| b{pair.candidate} | b{pair.base} | {rates} | {pair.rounds} | {_cell(words)} | {so} |")
    lines += [
        f"| b{number} | - | - | - | {_cell(why)} | skipped |"
        for number, why in found.skipped.items()
        if number not in {step.candidate for step in found.steps}
    ]
    how = (
        f"Slow is what is slower than b{found.good} by more than {share(found.limit)}, by its whole interval; fine is "
        "what certainly is not. Both builds of a step run in the same rounds, in random order. It is looked at after "
        f"8, 12, 16 and 20 rounds, each time by an interval of {100 * found.confidence:.2f} %: with all its looks and "
        "steps a whole search goes astray in at most 5 of 100."
    )
    return "\n".join([*lines, "", how, "", "Each step is a report of its own, in the folder of its name.", ""])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def as_json(found: Found) -> dict[str, Any]:
    """Everything, with ratios of speeds (the newer build over the older) as numbers."""
    narrowed = found.narrowed
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "good": found.good,
        "bad": found.bad,
        "limit": found.limit,
        "confidence": found.confidence,
        "first_slow": narrowed.slow if narrowed.found else None,
        "last_fine": narrowed.fine,
        "range": [*narrowed.skipped, narrowed.slow],
        "skipped": {f"b{number}": why for number, why in found.skipped.items()},
        "change": _pair(found.at_the_change),
        "ends": _pair(found.ends),
        "steps": [{**_pair(step), "side": str(found.sides[step.candidate])} for step in found.steps],
        "simulated": found.ends.simulated,
    }


def _pair(pair: Pair) -> dict[str, Any]:
    comparison = pair.comparison
    return {
        "base": pair.base,
        "candidate": pair.candidate,
        "rounds": pair.rounds,
        "ratio": comparison.ratio if comparison else None,
        "low": comparison.low if comparison else None,
        "high": comparison.high if comparison else None,
        "words": how_slow(pair),
        "tokens_per_s": list(pair.tokens_per_s),
    }
