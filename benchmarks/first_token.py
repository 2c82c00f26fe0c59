"""Does somebody else see the same time to first token? Our client and curl ask one llama-server, in turn.

The server runs in a closed container and listens on a Unix socket, as for `measure: latency`. In each round both
clients send the same prompt, in random order; nothing is cached. curl's times are its own: it stamps each piece that it
sends and receives (`--trace-time`), with the clock of the day. From its first header that goes out to the first piece
of the body that comes in is its time to first token; between two pieces its time between tokens.

How long the server itself works on a prompt differs by several percent from one request to the next. It says so with
each answer (`prompt_ms`), so what a client sees beyond it is shown too: there the two clients differ by what they are.

    .venv/bin/python benchmarks/first_token.py --rounds 30
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from threading import Event

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from raw_results import RawResults, Row, add_arguments, table

from harness.artifacts.models import MODEL_PATH, prepare_model
from harness.engine.discovery import find_engine
from harness.engine.docker_engine import DockerEngine
from harness.engine.serving import serve
from harness.flows.workspace import find_workspace
from harness.formats import llama_server
from harness.machine.facts import physical_cores
from harness.machine.gate import wait_until_quiet
from harness.matrix.registry import load_registry
from harness.measure.server_client import SHARED_FOLDER, SOCKET_NAME, ServerClient, request_body
from harness.stats.intervals import median_interval
from harness.stats.paired import compare_paired
from harness.stats.verdicts import in_words
from harness.values.container import BindMount, ContainerSpec

LABELS = {"llama-bench-harness.purpose": "benchmark"}
CLIENTS = ("ours", "curl")
TITLES = {
    "ttft_ms": "time to first token",
    "beyond_ms": "of it beyond the server's own prompt_ms",
    "itl_ms": "between tokens, p50",
}
N_GEN = 32
FIRST_TOKEN, LAST_TOKEN = 1000, 30_000
_STAMPED = re.compile(r"^(\d\d):(\d\d):(\d\d)\.(\d{6}) (=> Send header|<= Recv data)")
_DAY_S = 86_400


def stamps(trace: str) -> tuple[float | None, list[float]]:
    """When the first header was sent and each piece of the body came, in seconds of the day, from curl's trace."""
    sent, received = None, []
    for line in trace.splitlines():
        if match := _STAMPED.match(line):
            hours, minutes, seconds, micro = (int(match[n]) for n in range(1, 5))
            at = 3600 * hours + 60 * minutes + seconds + micro / 1e6
            if match[5].startswith("=>"):
                sent = at if sent is None else sent
            else:
                received.append(at)
    return sent, received


def by_curl(socket: Path, body: bytes) -> dict[str, float]:
    """Milliseconds to the first token and between tokens, as curl tells them."""
    with tempfile.TemporaryDirectory() as folder:
        asked, traced, answer = (Path(folder) / name for name in ("body", "trace", "answer"))
        asked.write_bytes(body)
        command = ["curl", "--silent", "--show-error", "--no-buffer", "--unix-socket", str(socket)]
        command += ["-H", "Content-Type: application/json", "-H", "Expect:", "--data-binary", f"@{asked}"]
        command += ["--trace-ascii", str(traced), "--trace-time", "-o", str(answer), "http://localhost/completion"]
        subprocess.run(command, check=True, timeout=600)
        sent, received = stamps(traced.read_text(errors="replace"))
        events = [json.loads(line[5:]) for line in answer.read_text().splitlines() if line.startswith("data:")]
    if sent is None or len(received) < N_GEN or not events[0].get("tokens"):
        raise RuntimeError(f"curl's trace has {len(received)} pieces, and the first of them is {events[:1]}")
    steps = [(after - before) % _DAY_S for before, after in pairwise(received[:N_GEN])]
    ttft_ms = 1e3 * ((received[0] - sent) % _DAY_S)
    return {"ttft_ms": ttft_ms, "itl_ms": 1e3 * median(steps), "beyond_ms": ttft_ms - _of_server(events[-1])}


def by_us(client: ServerClient, body: dict[str, object]) -> dict[str, float]:
    """The same as a matrix measures it."""
    answer = client.ask(body)
    if answer.problem or answer.n_tokens != N_GEN:
        raise RuntimeError(f"{answer.n_tokens} tokens came: {answer.problem}")
    times = [at_ns for at_ns, _ in answer.tokens]
    steps = [after - before for before, after in pairwise(times)]
    ttft_ms = (times[0] - answer.sent_ns) / 1e6
    return {"ttft_ms": ttft_ms, "itl_ms": median(steps) / 1e6, "beyond_ms": ttft_ms - _of_server(answer.final)}


def _of_server(final: Mapping[str, object]) -> float:
    """Milliseconds that the server says it worked on the prompt."""
    return llama_server.timings(final)["prompt_ms"]


