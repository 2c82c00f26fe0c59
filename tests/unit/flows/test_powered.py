"""Runs under a power limit that was not in force to their end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from harness.flows.powered import powered
from harness.values.cell import POWER_LIMIT
from harness.values.failure import Failure, Phase, Reason

NOT_HELD = Failure(phase=Phase.PREPARE, reason=Reason.POWER_LIMIT, detail="250 W at the end, asked for 200 W")


@contextmanager
def during(*_: object) -> Iterator[Any]:
    yield lambda: NOT_HELD


def test_what_was_not_run_under_the_limit_leaves_neither_samples_nor_series(campaigning, pp) -> None:
    made = campaigning(cells=(pp(8),), rounds=0)
    made.go()
    (record,) = made.records
    record = replace(record, outcomes=(replace(record.outcomes[0], series={"ttft_ns": (1, 2)}),))
    cell = replace(made.cells[0], params={POWER_LIMIT: 200})
    setting: Any = SimpleNamespace(
        prepared=made.prepared, power=SimpleNamespace(during=during), journal=lambda _event, _fields: None
    )
    with powered(cell, setting) as checked:
        (outcome,) = checked(record).outcomes
    assert (outcome.samples_ns, outcome.series, outcome.failure) == ((), {}, NOT_HELD)
