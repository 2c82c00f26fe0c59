"""The ready matrices on a machine without any GPU: typed failures with remedies, nothing fetched, nothing started."""

import re
from typing import Any

import pytest

from harness.errors import CellsFailedError
from harness.values.failure import Phase, Reason

GPU_MATRICES = ["anchor", "arc-b580", "cross-vendor", "h100", "rtx4090", "rtx5090", "rx7900xtx", "strix-halo"]


@pytest.mark.parametrize("name", GPU_MATRICES)
def test_every_cell_fails_with_its_reason_and_what_to_do(harness: Any, name: str) -> None:
    with pytest.raises(CellsFailedError) as caught:
        harness.measure(f"{name}.yaml")
    assert caught.value.exit_code == 1
    shown = str(caught.value)
    assert re.search(r"^  \d+ cells: no_device: this machine has no device for ", shown, re.MULTILINE)
    assert re.search(r"^    -> .*install the card's driver", shown, re.MULTILINE)
    records = harness.records(name)
    failures = [outcome.failure for record in records for outcome in record.outcomes]
    assert failures
    for failure in failures:
        assert (failure.phase, failure.reason) == (Phase.PREPARE, Reason.NO_DEVICE)
        assert "this machine has no device for" in failure.detail
        assert failure.remedy
    assert harness.started == []
    assert harness.had == []
    report = (harness.workspace.reports / name / "report.md").read_text(encoding="utf-8")
    assert "no\\_device" in report or "no_device" in report
