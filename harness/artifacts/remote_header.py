"""The header of a model on the Hugging Face Hub, without its weights: read in ranges, and within bounds.

What answers is a stranger: only what was asked for is taken, however much it sends, and no more than `MOST_BYTES`
of one file in all.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

from harness.artifacts.fetch_huggingface import check_huggingface, refusal
from harness.errors import ArtifactError, InputError
from harness.formats.gguf import read_header_of
from harness.formats.gguf_header import GgufHeader
from harness.values.failure import Reason
from harness.values.matrix import ModelSource

FIRST_BYTES = 1 << 20
"""What is asked for at first; vocabularies of 32,000 tokens fit into it."""
MOST_BYTES = 128 << 20
"""Of one header: the largest known vocabularies take about 20 MiB."""
DEADLINE_S = 600.0
"""Of a header as a whole: a server that sends a byte now and then does not hold us for ever."""
_TIMEOUT_S = 20.0
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_PARTIAL = 206


def remote_header(source: ModelSource) -> GgufHeader:
    """The header of a file on the Hub; `HF_ENDPOINT` names another place than the Hub, `HF_TOKEN` is the reader's.

    Raises:
        InputError: no such names, or it is no GGUF that llama.cpp would load.
        ArtifactError: it cannot be had from there.
    """
    check_huggingface(source)
    # Imported late: the library takes a second to load and is needed only here.
    import huggingface_hub as hub  # noqa: PLC0415
    from huggingface_hub.utils._headers import build_hf_headers  # noqa: PLC0415

    url = hub.hf_hub_url(
        source.repo, source.filename, revision=source.revision or None, endpoint=os.environ.get("HF_ENDPOINT")
    )
    session, headers = hub.get_session(), build_hf_headers()
    ends = time.monotonic() + DEADLINE_S

    def fetch(begin: int, end: int) -> tuple[bytes, int]:
        if time.monotonic() > ends:
            raise _too_slow(source)
        wanted = {**headers, "Range": f"bytes={begin}-{end - 1}", "Accept-Encoding": "identity"}
        with session.stream("GET", url, headers=wanted, follow_redirects=True, timeout=_TIMEOUT_S) as answer:
            answer.raise_for_status()
            return _part(answer, begin, end, source, ends)

    try:
        file = RangedFile(fetch)
        name = PurePosixPath(source.filename).name
        return read_header_of(cast("BinaryIO", file), name=name, size=file.size)
    except (InputError, ArtifactError):
        raise
    except Exception as error:  # noqa: BLE001 - see below
        # The client's errors are of its own kinds; their texts can hold addresses that were signed for this user.
        raise refusal(source, error) from None


def repository_files(repo: str, *, revision: str = "") -> tuple[str, ...]:
    """The GGUF files of a repository on the Hub.

    Raises:
        ArtifactError: it cannot be had from there.
    """
    import huggingface_hub as hub  # noqa: PLC0415

    source = ModelSource(name=repo, kind="huggingface", repo=repo, revision=revision, filename="-")
    check_huggingface(source)
    try:
        files = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT")).list_repo_files(repo, revision=revision or None)
    except Exception as error:  # noqa: BLE001 - as above
        raise refusal(source, error) from None
    return tuple(sorted(file for file in files if file.endswith(".gguf")))


def _part(answer: Any, begin: int, end: int, source: ModelSource, ends: float) -> tuple[bytes, int]:
    """What was asked for of an answer, and the size of the whole file."""
    match = _RANGE.fullmatch(answer.headers.get("content-range", ""))
    if answer.status_code != _PARTIAL or match is None or int(match[1]) != begin:
        raise _no_ranges(source)
    wanted = min(end, int(match[2]) + 1, int(match[3])) - begin
    data = bytearray()
    for piece in answer.iter_bytes():
        data += piece
        if len(data) >= wanted:
            break
        if time.monotonic() > ends:
            raise _too_slow(source)
    if len(data) < wanted or wanted <= 0:
        raise _no_ranges(source)
    return bytes(data[:wanted]), int(match[3])


def _too_slow(source: ModelSource) -> ArtifactError:
    return ArtifactError(
        f"the header of {source.filename} did not come within {DEADLINE_S:.0f} s",
        reason=Reason.MODEL,
        where=f"model {source.name}",
        remedy="try again later, or fetch the file and name it",
    )


def _no_ranges(source: ModelSource) -> ArtifactError:
    return ArtifactError(
        f"the server does not give out parts of {source.filename} as it was asked to",
        reason=Reason.MODEL,
        where=f"model {source.name}",
        remedy="fetch the file, then name it",
    )


class RangedFile(io.RawIOBase):
    """A file elsewhere that is read from its beginning on, in parts that double.

    Args:
        fetch: bytes from a place up to another, at most, with the size of the whole.
    """

    def __init__(self, fetch: Callable[[int, int], tuple[bytes, int]]) -> None:
        self._fetch = fetch
        data, self.size = fetch(0, FIRST_BYTES)
        self._data = bytearray(data)
        self._at = 0

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; fewer at the end of the file only."""
        end = min(self._at + max(size, 0), self.size)
        while len(self._data) < end:
            self._more(end)
        found = bytes(self._data[self._at : end])
        self._at = end
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place; what lies before it is fetched when it is read."""
        self._at = offset + (self._at if whence == os.SEEK_CUR else 0)
        return self._at

    def _more(self, needed: int) -> None:
        have = len(self._data)
        end = min(max(2 * have, needed), self.size)
        if end > MOST_BYTES:
            raise InputError(
                f"its header is larger than {MOST_BYTES >> 20} MiB, as far as it was read",
                where="header",
                remedy="this is no model that is known; fetch the file if you trust it, then name it",
            )
        data, size = self._fetch(have, end)
        if size != self.size or not data:
            raise InputError(
                "the file changed while its header was read", where="header", remedy="start again; name a commit"
            )
        self._data += data
