"""Short names for rows and groups of the results table."""

from __future__ import annotations

import hashlib
import json

_SHORT = 16


def short_hash(*parts: object) -> str:
    """Sixteen hexadecimal digits that name these values."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_SHORT]
