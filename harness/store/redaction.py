"""What must never be kept: values of variables that hold secrets, what looks like a token, folders of the user.

Everything that is written, records, sessions, journals, goes through here, whatever it came from: llama.cpp's log, an
engine's words, the command line. Redaction is by value, since a secret is no less secret in an error message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

MARK = "[redacted]"
_SHORTEST = 8
"""Shorter values are words such as `true`, which would be struck out everywhere."""

_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASS|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIAL|(?<!X)AUTH(?!OR)", re.IGNORECASE
)

_TOKENS = re.compile(
    r"\bhf_[A-Za-z0-9]{20,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bglpat-[A-Za-z0-9_-]{16,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bsk-[A-Za-z0-9_-]{20,}|\bxox[abprs]-[A-Za-z0-9-]{10,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
    r"|(?<=Bearer )[A-Za-z0-9._~+/-]{8,}=*"
)
"""Hugging Face, GitHub, GitLab, AWS, OpenAI-like, Slack, JSON Web Tokens, credentials in addresses, bearer headers."""

_PERSONAL = (
    (re.compile(r"\b(?:GPU|MIG)-[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), MARK),
    (re.compile(r"(?<![0-9a-f:])(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?![0-9a-f:])", re.IGNORECASE), MARK),
    (re.compile(r"[\w.+-]+@[A-Za-z][\w-]*(?:\.[\w-]+)*\.[A-Za-z]{2,}\b"), MARK),
    (re.compile(r"(?<![\w.~-])/(?:home|Users)/[^/\s\"':,;)]+"), "~"),
)
"""Of a person or one thing of his: UUIDs of cards, MAC addresses, addresses of mail, home folders of anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """What is struck out.

    Attributes:
        secrets: wherever they stand. folders: of the user, and what to write in their place.
        words: further ones, where they stand by themselves. personal: whether what names a person goes too.
    """

    secrets: tuple[str, ...] = ()
    folders: Mapping[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    personal: bool = False

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Redaction:
        """The secrets and the home folder of an environment."""
        found = {value for name, value in environment.items() if _SECRET_NAME.search(name) and len(value) >= _SHORTEST}
        home = environment.get("HOME", "").rstrip("/")
        return cls(secrets=tuple(sorted(found, key=len, reverse=True)), folders={home: "~"} if home else {})

    def without_folders(self, folders: Iterable[Path]) -> Redaction:
        """Likewise, and without these folders; those within others go first."""
        more = {str(folder): "..." for folder in folders if folder.is_absolute() and len(folder.parts) > 1}
        every = {**self.folders, **more}
        return replace(self, folders={name: every[name] for name in sorted(every, key=len, reverse=True)})

    def for_publication(self, words: Iterable[str] = ()) -> Redaction:
        """Likewise, and without what names a person or a single device, and without these words."""
        return replace(self, personal=True, words=tuple(sorted(words, key=len, reverse=True)))

    def text(self, text: str) -> str:
        """The text without what is to be struck out."""
        for secret in self.secrets:
            text = text.replace(secret, MARK)
        text = _TOKENS.sub(MARK, text)
        for folder, instead in self.folders.items():
            if folder in text:
                text = re.sub(rf"{re.escape(folder)}(?![\w.-])", instead, text)
        for pattern, instead in _PERSONAL if self.personal else ():
            text = pattern.sub(instead, text)
        for word in self.words:
            text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", MARK, text)
        return text

    def json(self, value: Any) -> Any:
        """A JSON value with every text in it redacted; the names of its fields are ours and stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.json(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(item) for item in value]
        return value
