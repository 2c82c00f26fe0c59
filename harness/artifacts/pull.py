"""Images by reference: the one that is present, else pulled, with the registry's refusals told apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from harness.errors import ArtifactError, InputError
from harness.values.failure import Reason
from harness.values.protocols import ImageStore, ImageStoreError

ATTEMPTS = 3
FIRST_WAIT_S = 5.0
SILENCE_S = 120.0
LOCAL_PREFIX = "llama-bench-harness/"
"""Images with such names are made here and lie in no registry."""

_HOST = r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:[0-9]))(?::[0-9]+)?/"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<repository>(?:{_HOST})?{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An image reference in its parts, with a tag or a digest or both."""

    repository: str
    tag: str
    digest: str

    @property
    def pullable(self) -> str:
        """As an engine is asked for it: by digest where there is one, since the tag may have moved."""
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an image could not be pulled.

    Attributes:
        kind: `rate`, `auth`, `missing`, `platform`, `disk`, `certificate`, `server`, `network` or `other`.
        retry: whether it can be gone in a moment.
        what: for people. remedy: what they can do.
    """

    kind: str
    retry: bool
    what: str
    remedy: str


def parse_reference(text: str) -> Reference:
    """Take a reference apart.

    Raises:
        InputError: it is malformed, or names neither a tag nor a digest.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise InputError(f"{_what_is_wrong(text)}", where=f"image {text!r}", remedy=_EXAMPLE)
    if not match["tag"] and not match["digest"]:
        raise InputError("it names neither a tag nor a digest", where=f"image {text!r}", remedy=_EXAMPLE)
    return Reference(repository=match["repository"], tag=match["tag"] or "", digest=match["digest"] or "")


_EXAMPLE = (
    "write `repository:tag` or, to pin it, `repository@sha256:...`, such as `ghcr.io/ggml-org/llama.cpp:full-b9426`"
)


def _what_is_wrong(text: str) -> str:
    if not text or re.search(r"\s", text):
        return "an image reference is one word"
    if "://" in text:
        return "an image reference has no scheme such as https://"
    digest = text.partition("@")[2]
    if "@" in text and not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        return f"a digest is `sha256:` and 64 lower-case hex digits, not {digest!r}"
    if re.search(r"[A-Z]", text.partition("@")[0].rpartition(":")[0] or text):
        return "a repository is written in lower case"
    return "this is not an image reference"


def ensure_pulled(
    ref: str,
    *,
    digest: str = "",
    store: ImageStore,
    say: Callable[[str], None],
    progress: Callable[[str, int | None, int | None], None],
    sleep: Callable[[float], None],
) -> Mapping[str, object]:
    """The engine's description of the image, pulled where it is absent.

    Args:
        ref: reference with a tag or digest.
        digest: what a lock says that the reference is, whatever its tag means by now; empty without one.
        store: the engine's images.
        say: told each step, a line each.
        progress: told bytes done and in all while it is fetched.
        sleep: waits between attempts.

    Raises:
        InputError: the reference is malformed.
        ArtifactError: it cannot be had, or is not what its digest says.
    """
    reference = parse_reference(ref)
    reference = replace(reference, digest=digest or reference.digest)
    described = store.inspect(reference.pullable)
    if described is None:
        if reference.repository.startswith(LOCAL_PREFIX):
            raise ArtifactError(
                "there is no such image here, and images of this name are only made on the machine itself",
                reason=Reason.IMAGE,
                where=ref,
                remedy="name it with `build:` instead of `ref:`",
            )
        say(f"pulling {ref}")
        _pull(reference, ref, store=store, say=say, progress=progress, sleep=sleep)
        described = store.inspect(reference.pullable)
    if described is None:
        raise ArtifactError("the engine pulled it and does not have it", reason=Reason.IMAGE, where=ref)
    if reference.digest and not any(known.endswith(f"@{reference.digest}") for known in _digests(described)):
        raise ArtifactError(
            f"the engine has {', '.join(_digests(described)) or 'no digest'} under this name",
            reason=Reason.IMAGE,
            where=ref,
            remedy="remove that image and start again, so that it is pulled by its digest",
        )
    return described


def digest_of(described: Mapping[str, object], ref: str) -> str | None:
    """The repository digest under which a present image was pulled; None where it came from no registry."""
    reference = parse_reference(ref)
    name = _short(reference.repository)
    known = [digest for digest in _digests(described) if _short(digest.partition("@")[0]) == name]
    exact = [digest for digest in known if reference.digest and digest.endswith(reference.digest)]
    chosen = exact or known
    return chosen[0].partition("@")[2] if chosen else None