def ask_all(client: ServerClient, raw: RawResults, asked: argparse.Namespace, stop: Event) -> None:
    """Every round of every length, as far as the time goes."""
    if client.wait_until_ready(stop) is None:
        raise RuntimeError("the server did not get ready")
    made = {(row["n_prompt"], row["round"]) for row in raw.rows}
    for round_ in range(asked.rounds + 1):
        for n_prompt in asked.n_prompt:
            if (n_prompt, round_) in made or stop.is_set() or not raw.time_left():
                continue
            choice = random.Random(f"{n_prompt}/{round_}/{time.time_ns()}")
            prompt = [choice.randrange(FIRST_TOKEN, LAST_TOKEN) for _ in range(n_prompt)]
            body = request_body(prompt, slot=0, n_predict=N_GEN, cached=False)
            order = list(CLIENTS)
            choice.shuffle(order)
            unquiet = not wait_until_quiet(cancel=stop, max_wait_s=asked.gate_wait).passed
            seen = {}
            for name in order:
                encoded = json.dumps(body).encode()
                seen[name] = by_us(client, body) if name == "ours" else by_curl(client.socket, encoded)
            if round_:  # the first warms up
                raw.add(n_prompt=n_prompt, round=round_, order=order, unquiet=unquiet, ms=seen)


def show(rows: Sequence[Row]) -> None:
    lines = []
    for n_prompt in sorted({row["n_prompt"] for row in rows}):
        own = [row for row in rows if row["n_prompt"] == n_prompt]
        for name, title in TITLES.items():
            ours, curl = ([row["ms"][client][name] for row in own] for client in CLIENTS)
            found = compare_paired(curl, ours)
            if found is None:
                continue
            times = [_with_interval(values) for values in (ours, curl)]
            apart = median(a - b for a, b in zip(ours, curl, strict=True))
            ends = f"{found.low:.4f} to {found.high:.4f}"
            busy = f"{sum(row['unquiet'] for row in own)} of {len(own)}"
            ratio = f"{found.ratio:.4f} ({ends})"
            lines.append([f"pp{n_prompt}", title, *times, f"{apart:+.2f}", ratio, str(len(own)), busy, in_words(found)])
    header = [
        "Prompt", "What", "Ours, ms", "curl, ms", "Ours less curl, ms", "Speed, ours over curl", "Rounds",
        "On a busy machine", "Ours is",
    ]  # fmt: skip
    table("The same requests, by our client and by curl", header, lines)


def _with_interval(values: Sequence[float]) -> str:
    interval = median_interval(values)
    ends = "no interval" if interval is None else f"{interval.low:.2f} to {interval.high:.2f}"
    return f"{median(values):.2f} ({ends})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--n-prompt", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--model", default="gemma3-270m-q4_k_m", help="a name of the registry, with a vocabulary")
    parser.add_argument("--image", default="llama-bench-harness/llama.cpp:full-cpu-b11312")
    parser.add_argument("--gate-wait", type=float, default=10.0, help="seconds to wait for a quiet machine")
    add_arguments(parser)
    asked = parser.parse_args()
    endpoint = find_engine(os.environ)
    if endpoint is None:
        sys.exit("no container engine answers")
    engine = DockerEngine(endpoint.host)
    image = engine.image_id(asked.image) or sys.exit(f"{asked.image} is not there: ./bench images --build")
    workspace = find_workspace()
    source = load_registry(workspace.registry)[asked.model]
    model = prepare_model(source, cache=workspace.cache, base=workspace.cache)
    client = ServerClient((), repetitions=1)
    context = str(-(-(max(asked.n_prompt) + N_GEN + 16) // 256) * 256)
    argv = (
        "/app/llama-server", "-m", MODEL_PATH, "-dev", "none", "-ngl", "0", "-fa", "off", "-fit", "off", "-cram", "0",
        "-t", str(physical_cores()), "-np", "1", "-c", context, "--host", f"{SHARED_FOLDER}/{SOCKET_NAME}",
    )  # fmt: skip
    raw = RawResults(
        "first_token",
        asked,
        {"image": image, "model": model.sha256, "argv": argv, "n_gen": N_GEN, "figures": sorted(TITLES)},
    )
    spec = ContainerSpec(
        name=f"lbh-benchmark-{os.getpid()}-{time.monotonic_ns()}",
        image=image,
        argv=argv,
        labels=LABELS,
        mounts=(BindMount(source=model.path.resolve(), target=MODEL_PATH), *client.mounts()),
        memory_bytes=8 * 1024**3,
        user=client.user(),
    )
    try:
        ended, _ = serve(
            engine,
            spec,
            talk=lambda stop: ask_all(client, raw, asked, stop),
            timeout_s=3600,
            cancel=Event(),
        )
    finally:
        client.close()
        engine.close()
    if ended.error or not raw.rows:
        sys.exit(f"nothing was measured: {ended.error or [line.text for line in ended.stderr[-5:]]}")
    show(raw.rows)


if __name__ == "__main__":
    main()
