"""A reader's whole way: a site on a server, verified by its address."""

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from harness.errors import CellsFailedError
from harness.flows.publish_site import PublishRequest, publish
from harness.flows.verify_site import verify_any
from harness.flows.workspace import Workspace
from tests.rig.repository import repository


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Workspace]]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = repository(tmp_path)
    (tmp_path / "www").mkdir()
    publish(PublishRequest(out="www/bench"), made)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "www")))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/bench/", made
    server.shutdown()
    server.server_close()


def test_a_site_is_verified_by_its_address(served: tuple[str, Workspace], capsys: pytest.CaptureFixture[str]) -> None:
    address, made = served
    verify_any(address, workspace=made)
    assert "every page follows" in " ".join(capsys.readouterr().out.split())
    page = made.cwd / "www/bench/matrices/demo.html"
    page.write_text(page.read_text().replace("749", "947"))
    with pytest.raises(CellsFailedError, match="another hash"):
        verify_any(address, workspace=made)
