"""Models from the Hugging Face Hub. What it says of a file is held against the promised hash before the download."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from harness.artifacts.disk_trouble import disk_trouble
from harness.artifacts.hashing import Progress, Say
from harness.artifacts.model_shelf import Place, require_space, unfinished
from harness.errors import ArtifactError, InputError
from harness.values.failure import Reason
from harness.values.matrix import ModelSource

_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FORBIDDEN = (401, 403)
_TIMEOUT_S = 20.0


def check_huggingface(source: ModelSource) -> None:
    """Refuse names that are none.

    Raises:
        InputError: repository, revision or file name cannot be on the Hub.
    """
    where = f"model {source.name}"
    if not _REPO.fullmatch(source.repo):
        raise InputError(f"repo {source.repo!r} is not `owner/name`", where=where, remedy="name it as the Hub does")
    if source.revision and (not _REVISION.fullmatch(source.revision) or ".." in source.revision):
        raise InputError(f"revision {source.revision!r} is none", where=where, remedy="give a commit, branch or tag")
    path = PurePosixPath(source.filename)
    if not source.filename or path.is_absolute() or ".." in path.parts or "\\" in source.filename:
        raise InputError(
            f"filename {source.filename!r} is not a path within the repository",
            where=where,
            remedy="give the file's path as the Hub shows it",
        )


def fetch_huggingface(source: ModelSource, place: Place, *, say: Say, progress: Progress) -> None:
    """Write the model to `place.partial`. An interrupted download is continued where the Hub allows it.

    A token is taken from `HF_TOKEN` or the Hub's own settings by its library and never shown.

    Raises:
        InputError: the Hub says that the file has another hash.
        ArtifactError: it is not there, not allowed, or the Hub cannot be reached.
        MachineError: no space is left.
    """
    # Imported late: the library takes a second to load and is needed only here.
    import huggingface_hub as hub  # noqa: PLC0415
    import huggingface_hub.errors as hub_errors  # noqa: PLC0415
    from huggingface_hub.utils.tqdm import tqdm as hub_bar  # noqa: PLC0415

    revision = source.revision or None
    size: int | None = None
    try:
        with disk_trouble(place.folder, where=f"model {source.name}"):
            url = hub.hf_hub_url(source.repo, source.filename, revision=revision)
            promised = hub.get_hf_file_metadata(url, timeout=_TIMEOUT_S)
            _compare(source, promised.etag)
            size = promised.size
            if size is not None:
                # What is there of an interrupted download takes its room already.
                kept = sum(path.lstat().st_size for path in unfinished(place))
                require_space(place.folder, max(0, size - kept), name=source.name)
        say(f"model {source.name}: fetching {source.filename} of {source.repo}")
        with disk_trouble(place.folder, where=f"model {source.name}", needed_bytes=size):
            fetched = hub.hf_hub_download(
                source.repo,
                source.filename,
                revision=revision,
                local_dir=place.scratch,
                tqdm_class=_bar(hub_bar, progress, f"fetching {PurePosixPath(source.filename).name}"),
            )
            Path(fetched).replace(place.partial)
            shutil.rmtree(place.scratch, ignore_errors=True)
    except (_transport_error(hub_errors), OSError, ValueError, RuntimeError) as error:
        # Its text can hold addresses that were signed for this user, so it is not passed on.
        raise refusal(source, error) from None


def _transport_error(hub_errors: Any) -> type[Exception]:
    """The base of what the library's HTTP client raises, whichever client it uses."""
    found: type[Exception] = hub_errors.HTTPError
    return found


def _compare(source: ModelSource, etag: str | None) -> None:
    """The Hub tags large files with their SHA-256 (small ones with a git hash of 40 digits, which tells nothing)."""
    if etag and _SHA256.fullmatch(etag) and etag != source.sha256:
        raise InputError(
            f"{source.filename} has SHA-256 {etag} on the Hub, not {source.sha256}",
            where=f"model {source.name}",
            remedy="check the hash and the revision; a branch such as main moves",
        )


def refusal(source: ModelSource, error: Exception) -> ArtifactError:
    """The error of the family for what the library or its HTTP client raised; no address of its text is passed on."""
    kind = type(error).__name__
    status = getattr(getattr(error, "response", None), "status_code", None)
    file = f"{source.filename} of {source.repo} at {source.revision or 'its default branch'}"
    if kind in ("GatedRepoError", "DisabledRepoError") or (status in _FORBIDDEN and kind != "RepositoryNotFoundError"):
        what = f"the Hub does not give out {file} without permission"
        remedy = "accept the licence on the model's page, then set HF_TOKEN to a token that may read it"
    elif kind in ("RepositoryNotFoundError", "RevisionNotFoundError", "RemoteEntryNotFoundError", "EntryNotFoundError"):
        # The Hub answers alike for what is private and what does not exist.
        what = f"the Hub knows no {file}, or does not show it to you"
        remedy = "check repo, revision and filename; for a private repository set HF_TOKEN"
    else:
        what = f"the Hub cannot be reached for {file} ({kind}{f', status {status}' if status else ''})"
        remedy = "check the network, then start again; what was fetched is kept"
    return ArtifactError(what, reason=Reason.MODEL, where=f"model {source.name}", remedy=remedy)


def _bar(base: Any, progress: Progress, what: str) -> Any:
    """A progress bar for the library that draws nothing and reports to `progress`."""

    class Reported(base):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            # A disabled bar does not count, so it counts and draws nowhere.
            self._nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - lives as long as the bar
            kwargs.update(file=self._nowhere, disable=False)
            super().__init__(*args, **kwargs)

        def update(self, n: float | None = 1) -> bool | None:
            shown: bool | None = super().update(n)
            progress(what, int(self.n), int(self.total) if self.total else None)
            return shown

        def close(self) -> None:
            super().close()
            self._nowhere.close()

    return Reported
