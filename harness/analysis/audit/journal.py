"""The journal and the records: nothing was recorded that was not announced, and nothing announced was taken out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.analysis.audit.findings import Finding
from harness.analysis.audit.lines import Line
from harness.formats.strict_json import JsonError, loads


def audit_journal(path: Path, lines: Sequence[Line]) -> list[Finding]:
    """What a machine's journal says about its records.

    A record that the journal does not have yet can only be the last: the program died between the two writes.
    """
    where = f"{path.parent.name}/{path.name}"
    try:
        *whole, torn = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return [Finding(where=where, what="is missing, so that it cannot be seen whether records were taken out")]
    except OSError as error:
        return [Finding(where=where, what=f"cannot be read: {error.strerror or error}")]
    findings, events = [], []
    for number, data in enumerate(whole, start=1):
        try:
            event = loads(data)
        except JsonError as error:
            findings.append(Finding(where=f"{where}, line {number}", what=str(error)))
            continue
        if not isinstance(event, dict) or not isinstance(event.get("event"), str):
            findings.append(Finding(where=f"{where}, line {number}", what="is no event"))
            continue
        events.append(event)
    if torn:
        findings.append(Finding(where=f"{where}, line {len(whole) + 1}", what="is not finished"))
    return findings + _against_records(where, events, lines)


def _against_records(where: str, events: Sequence[dict[str, Any]], lines: Sequence[Line]) -> list[Finding]:
    present = {line.record.id for line in lines if line.record}
    told = [event.get("record") for event in events if event["event"] == "recorded"]
    findings = [
        Finding(where=where, what=f"record {record} was written, and is not among the records")
        for record in dict.fromkeys(told)
        if record not in present
    ]
    created = {
        (event.get("run"), event.get("round"), event.get("attempt")) for event in events if event["event"] == "creating"
    }
    known = set(told)
    for line in lines:
        record = line.record
        if record is None:
            continue
        run = record.run
        if record.id not in known and line is not lines[-1]:
            findings.append(Finding(where=line.where, what=f"record {record.id} is not in the journal"))
        if record.argv and (run.key, run.round, run.attempt) not in created:
            what = f"no container was announced for round {run.round}, attempt {run.attempt} in the journal"
            findings.append(Finding(where=line.where, what=what))
    order = {record: place for place, record in enumerate(told)}
    places = [order[line.record.id] for line in lines if line.record and line.record.id in order]
    if places != sorted(places):
        findings.append(Finding(where=where, what="the records stand in another order than they were written in"))
    return findings
