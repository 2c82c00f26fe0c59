"""Signatures with SSH keys, by OpenSSH's own `ssh-keygen -Y`: whoever pushes with git has such a key already."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness.errors import CellsFailedError, InputError, MachineError

NAMESPACE = "llama-bench-harness"
"""Keeps a signature of ours from being passed off as one of something else, such as a commit."""
_SECONDS = 60


def sign(path: Path, key: Path) -> Path:
    """Sign a file; returns the signature's path, `NAME.sig` beside it.

    Args:
        key: a private key, or a public one whose private half an SSH agent holds. A passphrase is asked for by
            `ssh-keygen` itself, on the terminal.

    Raises:
        InputError: there is no such key, or it cannot sign. MachineError: OpenSSH is not there.
    """
    if not key.is_file():
        raise InputError("there is no such key", where=str(key), remedy="Name one such as ~/.ssh/id_ed25519.")
    signature = path.with_name(f"{path.name}.sig")
    signature.unlink(missing_ok=True)
    done = _call(["-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(path)], seconds=None)
    if done.returncode != 0 or not signature.is_file():
        raise InputError(
            f"does not sign: {_said(done)}", where=str(key), remedy="Try `ssh-keygen -Y sign` with it yourself."
        )
    return signature


def check_signature(path: Path, signature: Path, signers: Path) -> str:
    """Who of the allowed signers signed a file: the first of his names.

    Args:
        signers: a file as `ssh-keygen` describes it under ALLOWED SIGNERS: a name, and a public key, on each line.

    Raises:
        CellsFailedError: nobody of them did, or the file is another one. InputError: there is no such list.
        MachineError: OpenSSH is not there.
    """
    if not signers.is_file():
        raise InputError("there is no such list of signers", where=str(signers), remedy="See docs/publishing.md.")
    refused = CellsFailedError(
        "is not signed by anybody in the list of allowed signers",
        where=str(path),
        remedy="Trust none of it before you know why. Ask whoever published it for the key, over another way.",
    )
    found = _call(["-Y", "find-principals", "-s", str(signature), "-f", str(signers)])
    names = found.stdout.splitlines()
    if found.returncode != 0 or not names:
        raise refused
    arguments = ["-Y", "verify", "-f", str(signers), "-I", names[0], "-n", NAMESPACE, "-s", str(signature)]
    if _call(arguments, stdin=path).returncode != 0:
        raise refused
    return names[0]


def _call(
    arguments: list[str], *, stdin: Path | None = None, seconds: float | None = _SECONDS
) -> subprocess.CompletedProcess[str]:
    try:
        data = stdin.read_bytes() if stdin else None
        done = subprocess.run(["ssh-keygen", *arguments], input=data, capture_output=True, timeout=seconds, check=False)
    except FileNotFoundError:
        raise MachineError(
            "is not there", where="ssh-keygen", remedy="Install OpenSSH's client (Debian: openssh-client)."
        ) from None
    except subprocess.TimeoutExpired:
        raise MachineError("does not answer", where="ssh-keygen") from None
    out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def _said(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"it ended with {done.returncode}"
