"""A repository with one real report, the demo's, for the tests of sites; and ways to change its records knowingly."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.flows.workspace import CHECKOUT, Workspace
from harness.store.records import canonical
from harness.store.sessions import content_sha256


def repository(root: Path) -> Workspace:
    shutil.copytree(CHECKOUT / "reports/demo", root / "reports/demo", ignore=shutil.ignore_patterns(".lock"))
    return workspace(root)


def workspace(root: Path) -> Workspace:
    return Workspace(
        cwd=root,
        matrices=CHECKOUT / "matrices",
        images=CHECKOUT / "images",
        reports=root / "reports",
        cache=root / "cache",
        state=root / "state",
    )


def change(
    folder: Path,
    *,
    session: Callable[[dict[str, Any]], None] = lambda _: None,
    record: Callable[[dict[str, Any]], None] = lambda _: None,
) -> None:
    """Change the session and every record of a folder as the harness would have written them: all hashes fit."""
    (path,) = (folder / "sessions").glob("*.json")
    data = json.loads(path.read_text())
    session(data)
    data["content_sha256"] = content_sha256(data)
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    (records,) = (folder / "records").glob("*.jsonl")
    journal = folder / "journal" / records.name
    told, lines = journal.read_text(), []
    for line in records.read_bytes().splitlines():
        value = json.loads(line)
        old = value.pop("id")
        value["session_sha256"] = data["content_sha256"]
        record(value)
        value = {**value, "id": hashlib.sha256(canonical(value)).hexdigest()}
        told = told.replace(old, value["id"])
        lines.append(canonical(value))
    records.write_bytes(b"\n".join(lines) + b"\n")
    journal.write_text(told)


def add_start(folder: Path, number: int, *, slower: float, build: int = 11312) -> None:
    """One more start on a later day, with the same runs, every one of them slower by a factor."""
    path = min((folder / "sessions").glob("*.json"))
    data = json.loads(path.read_text())
    first, machine = data["id"], data["machine"]["machine"]
    data["id"] = f"2027{1 + number // 28:02d}{1 + number % 28:02d}T000000Z-{number:06x}"
    data["started_utc"] = f"2027-{1 + number // 28:02d}-{1 + number % 28:02d}T00:00:00Z"
    image = hashlib.sha256(str(build).encode()).hexdigest()
    for one in data["images"]:
        one["build_number"], one["id"] = build, f"sha256:{image}"
    data["content_sha256"] = content_sha256(data)
    new = path.with_name(f"{machine}-{data['id']}.json")
    new.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    records = folder / "records" / f"{machine}.jsonl"
    lines = []
    for line in records.read_bytes().splitlines():
        value = json.loads(line)
        if value["session"] != first:
            continue
        value.update(session=data["id"], session_sha256=data["content_sha256"], image=f"sha256:{image}")
        del value["id"]
        for outcome in value["outcomes"]:
            outcome["samples_ns"] = [round(ns * slower) for ns in outcome["samples_ns"]]
        lines.append(canonical({**value, "id": hashlib.sha256(canonical(value)).hexdigest()}))
    with records.open("ab") as file:
        file.write(b"\n".join(lines) + b"\n")
