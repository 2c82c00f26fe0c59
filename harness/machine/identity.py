"""A name for the machine that is the same tomorrow and names nobody."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from harness.errors import InputError, MachineError
from harness.values.facts import Device

NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}$")
_KEY_BYTES = 32


def _slug(text: str) -> str:
    text = re.sub(r"\((r|tm)\)|®|™", "", text.lower())
    text = re.sub(r"\b(processor|cpu|with|radeon graphics|\d+-core)\b|@.*$", " ", text)
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-")[:40].strip("-")


def _key(path: Path) -> bytes:
    """The machine's own key, made on first use; a damaged one is replaced. It never leaves the machine."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            # Two harnesses that start together must not make two keys.
            fcntl.flock(file, fcntl.LOCK_EX)
            key = file.read()
            if len(key) != _KEY_BYTES:
                key = secrets.token_bytes(_KEY_BYTES)
                file.seek(0)
                file.truncate()
                file.write(key)
    except OSError as error:
        raise MachineError(
            f"cannot be read and written: {error.strerror}",
            where=str(path),
            remedy="Set XDG_STATE_HOME to a folder that can be written, or give the machine a name with --machine.",
        ) from error
    return key


def machine_name(*, cpu: str, cores: int, devices: tuple[Device, ...], state: Path, etc: Path = Path("/etc")) -> str:
    """Such as `amd-epyc-2c-1f3a9b`: what it is, and an HMAC of its machine id.

    Args:
        cpu: the processor's name. cores: its physical cores.
        devices: as discovered; the first real GPU gives the name where there is one.
        state: folder of the local key.
    """
    gpus = [device.name for device in devices if device.kind in {"gpu", "integrated"} and not device.problem]
    what = _slug(gpus[0]) if gpus else f"{_slug(cpu)}-{cores}c"
    try:
        identity = (etc / "machine-id").read_bytes().strip()
    except OSError:
        identity = b""
    digest = hmac.new(_key(state / "machine.key"), identity, hashlib.sha256).hexdigest()
    return f"{what}-{digest[:6]}"


def checked_name(name: str) -> str:
    """A name that the user gave to the machine, which becomes a file name.

    Raises:
        InputError: it has other than lower-case letters, digits, `.`, `_`, `-`, or is too long.
    """
    if not NAME.match(name):
        raise InputError(
            f"{name!r} cannot be a machine's name",
            where="--machine",
            remedy="Use up to 64 lower-case letters, digits, '.', '_' and '-', such as 'rtx4090-box'.",
        )
    return name
