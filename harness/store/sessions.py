"""A session: one start of the harness on one machine, with the facts that its records refer to, written once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.formats.strict_json import MAX_BYTES, MAX_DEPTH, JsonError, loads
from harness.store.codec import CodecError, decode, encode
from harness.store.files import write_whole
from harness.store.redaction import Redaction
from harness.store.structures import built, built_once, plain_json, read_indented, sorted_json
from harness.values.cell import Cell
from harness.values.facts import EngineFacts, ImageFacts, MachineFacts, ModelFacts
from harness.values.roof import Roof

SCHEMA = "llama-bench-harness/session"
VERSION = 1
_AROUND = ("schema", "version", "content_sha256")
"""Fields of a file that are none of the session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What was known before the first run of a start.

    Attributes:
        id: UTC time and a random part; sorts by time.
        only_stale: only what had become stale was run; the rest was kept.
        harness_python: version of Python. harness_lock_sha256: hash of `requirements.lock`, which names every package
            with its hash; None where it is not there.
        harness_source: commit of the harness, with `-dirty` where it was changed; None outside of git.
        command: what the user called.
        lock_sha256: of the lock file that images and models were pinned to; None where the matrix was run without one.
        preset, rounds, repetitions, seed, screening: of the matrix as it was then.
        cells: all that were planned, in the order of the matrix.
        keys: the key of the runs of each cell, by its id: records under another key are of another image, model,
            device or parameter.
        until: how narrow the intervals were to be, as a share; `rounds` is then the most. None for a fixed number.
        price_per_kwh: of electricity, in the user's currency; None where none was given.
        roofs: what the processor could do in a container at the start; empty in sessions from before it was measured.
    """

    id: str
    started_utc: str
    harness_version: str
    harness_source: str | None
    command: tuple[str, ...]
    matrix: str
    title: str
    notes: str
    matrix_sha256: str
    lock_sha256: str | None = None
    preset: str
    rounds: int
    repetitions: int
    screening: bool
    seed: int
    machine: MachineFacts
    engine: EngineFacts
    images: tuple[ImageFacts, ...]
    models: tuple[ModelFacts, ...]
    cells: tuple[Cell, ...]
    keys: Mapping[str, str]
    until: float | None = None
    only_stale: bool = False
    harness_python: str | None = None
    harness_lock_sha256: str | None = None
    roofs: tuple[Roof, ...] = ()
    price_per_kwh: float | None = None


def published(session: Session, *, home: Path | None = None) -> Session:
    """The session without what names a person or a single card: UUIDs, paths of the host, hosts of engines."""
    home = home or Path.home()
    devices = tuple(replace(device, uuid=None) for device in session.machine.devices)
    models = tuple(replace(model, path=Path(model.path.name)) for model in session.models)
    host = session.engine.host
    if host.startswith("unix://"):
        host = host.replace(str(home), "~") if str(home) != "/" else host
    else:
        host = host.partition("://")[0] + "://..."
    return replace(
        session,
        machine=replace(session.machine, devices=devices),
        models=models,
        engine=replace(session.engine, host=host),
        command=tuple(word.replace(str(home), "~") if str(home) != "/" else word for word in session.command),
    )


def session_path(folder: Path, machine: str, session: str) -> Path:
    """Where a session of a machine lies in the folder of a report."""
    return folder / "sessions" / f"{machine}-{session}.json"


def content_sha256(data: Mapping[str, object]) -> str:
    """The hash of a session's stored form: of its JSON without `content_sha256`, sorted and without spaces."""
    content = {key: value for key, value in data.items() if key != "content_sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def stored(session: Session, redaction: Redaction) -> dict[str, object]:
    """The stored form of a session, with its hash, which every record of it repeats."""
    data = {"schema": SCHEMA, "version": VERSION, **redaction.json(encode(published(session)))}
    return {**data, "content_sha256": content_sha256(data)}


def write_session(folder: Path, session: Session, redaction: Redaction | None = None) -> None:
    """Write a session, once.

    Raises:
        MachineError: it cannot be written.
    """
    data = stored(session, redaction or Redaction())
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(session_path(folder, session.machine.machine, session.id), text.encode() + b"\n")


def read_sessions(folder: Path) -> dict[str, Session]:
    """All sessions of a report's folder by their id, oldest first.

    Raises:
        InputError: a file there is no session of this program.
    """
    found = {}
    for path in sorted((folder / "sessions").glob("*.json")):
        session = read_session(path)
        found[session.id] = session
    # Ids have whole seconds, and two starts can lie within one.
    return dict(sorted(found.items(), key=lambda item: (item[1].started_utc, item[0])))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """A session as it lies in a file.

    Attributes:
        data: the file's content as this program writes it, whoever wrote it.
        sha256: of its content: what the file says, which holds, or of an older one what it would say.
    """

    session: Session
    data: bytes
    sha256: str


def read_session(path: Path) -> Session:
    """One session.

    Raises:
        InputError: it is no session of this program, or was changed.
    """
    return read_stored(path.read_bytes(), where=str(path)).session


def read_stored(data: bytes, *, where: str) -> StoredSession:
    """The session of a file with this content.

    Args:
        where: what errors call the file.

    Raises:
        InputError: it is no session of this program, or was changed.
    """
    try:
        value = read_indented(data, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
        if value is None:
            value = loads(data)
            data = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        return StoredSession(session=_session(value), data=data, sha256=_own_sha256(value))
    except (JsonError, CodecError) as error:
        raise InputError(
            str(error), where=where, remedy="Restore the file from where it was copied from, or remove it."
        ) from error


def _session(value: Any) -> Session:
    """Of its JSON.

    Raises:
        CodecError: it is none, or its hash does not hold.
    """
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise CodecError("this is no session of this program")
    if (version := value.get("version")) != VERSION:
        raise CodecError(f"session version {version!r} is not {VERSION}: update the harness")
    content = {name: each for name, each in value.items() if name not in _AROUND}
    session = _built(content) or decode(Session, content)
    given = value.get("content_sha256")
    if given is not None and not _hash_holds({"schema": SCHEMA, "version": version, **content}, given):
        raise CodecError("its content is not what its hash says: it was changed")
    return session


def _own_sha256(value: Mapping[str, Any]) -> str:
    """The hash that the JSON of a session has; of one from before there was one, computed."""
    given = value.get("content_sha256")
    return content_sha256(value) if given is None else str(given)


def _built(data: dict[str, Any]) -> Session | None:
    """The session; its cells are one object in all sessions that plan the same."""
    cells = built_once(tuple[Cell, ...], plain_json(data.get("cells")))
    found = built(Session, {**data, "cells": []}) if cells is not None else None
    return replace(found, cells=cells) if found is not None else None


def _hash_holds(content: Mapping[str, object], given: object) -> bool:
    # What is the same content is the same text in every writer, but for numbers at the edge and lone surrogates.
    return hashlib.sha256(sorted_json(content)).hexdigest() == given or content_sha256(content) == given
