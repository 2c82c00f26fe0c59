"""The answer, before everything else: which is fastest at what, by how much, and how sure that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import comb

from harness.analysis.conditions import differing
from harness.analysis.standings import Standing, standings
from harness.report import naming
from harness.report.data import ReportData
from harness.stats.digits import with_interval
from harness.stats.verdicts import AS_FAST, Verdict, in_words
from harness.values.block import Block, Heading, Note, Paragraph, Table

MOST_ROWS = 16
_PAIRS = {1: "the one pair", 2: "both pairs"}
_TITLES = {"pp": "Prompt processing", "tg": "Text generation", "pg": "Both together"}
COLUMNS = ("Model", "Test", "Fastest", "Tokens/s (95 % interval)", "Next", "The fastest is", "Compared")
ALIGN = ("left", "left", "left", "right", "left", "left", "right")


def render(data: ReportData) -> tuple[Block, ...]:
    """A sentence for each kind of test, and a row for each group that may be ranked; empty where nothing may be."""
    found = standings(data.rows())
    if not found:
        return ()
    blocks: list[Block] = [Heading(level=2, text="In short")]
    contested = [standing for standing in found if standing.ahead is not None]
    blocks += [Paragraph(text=text) for kind in _TITLES if (text := _sentence(kind, contested))]
    if not contested:
        blocks.append(
            Paragraph(
                text="Nothing here competes: no two proven results share model, test and settings. What each did:"
            )
        )
    shown = _most_asked_for(contested or found)
    groups = naming.groups([standing.first[1] for standing in shown])
    rows = tuple(_row(standing, group) for standing, group in zip(shown, groups, strict=True))
    if contested:
        blocks.append(Table(columns=COLUMNS, rows=rows, align=ALIGN))
        pairs = sum(comb(len(standing.rows), 2) for standing in contested)
        left = len(contested) - len(shown)
        more = f" {left} further groups are in the tables below." if left else ""
        blocks.append(
            Paragraph(
                text="Only results with the same weights, test and settings stand against each other, and a machine "
                "counts as one: nothing is said of others of its kind. The difference is one of averages over rounds, "
                "on a logarithmic scale, so it is not quite the ratio of the medians; its interval is wide enough for "
                f"{_PAIRS.get(pairs, f'all {pairs} pairs')} of this report to hold "
                f"{'together ' if pairs > 1 else ''}with 95 %. Compared: how many results stood against each "
                f"other.{more}"
            )
        )
        blocks += _reservations(shown)
    else:
        columns = tuple(column for column in COLUMNS if column not in {"Next", "The fastest is", "Compared"})
        columns = tuple("Result" if column == "Fastest" else column for column in columns)
        # Each stands alone, so what tells a row from the others is not among its own group's names.
        called = naming.names([standing.first for standing in shown])
        tests = [standing.first[1].cell.test.name for standing in shown]
        named = tuple((row[0], test, name, row[3]) for row, test, name in zip(rows, tests, called, strict=True))
        blocks.append(Table(columns=columns, rows=named, align=ALIGN[:4]))
    return tuple(blocks)


def _most_asked_for(found: Sequence[Standing]) -> list[Standing]:
    """The largest groups without depth first, then kept in the matrix's order."""
    order = sorted(range(len(found)), key=lambda i: (found[i].first[1].cell.test.n_depth, -len(found[i].rows), i))
    return [found[index] for index in sorted(order[:MOST_ROWS])]


def _sentence(kind: str, contested: Sequence[Standing]) -> str:
    """Who is ahead how often in this kind of test: `Text generation: X is fastest in 4 of 6 groups (...)`."""
    mine = [standing for standing in contested if standing.first[1].cell.test.kind == kind]
    if not mine:
        return ""
    wins: Counter[str] = Counter()
    shares: dict[str, list[float]] = {}
    for standing in mine:
        comparison = standing.ahead.comparison if standing.ahead else None
        if comparison is not None and comparison.verdict is Verdict.FASTER:
            name = _called(standing)
            wins[name] += 1
            shares.setdefault(name, []).append(comparison.ratio)
    parts = [
        f"{name} is the fastest{f' in {number} of {len(mine)} groups' if len(mine) > 1 else ''}, {_range(shares[name])}"
        for name, number in wins.most_common()
    ]
    undecided = len(mine) - wins.total()
    if undecided:
        parts.append(f"in {undecided} no winner is shown")
    return f"{_TITLES[kind]}: {'; '.join(parts)}."


def _called(standing: Standing) -> str:
    """Device and backend of the first; with what tells it from others of its group that are called so too."""
    called = [naming.contender(*row) for row in standing.rows]
    return called[0] if called.count(called[0]) == 1 else naming.names(standing.rows)[0]


def _range(ratios: Sequence[float]) -> str:
    if max(ratios) >= AS_FAST:
        low, high = (f"{value:.2f}" for value in (min(ratios), max(ratios)))
        return f"{low if low == high else f'{low} to {high}'} times as fast as the next"
    low, high = (f"{100 * (value - 1):.1f}" for value in (min(ratios), max(ratios)))
    return f"by {low if low == high else f'{low} to {high}'} % over the next"


def _reservations(shown: Sequence[Standing]) -> list[Block]:
    """What else than the device may be behind a difference, and what moved while it was measured."""
    apart: dict[str, dict[str, None]] = {}
    drifting: list[str] = []
    for standing in shown:
        for title, values in differing(standing.rows[:2]).items():
            apart.setdefault(title, {}).update(dict.fromkeys(values))
        called = naming.names(standing.rows)
        paired = standing.ahead is not None and standing.ahead.arms.paired
        for name, (_, result) in [] if paired else list(zip(called, standing.rows, strict=True))[:2]:
            if (drift := result.drift) is not None:
                test = result.cell.test.name
                drifting.append(f"{name}, {test} ({100 * drift.change:+.1f} % in the time for a token)")
    notes: list[Block] = []
    if apart:
        which = "; ".join(
            f"{title.lower() if title != 'CPU kernels' else title} ({', '.join(values)})"
            for title, values in apart.items()
        )
        text = (
            f"The fastest and the next differ in more than their device: {which}. Part of a difference may be theirs."
        )
        notes.append(Note(kind="warning", text=text))
    if drifting:
        text = (
            f"The speed moved from the first round to the last while this was measured: {'; '.join(drifting)}. "
            "Between machines nothing takes that out."
        )
        notes.append(Note(kind="warning", text=text))
    return notes


def _row(standing: Standing, group: str) -> tuple[str, ...]:
    result, rate = standing.first[1], standing.first[1].tokens_per_s or 0.0
    called = naming.names(standing.rows)
    ahead = standing.ahead
    return (
        naming.model(result),
        group.removeprefix(f"{naming.model(result)}, "),
        called[0],
        with_interval(rate, result.interval, why_none="too few rounds" if result.interval is None else ""),
        called[1] if ahead else "-",
        in_words(ahead.comparison, why_none=ahead.why_none) if ahead else "alone",
        str(len(standing.rows)),
    )
