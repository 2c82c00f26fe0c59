"""A site from a server on this machine: whole where the server is honest, and bounded whatever else it does."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.artifacts import fetch_site as module
from harness.artifacts.fetch_site import fetch_site
from harness.errors import BenchError, CellsFailedError, InputError, MachineError
from harness.store.manifest import MANIFEST, SIGNATURE, Manifest, SiteFile, render_manifest

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers by path; `asked` holds what was asked for."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer | bytes] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                answer = outer.answers.get(self.path)
                if callable(answer):
                    answer(self)
                elif answer is None:
                    self.send_error(404)
                else:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.http.server_address[1]}/bench/"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def site(self, **files: bytes) -> None:
        named = {name.replace("__", "/").replace("_", "."): data for name, data in files.items()}
        self.answers |= {f"/bench/{path}": data for path, data in named.items()}
        listed = tuple(
            SiteFile(path=path, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
            for path, data in named.items()
        )
        manifest = Manifest(title="Ours", harness="0.1.0", reports=(), files=listed)
        self.answers[f"/bench/{MANIFEST}"] = render_manifest(manifest)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("end", ["", "index.html", "manifest.json", "?x=1#y"])
def test_it_comes_whole(server: Server, tmp_path: Path, end: str) -> None:
    server.site(index_html=b"<p>", reports__demo__report_md=b"# Demo")
    server.answers[f"/bench/{SIGNATURE}"] = b"signature"
    assert fetch_site(server.base + end, tmp_path).remarks == ()
    assert files(tmp_path) == {
        "index.html": b"<p>",
        "reports/demo/report.md": b"# Demo",
        MANIFEST: server.answers[f"/bench/{MANIFEST}"],
        SIGNATURE: b"signature",
    }


def test_a_file_that_is_not_what_the_manifest_says_ends_it(server: Server, tmp_path: Path) -> None:
    server.site(index_html=b"<p>")
    for other, said in ((b"<b>", "another hash"), (b"<p", "2 bytes"), (b"<p>!", "more than 3 bytes")):
        server.answers["/bench/index.html"] = other
        (tmp_path / "index.html").unlink(missing_ok=True)
        with pytest.raises(CellsFailedError, match=said):
            fetch_site(server.base, tmp_path)


def test_of_a_file_without_an_end_no_more_is_read_than_was_promised(server: Server, tmp_path: Path) -> None:
    server.site(index_html=b"<p>")
    sent = []

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while len(sent) < 2000:
                handler.wfile.write(b"x" * 65536)
                sent.append(1)
        except OSError:
            pass

    server.answers["/bench/index.html"] = endless
    with pytest.raises(CellsFailedError, match="more than 3 bytes"):
        fetch_site(server.base, tmp_path)
    assert len(sent) < 2000
    assert (tmp_path / "index.html").stat().st_size <= 4


def test_a_manifest_without_an_end_is_refused(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MANIFEST_BYTES", 1000)
    server.answers[f"/bench/{MANIFEST}"] = b" " * 5000
    with pytest.raises(MachineError, match="larger than 1000 bytes"):
        fetch_site(server.base, tmp_path)


def test_a_server_that_drips_does_not_hold_us(server: Server, tmp_path: Path) -> None:
    server.site(index_html=b"x" * 10_000)

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(10_000):
                handler.wfile.write(b"x")
                handler.wfile.flush()
                time.sleep(0.02)
        except OSError:
            pass

    server.answers["/bench/index.html"] = drip
    with pytest.raises(MachineError, match="takes too long"):
        fetch_site(server.base, tmp_path, deadline_s=0.5)


def test_a_server_that_drips_its_headers_does_not_hold_us(server: Server, tmp_path: Path) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            for _ in range(2_000):
                handler.wfile.write(b"x")
                time.sleep(0.02)
        except OSError:
            pass

    server.answers[f"/bench/{MANIFEST}"] = drip
    started = time.monotonic()
    with pytest.raises(MachineError, match="takes too long"):
        fetch_site(server.base, tmp_path, deadline_s=0.5)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("path", ["../../outside", "/etc/outside", "a/../../outside", "..\\outside"])
def test_a_name_that_leads_out_of_the_folder_is_refused_before_anything_is_asked(
    server: Server, tmp_path: Path, path: str
) -> None:
    server.site(index_html=b"<p>")
    data = json.loads(server.answers[f"/bench/{MANIFEST}"])
    data["files"][0]["path"] = path
    server.answers[f"/bench/{MANIFEST}"] = json.dumps(data).encode()
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="no path of a file"):
        fetch_site(server.base, tmp_path / "in")
    assert server.asked == [f"/bench/{MANIFEST}"]
    assert files(tmp_path) == {}


def redirect(to: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


@pytest.mark.parametrize("to", ["http://127.0.0.1:9/x", "file:///etc/hostname", "ftp://127.0.0.1/x", "http://[::1]/x"])
def test_no_redirection_leads_to_another_server_or_a_file(server: Server, tmp_path: Path, to: str) -> None:
    server.site(index_html=b"<p>")
    server.answers["/bench/index.html"] = redirect(to)
    with pytest.raises(MachineError, match=r"another server|302|cannot be had"):
        fetch_site(server.base, tmp_path)


def test_a_redirection_within_the_server_is_followed(server: Server, tmp_path: Path) -> None:
    server.site(index_html=b"<p>")
    server.answers["/elsewhere"] = b"<p>"
    server.answers["/bench/index.html"] = redirect("/elsewhere")
    fetch_site(server.base, tmp_path)
    assert files(tmp_path)["index.html"] == b"<p>"


def test_where_there_is_no_manifest_it_is_told(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no manifest\.json"):
        fetch_site(server.base, tmp_path)


def test_a_server_that_is_not_there_or_talks_nonsense_is_told(server: Server, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="cannot be had"):
        fetch_site("http://127.0.0.1:9/", tmp_path)
    server.answers[f"/bench/{MANIFEST}"] = lambda handler: handler.wfile.write(b"nonsense\r\n\r\n") and None
    with pytest.raises(MachineError, match="cannot be had"):
        fetch_site(server.base, tmp_path)
    server.answers[f"/bench/{MANIFEST}"] = lambda handler: handler.send_error(500)
    with pytest.raises(MachineError, match="answers 500"):
        fetch_site(server.base, tmp_path)


@pytest.mark.parametrize(
    "address",
    ["file:///etc", "ftp://x/", "https://", "https://user:pass@host/", "http://host:99999/", "https://a b/", "://x"],
)
def test_other_addresses_are_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        fetch_site(address, tmp_path)
    assert "pass@" not in str(caught.value)


def test_without_encryption_it_says_so() -> None:
    assert module._remarks("https://example.org/") == ()
    assert module._remarks("http://localhost:8000/") == ()
    assert "without encryption" in module._remarks("http://example.org/")[0]


def test_every_error_is_of_the_family(server: Server, tmp_path: Path) -> None:
    server.answers[f"/bench/{MANIFEST}"] = b"{}"
    with pytest.raises(BenchError, match="no manifest of a site"):
        fetch_site(server.base, tmp_path)
