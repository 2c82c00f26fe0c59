"""Which strategy a start follows: fixed rounds or `until`, within a budget or not, skipping what cannot fit."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from harness.errors import InputError
from harness.flows.prepare import Prepared
from harness.matrix.rounds import round_order
from harness.matrix.strategies import Strategy
from harness.matrix.strategies.budget import Budget
from harness.matrix.strategies.dominated import SkipDominated
from harness.matrix.strategies.max_context import MaxContext
from harness.matrix.strategies.rounds import Rounds, Wanted, fixed
from harness.matrix.strategies.until import Until
from harness.stats.until import LOOKS
from harness.values.cell import Cell
from harness.values.facts import ModelFacts
from harness.values.matrix import Matrix
from harness.values.measurement import CONTEXT
from harness.values.plan import Group

_BUDGET = re.compile(r"(?:(?P<h>[0-9]{1,4}) ?h)? ?(?:(?P<m>[0-9]{1,6}) ?m(?:in)?)? ?(?:(?P<s>[0-9]{1,8}) ?s)?")


RoundsBy = Callable[[tuple[Group, ...]], Wanted]
"""Makes the rule of how many rounds each group needs, once the groups are known."""


def read_budget(text: str) -> float | None:
    """Seconds from `30m`, `2h`, `1h30m` or `90s`; None where the option was not given.

    Raises:
        InputError: it is no time.
    """
    if not text:
        return None
    match = _BUDGET.fullmatch(text.strip())
    seconds = sum(int(match[unit] or 0) * each for unit, each in (("h", 3600), ("m", 60), ("s", 1))) if match else 0
    if not seconds:
        raise InputError(f"{text!r} is no time", where="--budget", remedy="Write it like 30m, 2h or 1h30m.")
    return float(seconds)


def read_price(text: str) -> float | None:
    """The price of a kilowatt-hour; None where the option was not given.

    Raises:
        InputError: it is no price.
    """
    if not text:
        return None
    try:
        price = float(text)
    except ValueError:
        price = 0.0
    if not 0 < price < float("inf"):
        raise InputError(f"{text!r} is no price", where="--price", remedy="Write it like 0.30, for a kilowatt-hour.")
    return price


def context_limits(cells: Iterable[Cell], prepared: Prepared) -> dict[str, int | None]:
    """Tokens that the model of each cell was trained for, by cell id; None where that is not known."""
    known = {name: m.context_length for name, m in prepared.models.items() if isinstance(m, ModelFacts)}
    return {cell.id: known.get(cell.model) for cell in cells}


def choose_strategy(
    groups: tuple[Group, ...],
    matrix: Matrix,
    *,
    budget_s: float | None,
    rounds_by: RoundsBy | None = None,
    limits: Mapping[str, int | None] | None = None,
) -> Strategy:
    """The strategy of a start. A budget counts from now.

    Args:
        rounds_by: how many rounds are made, where the caller knows better than the preset.
        limits: tokens that the model of a cell was trained for, by cell id, for searches for the largest context.
    """
    preset = matrix.preset
    wanted: Wanted = fixed(preset.rounds) if preset.until is None else Until(goal=preset.until, groups=groups)
    wanted = wanted if rounds_by is None else rounds_by(groups)
    if budget_s is not None:
        begin = time.monotonic()
        wanted = Budget(
            budget_s=budget_s,
            elapsed_s=lambda: time.monotonic() - begin,
            groups=groups,
            fewest=preset.rounds if preset.until is None else LOOKS[0],
            repetitions=preset.repetitions,
            most=None if preset.until is None else wanted,
        )

    def rest(groups: tuple[Group, ...]) -> Strategy:
        def order(round_: int) -> Sequence[int]:
            return round_order(len(groups), round_=round_, seed=matrix.seed)

        return SkipDominated(Rounds(groups=groups, order=order, wanted=wanted))

    searching = any(cell.test.measurement == CONTEXT for group in groups for cell in group.cells)
    return MaxContext(groups, limits=limits or {}, rest=rest) if searching else rest(groups)
