"""What a publisher says openly about results that are otherwise not published."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What speaks against publishing. Each may be declared, with a reason that is then shown beside the results."""

    SIMULATED = "simulated"
    NO_CONTROL = "no-control"
    INCOMPLETE = "incomplete"
    SCREENING = "screening"
    UNCOMMITTED = "uncommitted"


TITLES = {
    Kind.SIMULATED: "Simulated results",
    Kind.NO_CONTROL: "No A/A control",
    Kind.INCOMPLETE: "Not finished",
    Kind.SCREENING: "Screening",
    Kind.UNCOMMITTED: "Harness with changes in no commit",
}
