"""Headers without weights: from a recipe, and in ranges from a server that stands where the Hub stands."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from gguf import GGUFWriter

from harness.artifacts import remote_header as remote
from harness.artifacts.model_header import header_of, recipe_header
from harness.artifacts.remote_header import FIRST_BYTES, remote_header
from harness.artifacts.synthetic import write_synthetic
from harness.artifacts.synthetic_recipe import parse_recipe
from harness.errors import ArtifactError, InputError
from harness.formats.gguf import read_header
from harness.formats.gguf_shape import read_shape
from harness.values.matrix import ModelSource

RECIPE = {
    "architecture": "qwen3moe",
    "n_layers": 3,
    "n_embd": 64,
    "n_ff": 96,
    "n_heads": 4,
    "n_kv_heads": 2,
    "n_vocab": 320,
    "n_ctx": 512,
    "quantization": "Q4_0",
    "seed": 1,
    "n_experts": 4,
    "n_experts_used": 2,
}
SOURCE = ModelSource(name="hubbed", kind="huggingface", repo="owner/name", revision="main", filename="x.gguf")


class Hub:
    """What a server holds, how it answers, and what it was asked for."""

    def __init__(self) -> None:
        self.data = b""
        self.ranges = True
        self.status = 206
        self.too_much = 0
        self.drips_s = 0.0
        self.most = 1 << 30
        self.asked: list[tuple[int, int]] = []
        self.paths: list[str] = []


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    held = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if held.status >= 400 or match is None:
                self.send_error(held.status if held.status >= 400 else 400)
                return
            begin, end = int(match[1]), min(int(match[2]) + 1, int(match[1]) + held.most, len(held.data))
            held.asked.append((begin, end))
            held.paths.append(self.path)
            part = held.data[begin:end] if held.ranges else held.data
            self.send_response(206 if held.ranges else 200)
            if held.ranges:
                self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(held.data)}")
            self.send_header("Content-Length", str(len(part) + held.too_much))
            self.end_headers()
            # A reader that had enough goes away.
            with suppress(BrokenPipeError, ConnectionResetError):
                for byte in part if held.drips_s else b"":
                    self.wfile.write(bytes([byte]))
                    time.sleep(held.drips_s)
                self.wfile.write(part + bytes(held.too_much))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield held
    server.shutdown()
    server.server_close()
    thread.join()


def with_vocabulary(path: Path, tokens: int) -> bytes:
    """A file whose header is as long as a vocabulary makes it."""
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_array("tokenizer.ggml.tokens", [f"a token of some length {i}" for i in range(tokens)])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def test_the_header_of_a_recipe_tells_what_the_written_file_tells(tmp_path: Path) -> None:
    recipe = parse_recipe(RECIPE, where="test")
    write_synthetic(recipe, tmp_path / "m.gguf")
    written, planned = read_shape(read_header(tmp_path / "m.gguf")), read_shape(recipe_header(recipe))
    assert planned.blocks == written.blocks
    assert planned.weight_bytes == written.weight_bytes
    assert (planned.n_vocab, planned.n_experts_used, planned.n_ff_expert) == (320, 2, 96)
    assert written.n_vocab == planned.n_vocab


def test_a_synthetic_model_needs_no_file(tmp_path: Path) -> None:
    source = ModelSource(name="made", kind="synthetic", recipe=RECIPE)
    assert header_of(source, cache=tmp_path, base=tmp_path).n_layers == 3
    assert list(tmp_path.iterdir()) == []


def test_a_model_in_packages_is_fetched_first(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="packages"):
        header_of(ModelSource(name="packed", kind="package", sha256="a" * 64), cache=tmp_path, base=tmp_path)


def test_only_the_beginning_of_a_file_on_the_hub_is_asked_for(hub: Hub, tmp_path: Path) -> None:
    recipe = parse_recipe({**RECIPE, "n_vocab": 65536, "n_embd": 256, "n_ff": 256}, where="test")
    write_synthetic(recipe, tmp_path / "m.gguf")
    hub.data = (tmp_path / "m.gguf").read_bytes()
    assert len(hub.data) > 8 * FIRST_BYTES
    found = remote_header(SOURCE)
    assert found.tensors == read_header(tmp_path / "m.gguf").tensors
    assert hub.asked == [(0, FIRST_BYTES)]
    assert hub.paths == ["/owner/name/resolve/main/x.gguf"]


def test_a_long_vocabulary_is_read_in_parts_that_double(hub: Hub, tmp_path: Path) -> None:
    hub.data = with_vocabulary(tmp_path / "v.gguf", 100_000)
    assert len(hub.data) > 3 * FIRST_BYTES
    assert remote_header(SOURCE).n_layers == 1
    assert hub.asked[:2] == [(0, FIRST_BYTES), (FIRST_BYTES, 2 * FIRST_BYTES)]
    assert sum(end - begin for begin, end in hub.asked) <= len(hub.data)


def test_a_header_without_end_is_given_up(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MOST_BYTES", 2 * FIRST_BYTES)
    hub.data = with_vocabulary(tmp_path / "v.gguf", 100_000)
    with pytest.raises(InputError, match="larger than 2 MiB"):
        remote_header(SOURCE)


@pytest.mark.parametrize("slow", [{"drips_s": 0.05}, {"most": 1}])
def test_a_server_that_drips_does_not_hold_us(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: dict[str, float]
) -> None:
    monkeypatch.setattr(remote, "DEADLINE_S", 0.3)
    hub.data = with_vocabulary(tmp_path / "v.gguf", 10_000)
    for name, value in slow.items():
        setattr(hub, name, value)
    started = time.monotonic()
    with pytest.raises(ArtifactError, match="did not come within"):
        remote_header(SOURCE)
    assert time.monotonic() - started < 10


def test_more_than_was_asked_for_is_not_taken(hub: Hub, tmp_path: Path) -> None:
    hub.data = with_vocabulary(tmp_path / "v.gguf", 10)
    hub.too_much = 64 << 20
    assert remote_header(SOURCE).n_layers == 1


def test_a_server_that_sends_everything_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.data = with_vocabulary(tmp_path / "v.gguf", 10)
    hub.ranges = False
    with pytest.raises(ArtifactError, match="does not give out parts"):
        remote_header(SOURCE)


def test_what_is_no_model_is_refused(hub: Hub) -> None:
    hub.data = b"<html>" * 1000
    with pytest.raises(InputError, match="no GGUF"):
        remote_header(SOURCE)


@pytest.mark.parametrize(
    ("status", "what"), [(401, "permission"), (404, "cannot be reached"), (500, "cannot be reached")]
)
def test_refusals_of_the_hub_are_told_without_its_address(hub: Hub, status: int, what: str) -> None:
    hub.status = status
    with pytest.raises(ArtifactError, match=what) as caught:
        remote_header(SOURCE)
    assert "127.0.0.1" not in str(caught.value)