def _short(repository: str) -> str:
    """A repository without what Docker leaves out of its name and Podman writes into it."""
    return repository.removeprefix("docker.io/").removeprefix("library/")


def _digests(described: Mapping[str, object]) -> list[str]:
    found = described.get("RepoDigests")
    return [str(digest) for digest in found] if isinstance(found, list) else []


def _pull(
    reference: Reference,
    ref: str,
    *,
    store: ImageStore,
    say: Callable[[str], None],
    progress: Callable[[str, int | None, int | None], None],
    sleep: Callable[[float], None],
) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            store.pull(
                reference.pullable,
                idle_timeout_s=SILENCE_S,
                on_bytes=lambda done, total: progress(f"pulling {ref}", done, total),
            )
        except ImageStoreError as error:
            refusal = classify_refusal(error.text, error.status)
            if not refusal.retry or attempt == ATTEMPTS:
                tried = f" ({attempt} attempts)" if attempt > 1 else ""
                raise ArtifactError(
                    f"{refusal.what}{tried}: {_clean(error.text)}",
                    reason=Reason.IMAGE,
                    where=ref,
                    remedy=refusal.remedy,
                ) from error
            wait_s = FIRST_WAIT_S * 3 ** (attempt - 1)
            say(f"{ref}: {refusal.what}; attempt {attempt + 1} of {ATTEMPTS} in {wait_s:.0f} s")
            sleep(wait_s)
        else:
            return


_REFUSALS: tuple[tuple[str, re.Pattern[str], bool, str, str], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE), retry, what, remedy)
    for kind, pattern, retry, what, remedy in (
        (
            "disk",
            r"no space left on device|disk quota exceeded",
            False,
            "the engine's disk is full",
            "free space where the engine keeps its images, for example with `docker image prune`",
        ),
        (
            "platform",
            r"no matching manifest for|does not match the specified platform|no match for platform",
            False,
            "it is not published for this machine's architecture",
            "name an image for this architecture, or build one with `build:`",
        ),
        (
            "rate",
            r"toomanyrequests|too many requests|rate limit|status(?: code)?:? 429",
            True,
            "the registry limits how often it is asked",
            "wait an hour, or log in to the registry with `docker login`",
        ),
        (
            "certificate",
            r"x509:|certificate signed by unknown|certificate has expired",
            False,
            "the registry's certificate is not trusted here",
            "give the engine your network's certificate authority (folder /etc/docker/certs.d) and restart it",
        ),
        (
            "missing",
            r"manifest unknown|manifest for .* not found|name unknown|repository name not known|: not found$",
            False,
            "the registry has no such image",
            "look up the tag: official images are made once a day, not of every build; those without a number are new",
        ),
        (
            "auth",
            r"unauthorized|authentication required|no basic auth|forbidden|\bdenied\b",
            False,
            "the registry does not give it to you: it does not exist or needs a login",
            "check the name, then `docker login` with an account that may read it",
        ),
        (
            "network",
            (
                r"no such host|server misbehaving|name resolution|connection refused|network is unreachable"
                r"|no route to host|i/o timeout|tls handshake timeout|deadline exceeded|client\.timeout|proxyconnect"
                r"|dial tcp|gave HTTP response to HTTPS"
            ),
            False,
            "the registry cannot be reached",
            (
                "check the engine's network, DNS and proxy; without a registry, use `build:`, "
                "or bring it with `docker save` and `docker load`"
            ),
        ),
        (
            "server",
            r"status(?: code)?:? 5\d\d|bad gateway|service unavailable|gateway time-?out|unexpected eof|reset by peer",
            True,
            "the registry has trouble",
            "try again later",
        ),
    )
)
_BY_STATUS = {401: "auth", 403: "auth", 404: "missing", 429: "rate", 502: "server", 503: "server", 504: "server"}


def classify_refusal(text: str, status: int | None) -> Refusal:
    """Why a pull failed, from the engine's words first: it answers 500 for nearly everything that a registry says."""
    kinds = {
        kind: Refusal(kind=kind, retry=retry, what=what, remedy=remedy) for kind, _, retry, what, remedy in _REFUSALS
    }
    for kind, pattern, *_ in _REFUSALS:
        if pattern.search(text.strip()):
            return kinds[kind]
    if status in _BY_STATUS:
        return kinds[_BY_STATUS[status]]
    return Refusal(kind="other", retry=False, what="the engine did not pull it", remedy="see the engine's log")


def _clean(text: str) -> str:
    """The engine's words on one line, without queries and credentials in addresses."""
    line = " ".join(text.split())
    return re.sub(r"://[^/@\s]+@", "://***@", re.sub(r"\?[^\s\"]+", "", line))[:400]
