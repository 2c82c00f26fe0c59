"""What a container writes, bounded: frames of the attach stream taken apart, head and tail kept, lines stamped.

Nothing here knows an engine. A flood costs a copy of its bytes and no more: lines are made once, at the end, of what
was kept.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from harness.values.container import Line

STDOUT: Final = 1
STDERR: Final = 2

LINE_LIMIT: Final = 1024 * 1024
"""Bytes kept of one line."""

_LINE_COST: Final = 64
# A line of one byte takes over a hundred in memory: without a price, eight million of them would fit into 8 MiB.

_SAME_STAMP_NS: Final = 1_000_000
# Chunks within a millisecond share a stamp, so that a flood of tiny writes does not fill memory with stamps.

_HEADER_BYTES: Final = 8
_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(9), *range(10, 32), *range(127, 160))}


class FramingError(ValueError):
    """The bytes are not the multiplexed stream that the engine promised."""


class Demultiplexer:
    """Takes the engine's frames apart: one byte of stream, three of zero, four of length (big-endian), the payload.

    A payload is handed on as it comes, never collected, so that a frame's size does not matter.
    """

    def __init__(self) -> None:
        self._header = bytearray()
        self._stream = STDOUT
        self._left = 0

    @property
    def at_boundary(self) -> bool:
        """Whether every frame that was begun is complete."""
        return not self._left and not self._header

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Pairs of stream (`STDOUT`, `STDERR`) and payload.

        Raises:
            FramingError: a header is none.
        """
        position = 0
        while position < len(data):
            if self._left:
                payload = data[position : position + self._left]
                position += len(payload)
                self._left -= len(payload)
                yield self._stream, payload
                continue
            missing = _HEADER_BYTES - len(self._header)
            self._header += data[position : position + missing]
            position += missing
            if len(self._header) == _HEADER_BYTES:
                self._begin(bytes(self._header))
                self._header.clear()

    def _begin(self, header: bytes) -> None:
        # 3 is the engine's own error within the stream; it belongs to what a person reads.
        known = {0: STDOUT, 1: STDOUT, 2: STDERR, 3: STDERR}
        if header[0] not in known or header[1:4] != b"\0\0\0":
            msg = f"no frame header: {header.hex()}"
            raise FramingError(msg)
        self._stream = known[header[0]]
        self._left = int.from_bytes(header[4:], "big")


def readable(data: bytes) -> str:
    r"""One line as text that is safe to store and show: invalid UTF-8 and control characters but TAB become `\x1b`."""
    return data.removesuffix(b"\r").decode("utf-8", "backslashreplace").translate(_CONTROLS)


class _Stamps:
    """When the bytes up to an offset had arrived."""

    def __init__(self) -> None:
        self._ends = array("q")
        self._at = array("q")

    def add(self, end: int, at_ns: int) -> None:
        if self._at and at_ns - self._at[-1] < _SAME_STAMP_NS:
            self._ends[-1] = end
        else:
            self._ends.append(end)
            self._at.append(at_ns)

    def at(self, offset: int) -> int:
        index = bisect_right(self._ends, offset)
        return self._at[min(index, len(self._at) - 1)]

    def forget(self, before: int) -> None:
        count = bisect_right(self._ends, before)
        del self._ends[:count], self._at[:count]


class _LiveLines:
    """Hands lines to a callback while they come; of a flood only the last line of each chunk."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._begun = bytearray()

    def feed(self, data: bytes, *, flood: bool) -> None:
        last = data.rfind(b"\n")
        if last < 0:
            self._begun += data[: LINE_LIMIT - len(self._begun)]
            return
        first = data.rfind(b"\n", 0, last) + 1 if flood else 0
        lines = data[first:last].split(b"\n")
        if not first:
            lines[0] = bytes(self._begun) + lines[0]
        self._begun = bytearray(data[last + 1 :][:LINE_LIMIT])
        for line in lines:
            self._on_line(readable(line[:LINE_LIMIT]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What was kept of one stream.

    Attributes:
        lines: in order, stamped with the arrival of their last byte.
        total_bytes: what was written in all.
        truncated: whether lines, or parts of them, were left out.
    """

    lines: tuple[Line, ...]
    total_bytes: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class _Span:
    begin: int
    end: int
    cut: bool = False


