"""A llama-server that is none: HTTP on a Unix socket, with answers as real ones give them."""

import json
import socketserver
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler


@dataclass
class Behaviour:
    """How it answers.

    Attributes:
        loading: how many looks at /health say that it is loading. first_s, next_s: seconds before the first token and
            between tokens. cached: of a prompt's tokens, those it finds in its cache when it is asked to.
        drafted: how many tokens it says that it drafted, half of which were accepted; None for no word of it.
        refuses: HTTP status of completions. breaks_after: tokens after which the stream ends.
    """

    loading: int = 0
    first_s: float = 0.02
    next_s: float = 0.005
    cached: int = 0
    drafted: int | None = None
    refuses: int = 0
    breaks_after: int | None = None
    asked: list = field(default_factory=list)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def get_request(self):
        request, _ = super().get_request()
        return request, ("local", 0)


def start(path, behaviour):
    """Listen at `path`; the caller calls `shutdown` and `server_close`."""
    server = _Server(str(path), _Handler)
    server.behaviour = behaviour
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _send(self, status, body):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        if self.path == "/health":
            self.server.behaviour.loading -= 1
            loading = self.server.behaviour.loading >= 0
            self._send(503 if loading else 200, {"status": "loading" if loading else "ok"})
        elif self.path == "/props":
            self._send(200, {"build_info": "b11312-0c1e57098", "total_slots": 1,
                             "default_generation_settings": {"n_ctx": 640}})  # fmt: skip
        elif self.path == "/v1/models":
            self._send(200, {"data": [{"meta": {"n_vocab": 262144}}]})
        else:
            self._send(200, b"# HELP x\nllamacpp:prompt_tokens_total 12\nllamacpp:n_decode_total 3\n")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/tokenize":
            self._send(200, {"tokens": [2000 + ord(letter) for letter in body["content"]]})
            return
        self.server.behaviour.asked.append(body)
        if self.server.behaviour.refuses:
            self._send(self.server.behaviour.refuses, {"error": {"message": "no slot"}})
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        count = body["n_predict"]
        for index in range(count):
            time.sleep(self.server.behaviour.first_s if index == 0 else self.server.behaviour.next_s)
            if self.server.behaviour.breaks_after == index:
                self.close_connection = True
                return
            self._piece({"content": "x", "tokens": [5], "stop": False})
        cached = min(self.server.behaviour.cached, len(body["prompt"])) if body["cache_prompt"] else 0
        timings = {"cache_n": cached, "prompt_n": len(body["prompt"]) - cached, "prompt_ms": 20.0,
                   "prompt_per_second": 100.0, "predicted_n": count, "predicted_ms": 10.0,
                   "predicted_per_second": 200.0}  # fmt: skip
        if (drafted := self.server.behaviour.drafted) is not None:
            timings |= {"draft_n": drafted, "draft_n_accepted": drafted // 2}
        self._piece({"content": "", "tokens": [], "stop": True, "tokens_evaluated": len(body["prompt"]),
                     "timings": timings})  # fmt: skip
        self.wfile.write(b"0\r\n\r\n")

    def _piece(self, event):
        content = b"data: " + json.dumps(event).encode() + b"\n\n"
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()
