"""Rows of the results table that may be put in an order, what else differs among them, and what vouches for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.stats.paired import compare_paired
from harness.stats.verdicts import Verdict
from harness.values.result_row import ResultRow, Trust

DISCLOSED = ("build_number", "build_commit", "driver", "image_id", "power_limit_w", "engine", "kernel")
"""Columns that may differ within a group: where they do, a report says so."""
DISCLOSED_PARAMETERS = ("n_batch", "n_ubatch", "n_threads", "load_mode")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The rows with one comparability key.

    Attributes:
        id: as in `ResultRow.group`. key: its fields by name.
        ranked: the rows that may be ranked, the best first; of controls every arm.
        unranked: the others, each with its `why_not`.
        differs: columns, parameters and variables whose values differ among the ranked rows, with these values.
        machines: how many there are among the ranked rows: a machine counts as one.
        controls: pairs of ranked rows that differ in their label only; controls_equal: those that show no difference.
        reproduced, not_reproduced: attempts of others on the ranked rows.
    """

    id: str
    ranked: tuple[ResultRow, ...]
    unranked: tuple[ResultRow, ...]
    differs: tuple[tuple[str, tuple[str, ...]], ...]
    machines: int
    controls: int
    controls_equal: int
    reproduced: int
    not_reproduced: int

    @property
    def key(self) -> dict[str, object]:
        """The fields of the comparability key by name."""
        rows = (*self.ranked, *self.unranked)
        return dict(rows[0].key)


def groups_of(rows: Iterable[ResultRow]) -> tuple[Group, ...]:
    """The measured rows by their comparability key, in the order in which the keys first appear."""
    found: dict[str, list[ResultRow]] = {}
    for row in rows:
        if row.trust is Trust.MEASURED:
            found.setdefault(row.group, []).append(row)
    return tuple(_group(id_, own) for id_, own in found.items())


def forbidding(first: Group, second: Group) -> tuple[str, ...]:
    """The names of the key's fields in which two groups differ: why their rows are not ranked together."""
    a, b = first.key, second.key
    return tuple(name for name in {**a, **b} if a.get(name) != b.get(name))


def _group(id_: str, rows: Sequence[ResultRow]) -> Group:
    best_first = sorted((r for r in rows if r.rankable), key=lambda r: -_goodness(r))
    pairs = controls(best_first)
    return Group(
        id=id_,
        ranked=tuple(best_first),
        unranked=tuple(row for row in rows if not row.rankable),
        differs=tuple((name, values) for name, values in _disclosures(best_first) if len(values) > 1),
        machines=len({row.machine for row in best_first}),
        controls=len(pairs),
        controls_equal=sum(_no_difference(*pair) for pair in pairs),
        reproduced=sum(row.reproduced for row in best_first),
        not_reproduced=sum(row.not_reproduced for row in best_first),
    )


def _goodness(row: ResultRow) -> float:
    value = row.value or 0.0
    return value if row.higher_is_better else -value


def _disclosures(rows: Sequence[ResultRow]) -> list[tuple[str, tuple[str, ...]]]:
    columns = [(name, [_text(getattr(row, name)) for row in rows]) for name in DISCLOSED]
    columns += [(name, [_text(row.params.get(name)) for row in rows]) for name in DISCLOSED_PARAMETERS]
    variables = sorted({name for row in rows for name in row.environment})
    columns += [(name, [row.environment.get(name, "unset") for row in rows]) for name in variables]
    return [(name, tuple(sorted(set(values)))) for name, values in columns]


def _text(value: object) -> str:
    return "unknown" if value in {None, ""} else str(value)


def controls(rows: Iterable[ResultRow]) -> list[tuple[ResultRow, ResultRow]]:
    """Each further row that differs from the first of its like in its label only, with that first one."""
    same: dict[object, list[ResultRow]] = {}
    for row in sorted(rows, key=lambda r: r.label):
        if row.label:
            setting = tuple(sorted((name, str(value)) for name, value in row.params.items()))
            like = (row.group, row.machine, row.metric, row.backend, row.image, row.device, setting)
            same.setdefault(like, []).append(row)
    return [(own[0], other) for own in same.values() for other in own[1:]]


def _no_difference(first: ResultRow, second: ResultRow) -> bool:
    pairs = [
        dict(zip(zip(r.run_rounds, r.run_sessions, strict=True), r.run_values_ns, strict=True)) for r in (first, second)
    ]
    common = sorted(pairs[0].keys() & pairs[1].keys())
    confidence = max(first.confidence, second.confidence)
    comparison = compare_paired(*([values[pair] for pair in common] for values in pairs), confidence=confidence)
    return comparison is not None and comparison.verdict in {Verdict.EQUIVALENT, Verdict.NO_DIFFERENCE_SHOWN}