class StreamCapture:
    """One stream of one container: its head and its tail, each half of the limit.

    Args:
        limit_bytes: what is kept in all. While it runs, up to one and a half times as much is held.
        on_line: called for each line while it comes; once the head is full, only for the last one of each chunk.
    """

    def __init__(self, *, limit_bytes: int, on_line: Callable[[str], None] | None = None) -> None:
        self._half = max(limit_bytes // 2, 2 * _LINE_COST)
        self._line_limit = min(LINE_LIMIT, self._half - _LINE_COST)
        self._head = bytearray()
        self._tail = bytearray()
        self._head_stamps = _Stamps()
        self._tail_stamps = _Stamps()
        self._total = 0
        self._gap = False
        self._live = _LiveLines(on_line) if on_line else None

    def feed(self, data: bytes, at_ns: int) -> None:
        """Add bytes that arrived at `at_ns` on the monotonic clock."""
        if not data:
            return
        if self._live:
            self._live.feed(data, flood=len(self._head) >= self._half)
        room = self._half - len(self._head)
        self._total += len(data)
        if room > 0:
            self._head += data[:room]
            self._head_stamps.add(min(self._total, self._half), at_ns)
        if len(data) > room:
            self._tail += data[max(room, 0) :]
            self._tail_stamps.add(self._total, at_ns)
            # Twice the size before it is cut back: so each byte is moved once on average.
            if len(self._tail) > 2 * self._half:
                del self._tail[: len(self._tail) - self._half]
                self._tail_stamps.forget(self._total - len(self._tail))

    def recover(self, chunks: Iterable[bytes], at_ns: int) -> None:
        """Add what a log, which holds the stream from its beginning, has beyond what was fed.

        Where the log does not begin as the stream did (it was rotated, or it replaced invalid bytes), nothing is added
        and the result counts as truncated.
        """
        known, seen = self._total, 0
        for chunk in chunks:
            old = chunk[: max(known - seen, 0)]
            expected = bytes(self._head[seen : seen + len(old)])
            if old[: len(expected)] != expected:
                self._gap = True
                return
            seen += len(chunk)
            self.feed(chunk[len(old) :], at_ns)

    def result(self) -> Captured:
        """The lines of head and tail."""
        kept = len(self._head) + len(self._tail)
        lines, complete = self._joined() if kept == self._total else (self._apart(), False)
        return Captured(lines=tuple(lines), total_bytes=self._total, truncated=self._gap or not complete)

    def _joined(self) -> tuple[list[Line], bool]:
        data = bytes(self._head + self._tail)
        spans, position = _from_front(data, self._half, self._line_limit)
        complete = position >= len(data)
        if not complete:
            back, complete = _from_back(data, position, self._half, self._line_limit)
            spans += back
        complete = complete and all(span.end - span.begin <= self._line_limit for span in spans)
        return [self._line(data, 0, span) for span in spans], complete

    def _apart(self) -> list[Line]:
        head, tail = bytes(self._head), bytes(self._tail[-self._half :])
        front, _ = _from_front(head, self._half, self._line_limit)
        if front and front[-1].end == len(head):
            front[-1] = _Span(front[-1].begin, front[-1].end, cut=True)
        # The first line of the tail lost its beginning; it is kept only where it is all there is.
        begin = tail.find(b"\n") + 1
        back, _ = _from_back(tail, begin if begin < len(tail) else 0, self._half, self._line_limit)
        lines = [self._line(head, 0, span) for span in front]
        return lines + [self._line(tail, self._total - len(tail), span) for span in back]

    def _line(self, data: bytes, base: int, span: _Span) -> Line:
        stamps = self._head_stamps if base + span.end < len(self._head) or not self._tail else self._tail_stamps
        text = readable(data[span.begin : min(span.end, span.begin + self._line_limit)])
        left_out = span.end - span.begin - self._line_limit
        if left_out > 0:
            text += f" [... {left_out} bytes left out]"
        elif span.cut:
            text += " [... left out]"
        return Line(at_ns=stamps.at(base + span.end), text=text)


def _from_front(data: bytes, budget: int, line_limit: int) -> tuple[list[_Span], int]:
    """Lines from the front that fit the budget, and where the next one begins."""
    spans: list[_Span] = []
    position = 0
    while position < len(data):
        feed = data.find(b"\n", position)
        end = len(data) if feed < 0 else feed
        budget -= min(end - position, line_limit) + _LINE_COST
        if budget < 0:
            break
        spans.append(_Span(position, end))
        position = end + 1
    return spans, position


def _from_back(data: bytes, start: int, budget: int, line_limit: int) -> tuple[list[_Span], bool]:
    """Lines from the back that fit the budget, in order, and whether they reach `start`."""
    spans: list[_Span] = []
    end = len(data) - 1 if data.endswith(b"\n") else len(data)
    while end >= start:
        begin = max(data.rfind(b"\n", start, end) + 1, start)
        budget -= min(end - begin, line_limit) + _LINE_COST
        if budget < 0:
            break
        spans.append(_Span(begin, end))
        end = begin - 1
    return spans[::-1], end < start
