import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engine.output import LINE_LIMIT, STDERR, STDOUT, Demultiplexer, FramingError, StreamCapture, readable

MS = 1_000_000


def frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


def captured(*chunks: bytes, limit: int = 8 << 20):
    capture = StreamCapture(limit_bytes=limit)
    for index, chunk in enumerate(chunks):
        capture.feed(chunk, index * 10 * MS)
    return capture.result()


def texts(*chunks: bytes, limit: int = 8 << 20) -> list[str]:
    return [line.text for line in captured(*chunks, limit=limit).lines]


@given(
    st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=40)), max_size=8),
    st.integers(min_value=1, max_value=13),
)
def test_frames_survive_any_cut(frames: list[tuple[int, bytes]], size: int) -> None:
    wire = b"".join(frame(stream, payload) for stream, payload in frames)
    demultiplexer = Demultiplexer()
    got = {STDOUT: b"", STDERR: b""}
    for start in range(0, len(wire), size):
        for stream, payload in demultiplexer.feed(wire[start : start + size]):
            got[stream] += payload
    assert got == {s: b"".join(p for t, p in frames if t == s) for s in got}
    assert demultiplexer.at_boundary


@pytest.mark.parametrize("cut", [3, 9])
def test_a_cut_frame_is_seen(cut: int) -> None:
    demultiplexer = Demultiplexer()
    list(demultiplexer.feed(frame(STDOUT, b"abc")[:cut]))
    assert not demultiplexer.at_boundary


def test_plain_text_is_no_frame() -> None:
    with pytest.raises(FramingError):
        list(Demultiplexer().feed(b"plain text without frames"))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain \xc3\xa9", "plain é"),
        (b"bad \xff byte", r"bad \xff byte"),
        (b"nul \0 bell \a", r"nul \x00 bell \x07"),
        (b"\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        (b"tab\there", "tab\there"),
        (b"windows\r", "windows"),
        (b"over\rwritten", r"over\x0dwritten"),
        ("c1 \x9b2J".encode(), r"c1 \x9b2J"),
    ],
)
def test_readable(data: bytes, text: str) -> None:
    assert readable(data) == text


def test_lines_across_chunks_are_stamped_with_their_end() -> None:
    result = captured(b"one\ntw", b"o\n", b"three")
    assert [(line.at_ns, line.text) for line in result.lines] == [(0, "one"), (10 * MS, "two"), (20 * MS, "three")]
    assert result.total_bytes == 13
    assert not result.truncated


def test_nothing_written() -> None:
    result = captured()
    assert (result.lines, result.total_bytes, result.truncated) == ((), 0, False)


def test_empty_lines_are_lines() -> None:
    assert texts(b"a\n\n", b"\n") == ["a", "", ""]


@given(st.lists(st.binary(max_size=30), max_size=20))
def test_below_the_limit_nothing_is_lost(chunks: list[bytes]) -> None:
    data = b"".join(chunks)
    expected = data.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert texts(*chunks) == [readable(line) for line in expected]


@given(st.binary(min_size=1, max_size=3000), st.integers(min_value=1, max_value=700))
def test_beyond_the_limit_head_and_tail_are_true_lines(data: bytes, size: int) -> None:
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    result = captured(*chunks, limit=1000)
    assert result.total_bytes == len(data)
    stamps = [line.at_ns for line in result.lines]
    assert stamps == sorted(stamps)
    whole = {readable(line) for line in data.split(b"\n")}
    assert result.truncated or {line.text for line in result.lines} <= whole
    assert sum(len(line.text) for line in result.lines) <= 4 * 1000 + 100


def test_the_middle_is_left_out() -> None:
    chunks = [f"line {number}\n".encode() for number in range(10_000)]
    result = captured(*chunks, limit=10_000)
    assert result.truncated
    assert result.lines[0].text == "line 0"
    assert result.lines[-1].text == "line 9999"
    assert result.lines[-1].at_ns == 9999 * 10 * MS
    numbers = [int(line.text.split()[1]) for line in result.lines if "left out" not in line.text]
    assert numbers == sorted(numbers)
    assert len(numbers) < 200


def test_a_line_cut_at_the_gap_cannot_be_taken_for_a_whole_one() -> None:
    result = captured(b'{"a": ' + b"1" * 600 + b"}\n" * 1, b"x" * 5000 + b"\nlast\n", limit=1000)
    assert result.truncated
    assert "left out]" in result.lines[0].text
    assert result.lines[-1].text == "last"


def test_a_very_long_line_is_cut_and_said() -> None:
    result = captured(b"x" * (3 << 20), b"\nshort\n")
    assert result.truncated
    assert result.lines[0].text.startswith("x" * LINE_LIMIT + " [... ")
    assert result.lines[0].text.endswith("2097152 bytes left out]")
    assert result.lines[1].text == "short"


def test_a_flood_without_line_feeds() -> None:
    result = captured(*[b"z" * 65536] * 400)
    assert result.total_bytes == 400 * 65536
    assert result.truncated
    assert len(result.lines) == 2


@pytest.mark.parametrize("chunk", [b"y\n" * 32768, b"\n" * 65536, b"z" * 65536], ids=["yes", "empty", "endless"])
def test_a_flood_takes_bounded_memory(chunk: bytes) -> None:
    tracemalloc.start()
    capture = StreamCapture(limit_bytes=1 << 20)
    for index in range(2000):
        capture.feed(chunk, index * MS)
    result = capture.result()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.total_bytes == 2000 * 65536
    assert peak < 8 << 20


def test_tiny_writes_take_bounded_memory() -> None:
    tracemalloc.start()
    capture = StreamCapture(limit_bytes=64 << 10)
    for index in range(200_000):
        capture.feed(b"\n", index * 1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_lines_are_told_while_they_come() -> None:
    told: list[str] = []
    capture = StreamCapture(limit_bytes=1 << 20, on_line=told.append)
    capture.feed(b"on", 0)
    assert told == []
    capture.feed(b"e\ntwo\nthr", 0)
    assert told == ["one", "two"]
    capture.feed(b"ee\n", 0)
    assert told == ["one", "two", "three"]


def test_of_a_flood_only_the_last_line_of_a_chunk_is_told() -> None:
    told: list[str] = []
    capture = StreamCapture(limit_bytes=1000, on_line=told.append)
    capture.feed(b"x" * 600 + b"\n", 0)
    capture.feed(b"a\nb\nc\nd", 0)
    assert told[1:] == ["c"]
    capture.feed(b"e\n", 0)
    assert told[2:] == ["de"]


def test_the_log_adds_what_the_stream_lost() -> None:
    capture = StreamCapture(limit_bytes=1 << 20)
    capture.feed(b"one\ntw", 5 * MS)
    capture.recover(iter([b"on", b"e\ntwo\nth", b"ree\n"]), 99 * MS)
    result = capture.result()
    assert [(line.at_ns, line.text) for line in result.lines] == [
        (5 * MS, "one"),
        (99 * MS, "two"),
        (99 * MS, "three"),
    ]
    assert not result.truncated


def test_a_log_that_adds_nothing() -> None:
    capture = StreamCapture(limit_bytes=1 << 20)
    capture.feed(b"one\n", 0)
    capture.recover([b"one\n"], 9)
    assert capture.result() == captured(b"one\n")


def test_a_rotated_log_is_not_spliced() -> None:
    capture = StreamCapture(limit_bytes=1 << 20)
    capture.feed(b"one\n", 0)
    capture.recover([b"seven\neight\n"], 9)
    result = capture.result()
    assert [line.text for line in result.lines] == ["one"]
    assert result.truncated
