"""Results of other programs, in whatever form they were printed or pasted: Markdown, JSON, JSON Lines, CSV, SQL.

A text is read line by line and may hold several of these, among log lines and prose, as issues do. Nothing is repaired
and nothing is run: what looks like a result and breaks a rule is refused with its line.
"""

from __future__ import annotations

from harness.formats.foreign.scan import MAX_BYTES, read

__all__ = ["MAX_BYTES", "read"]
