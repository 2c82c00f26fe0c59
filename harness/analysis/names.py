"""Short names for rows and groups of the results table."""

from __future__ import annotations

import hashlib
import json

_SHORT = 16
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=str)


def short_hash(*parts: object) -> str:
    """Sixteen hexadecimal digits that name these values."""
    return hashlib.sha256(_ENCODER.encode(parts).encode()).hexdigest()[:_SHORT]
