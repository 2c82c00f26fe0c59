"""`invoke compare`: two reports, or the arms inside one, with verdicts, as a table or JSON; and a gate for CI."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.console import Console

from harness.analysis.arms import (
    FIELDS,
    Arms,
    arms_by,
    control_arms,
    counterparts,
    differing,
    labelled_arms,
    without_counterpart,
)
from harness.analysis.comparisons import Compared, Limit, compare_all, hold_against
from harness.analysis.results import MachineResults, read_results
from harness.errors import InputError, SlowerError, UndecidedError
from harness.flows.compare_words import as_json, as_table
from harness.flows.console import Display
from harness.flows.two_arms import TwoArms, meant, measure_two_arms
from harness.flows.workspace import Workspace, find_workspace

MOST_REPORTS = 2
SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareRequest:
    """What the user asked for.

    Attributes:
        reports: one (its arms are compared) or two: folders, names under `reports/`, or files of records.
        by: the field in which the arms of one report differ; empty for its labels.
        fail_if_slower: the largest slowdown that is accepted, as a share; None to accept any.
    """

    reports: tuple[str, ...]
    by: str = ""
    as_json: bool = False
    fail_if_slower: float | None = None


def read_limit(text: str, *, option: str = "--fail-if-slower") -> float | None:
    """A share from `3%`; None where the option was not given.

    Raises:
        InputError: it is no percentage below 100.
    """
    if not text:
        return None
    match = re.fullmatch(r"([0-9]{1,2}(?:\.[0-9]{1,3})?) ?%?", text.strip())
    if not match:
        raise InputError(f"{text!r} is no percentage", where=option, remedy="Write it like 3%.")
    return float(match[1]) / 100


def compare_command(request: CompareRequest, arms: TwoArms) -> None:
    """Compare reports; where two arms are given, measure them first.

    Raises:
        BenchError: as `measure_two_arms` and `compare_reports`; single cells that failed are told last.
    """
    if not arms.asked:
        compare_reports(request)
        return
    if request.reports or request.by:
        raise InputError(
            "things to measure and reports to read were both given",
            where="--report" if request.reports else "--by",
            remedy="Leave one of them out.",
        )
    # With --json, standard output holds nothing but JSON.
    progress = Display(stream=Console(stderr=True, highlight=False, soft_wrap=True)) if request.as_json else Display()
    name, failed = measure_two_arms(arms, display=progress)
    compare_reports(replace(request, reports=(name,)))
    if failed is not None:
        raise failed


def compare_reports(
    request: CompareRequest, *, workspace: Workspace | None = None, display: Display | None = None
) -> tuple[Compared, ...]:
    """Compare and show what came out.

    Raises:
        InputError: no such report, no such field, or nothing in it that can be compared.
        SlowerError: a slowdown by more than the limit is shown.
        UndecidedError: such a slowdown is neither shown nor ruled out, in some comparison or because there is none.
    """
    workspace, display = workspace or find_workspace(), display or Display()
    if not 1 <= len(request.reports) <= MOST_REPORTS:
        raise InputError(
            f"{len(request.reports)} reports were named",
            where="--report",
            remedy="Name one, to compare the arms inside it, or two.",
        )
    read = [_read(name, workspace) for name in request.reports]
    arms, alone = (_inside(read[0], request), ()) if len(read) == 1 else _between(read[0], read[1], request)
    compared = compare_all(arms)
    limit = None if request.fail_if_slower is None else hold_against(compared, request.fail_if_slower)
    if request.as_json:
        data = as_json(compared, limit=limit, accepted=request.fail_if_slower)
        display.say(json.dumps(data, indent=1, ensure_ascii=False))
    else:
        for line in as_table(compared):
            display.say(line)
        if alone:
            display.say(f"In one of the two only, and left out: {_some(alone)}")
    if limit is not None:
        _gate(limit, request.fail_if_slower or 0.0, len(compared))
    if all(each.arms.refused for each in compared):
        raise InputError(
            f"nothing here can be compared: {compared[0].why_none}",
            where=" and ".join(request.reports),
            remedy="docs/measurement.md says what has to be equal. A field that is meant to differ is named by --by.",
        )
    return compared


def _read(name: str, workspace: Workspace) -> tuple[MachineResults, ...]:
    path = workspace.cwd / name
    own = workspace.reports / name
    # What comes from a fake lies in a folder of its own, and is read where there is nothing else.
    folders = (path, own, path / "simulated", own / "simulated")
    if path.suffix == ".jsonl" and path.parent.name == "records":
        folder, machine = path.parent.parent, path.stem
    else:
        found = next((folder for folder in folders if (folder / "records").is_dir()), None)
        if found is None:
            raise InputError(
                "there is no such report",
                where=f"--report {name}",
                remedy="Name a folder with `records` in it, a name under reports/, or a file of records.",
            )
        folder, machine = found, ""
    results = read_results(folder, simulated=folder.name == "simulated")
    return tuple(result for result in results if machine in {"", result.machine.machine})


def _inside(machines: Sequence[MachineResults], request: CompareRequest) -> tuple[Arms, ...]:
    if request.by:
        if request.by not in FIELDS:
            hint = meant(request.by, FIELDS)
            raise InputError(f"{request.by!r} is no field{hint}", where="--by", remedy=f"One of {', '.join(FIELDS)}.")
        arms = [found for machine in machines for found in arms_by(machine, request.by)]
    else:
        arms = [found for machine in machines for found in (*labelled_arms(machine), *control_arms(machine))]
    if not arms:
        fields = dict.fromkeys(
            name for m in machines for a in m.cells for b in m.cells for name in differing(a, b) if name in FIELDS
        )
        if request.by:
            what = f"no two cells differ in {request.by} only"
        else:
            what = "no cells with labels, which would be its arms"
        hint = f" Its cells differ in {', '.join(fields)}: --by takes one of them." if fields else ""
        raise InputError(what, where=request.reports[0], remedy=f"Name a second report with --report.{hint}")
    return tuple(arms)


def _between(
    first: Sequence[MachineResults], second: Sequence[MachineResults], request: CompareRequest
) -> tuple[tuple[Arms, ...], tuple[str, ...]]:
    """The arms, and the ids of the cells that have no counterpart."""
    if request.by:
        raise InputError("is for the arms inside one report", where="--by", remedy="Name one report, or leave it out.")
    same = [(a, b) for a in first for b in second if a.machine.machine == b.machine.machine]
    pairs = same or ([(first[0], second[0])] if len(first) == len(second) == 1 else [])
    if not pairs:
        names = ["/".join(m.machine.machine for m in machines) for machines in (first, second)]
        raise InputError(
            f"no machine is in both, and it is not clear which is meant: {names[0]} and {names[1]}",
            where=" and ".join(request.reports),
            remedy="Name files of records instead, as --report reports/X/records/MACHINE.jsonl.",
        )
    arms = tuple(found for a, b in pairs for found in counterparts(a, b))
    if not arms:
        raise InputError(
            "not one test is in both", where=" and ".join(request.reports), remedy="`invoke plan` shows the cells."
        )
    return arms, tuple(found for a, b in pairs for found in without_counterpart(a, b))


def _some(names: Sequence[str]) -> str:
    """The first few of them, and how many there are."""
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _gate(limit: Limit, accepted: float, number: int) -> None:
    shown = f"{100 * accepted:.3g} %"
    if limit.slower:
        names = _some([each.arms.second.cell.id for each in limit.slower])
        raise SlowerError(f"{len(limit.slower)} of {number} are slower by more than {shown}: {names}")
    if limit.undecided:
        names = _some([each.arms.second.cell.id for each in limit.undecided])
        raise UndecidedError(
            f"{len(limit.undecided)} of {number} can neither be shown to be slower by more than {shown} nor be cleared "
            f"of it: {names}",
            remedy="Measure with more rounds (preset rigorous, or until), on a quieter machine, or accept more.",
        )
