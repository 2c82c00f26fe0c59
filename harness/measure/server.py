"""llama-server as a measurement: times to first token and between tokens as a client sees them, and times to load.

    ttft      from just before the request is written to the first piece of the stream that holds a token
    itl       between two tokens; of a piece with several, its time shared among them
    load      from the start of the container to the first "ok" of /health, the program's own warm-up included

`docs/latency.md` defines all of them. The row of an outcome keeps the server's own times of every request.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

from harness.formats import llama_log, llama_server
from harness.measure.common_options import head, program_options
from harness.measure.diagnosis import diagnose
from harness.measure.log_proof import log_findings, outcome_of
from harness.measure.parameters import unsupported
from harness.measure.placement import Finding, contradicted, proven, unobservable
from harness.measure.server_client import SHARED_FOLDER, SOCKET_NAME, ServerClient
from harness.measure.windows import IDLE, LOAD
from harness.values.bench import LogFacts
from harness.values.cell import Cell
from harness.values.container import ContainerExit, Passthrough
from harness.values.facts import ImageFacts
from harness.values.failure import Failure, Phase, Reason
from harness.values.measured import Answer, Asked, Heard
from harness.values.measurement import LOAD as LOADING
from harness.values.record import Outcome
from harness.values.telemetry import Window

PROGRAM = "llama-server"
DRAFT_PATH: Final = "/models/draft.gguf"
_SPARE_TOKENS = 16
_CONTEXT_STEP = 256
_CACHED_SHARE = 0.9
"""Of a prefix that has to come from the server's cache: it may compute a last part of it again."""

_SERVER_TIMES = (
    "prompt_ms",
    "predicted_ms",
    "prompt_per_second",
    "predicted_per_second",
    "cache_n",
    "draft_n",
    "draft_n_accepted",
)

_BUILD_INFO = re.compile(r"b(\d+)-([0-9a-f]+)")


class Server:
    """Implements `harness.values.protocols.Measurement` for latency and load cells."""

    def argv(
        self,
        cells: Sequence[Cell],
        image: ImageFacts,
        *,
        passthrough: Passthrough,
        repetitions: int,  # noqa: ARG002 - the client repeats
        verbose: bool,
    ) -> tuple[str, ...] | Failure:
        """A server without a network: it listens on a socket in a folder that it shares with its client."""
        first = cells[0]
        flags = program_options(image, PROGRAM)
        if isinstance(flags, Failure):
            return flags
        start = head(first.params, image, PROGRAM, passthrough=passthrough, verbose=verbose)
        if isinstance(start, Failure):
            return start
        if any(cell.test.n_depth for cell in cells) and "--cache-reuse" not in flags and "--slots" not in flags:
            return unsupported("this server cannot be asked to keep a prefix")
        slots = first.test.n_parallel
        longest = max(cell.test.n_depth + cell.test.n_prompt + cell.test.n_gen for cell in cells) + _SPARE_TOKENS
        # What is no multiple is rounded, which is downwards for several slots.
        context = math.ceil(longest / _CONTEXT_STEP) * _CONTEXT_STEP
        own = ["--host", f"{SHARED_FOLDER}/{SOCKET_NAME}", "-np", str(slots), "-c", str(slots * context), "--metrics"]
        # Prompts of earlier requests are not to be found in the host's memory.
        own += ["-cram", "0"] if "-cram" in flags else []
        own += ["--no-webui"] if "--no-webui" in flags else ["--no-ui"] if "--no-ui" in flags else []
        drafting = _drafting(first, flags)
        if isinstance(drafting, Failure):
            return drafting
        own += drafting
        own += ["--swa-full"] if any(cell.test.n_depth for cell in cells) and "--swa-full" in flags else []
        return (*start, *own)

    def client(self, cells: Sequence[Cell], *, repetitions: int, text: Path | None) -> ServerClient:
        """Asks the server for every cell in turn."""
        return ServerClient(cells, repetitions=repetitions, text=text)

    def windows(
        self, cells: Sequence[Cell], ended: ContainerExit, heard: Heard | None, *, begin_ns: int | None
    ) -> tuple[Window, ...]:
        """Idle before the start, loading until it is ready, then each cell from its first request to its last token."""
        found = []
        if begin_ns is not None and begin_ns < ended.started_ns:
            found.append(Window(name=IDLE, begin_ns=begin_ns, end_ns=ended.started_ns))
        ready_ns = heard.ready_ns if heard and heard.ready_ns else ended.ended_ns
        found.append(Window(name=LOAD, begin_ns=ended.started_ns, end_ns=max(ready_ns, ended.started_ns)))
        for cell in cells:
            answers = [answer for group in (heard.answers.get(cell.id, ()) if heard else ()) for answer in group]
            if answers:
                begin, end = min(a.sent_ns for a in answers), max(a.ended_ns for a in answers)
                # Between the repetitions prefixes are filled and counters are read: not all of it is timed.
                found.append(Window(name=cell.id, begin_ns=begin, end_ns=end, untimed=True))
        return tuple(found)

    def log(self, ended: ContainerExit, *, verbose: bool) -> LogFacts | None:
        """Only a run with `-v` logs what it loads."""
        return llama_log.read(line.text for line in ended.stderr) if verbose else None

    def judge(
        self, cells: Sequence[Cell], ended: ContainerExit, heard: Heard | None, asked: Asked
    ) -> tuple[Outcome, ...]:
        """What the client saw, with what the server's log and its properties prove."""
        log = self.log(ended, verbose=asked.verbose)
        heard = heard or Heard()
        return tuple(_judged(cell, ended, heard, log, asked) for cell in cells)


def _drafting(cell: Cell, flags: Mapping[str, str]) -> list[str] | Failure:
    """The options of speculative decoding; the draft model lies where the large one does."""
    if not cell.test.draft:
        return []
    if "-md" not in flags:
        return unsupported("this server has no -md: it does not know speculative decoding with a draft model")
    found = ["-md", DRAFT_PATH]
    found += ["-ngld", str(cell.params["n_gpu_layers"])] if "-ngld" in flags and "n_gpu_layers" in cell.params else []
    # Where there is this option, its default is `none`.
    return found + (["--spec-type", "draft-simple"] if "--spec-type" in flags else [])


def _judged(cell: Cell, ended: ContainerExit, heard: Heard, log: LogFacts | None, asked: Asked) -> Outcome:
    if heard.ready_ns is None:
        return Outcome(cell=cell.id, failure=_not_ready(ended, heard, asked))
    loading = cell.test.measurement == LOADING
    repetitions = heard.answers.get(cell.id, ())
    problem = _problem(cell, repetitions, asked.repetitions) if not loading else ""
    if problem:
        return Outcome(cell=cell.id, failure=_unanswered(problem, ended, heard, asked))
    findings = [
        _build(heard, asked.image),
        *log_findings(cell, log, asked),
    ]
    load_ns = max(1, heard.ready_ns - ended.started_ns)
    if loading:
        return outcome_of(cell, (load_ns,), {"load_ns": (load_ns,)}, _row(heard, ()), findings)
    findings.append(_cached(cell, repetitions))
    findings += [_drafted(repetitions)] if cell.test.draft else []
    samples = tuple(max(1, round(fmean(a.tokens[0][0] - a.sent_ns for a in group))) for group in repetitions)
    series = _series(repetitions) | {"load_ns": (load_ns,)}
    return outcome_of(cell, samples, series, _row(heard, repetitions), findings)


def _problem(cell: Cell, repetitions: Sequence[Sequence[Answer]], wanted: int) -> str:
    """Why the answers are not what was asked for; empty where they are."""
    for group in repetitions:
        for answer in group:
            if answer.problem:
                return answer.problem
            if answer.n_tokens < cell.test.n_gen:
                return f"{answer.n_tokens} of {cell.test.n_gen} tokens came"
            evaluated = answer.final.get("tokens_evaluated")
            if isinstance(evaluated, int) and evaluated != cell.test.n_depth + cell.test.n_prompt:
                return f"the server read {evaluated} tokens of {cell.test.n_depth + cell.test.n_prompt}"
    if len(repetitions) < wanted or any(len(group) != cell.test.n_parallel for group in repetitions):
        return f"{len(repetitions)} of {wanted} repetitions were answered"
    return ""


def _not_ready(ended: ContainerExit, heard: Heard, asked: Asked) -> Failure:
    failure = diagnose(ended, backend=asked.backend)
    if failure.reason is not Reason.MISSING_ROWS and not _ended_by_us(failure, ended):
        return failure
    words = heard.problem or "the server never said that it is ready"
    return Failure(phase=Phase.LOAD, reason=Reason.LOAD, detail=words, remedy="See the diagnosis in the record.")


def _unanswered(problem: str, ended: ContainerExit, heard: Heard, asked: Asked) -> Failure:
    failure = diagnose(ended, backend=asked.backend)
    detail = f"{problem}; {heard.problem}" if heard.problem else problem
    if _ended_by_us(failure, ended):
        return Failure(phase=Phase.RUN, reason=Reason.HANG, detail=f"{detail[:250]}; and it did not end when told to")
    if failure.reason in {Reason.MISSING_ROWS, Reason.EXIT} or ended.exit_code == 0:
        return Failure(phase=Phase.RUN, reason=Reason.MALFORMED, detail=detail[:300])
    return failure


def _ended_by_us(failure: Failure, ended: ContainerExit) -> bool:
    """Whether all that its end tells is that the harness killed it, since its client had given up."""
    return failure.reason is Reason.CRASH and ended.killed_by_us and not ended.oom_killed


def _build(heard: Heard, image: ImageFacts) -> Finding:
    said = heard.about.get("build_info")
    match = _BUILD_INFO.fullmatch(said) if isinstance(said, str) else None
    if match is None or image.build_number is None:
        return unobservable("build", f"the server says {said!r}, the image {image.build_number}")
    if int(match[1]) != image.build_number:
        return contradicted("build", f"{said}, the image's is b{image.build_number}", Reason.INCONSISTENT)
    return proven("build", str(said))


def _cached(cell: Cell, repetitions: Sequence[Sequence[Answer]]) -> Finding:
    """That the prefix came from the cache, or that nothing did."""
    depth = cell.test.n_depth
    counts = [llama_server.timings(a.final).get("cache_n") for group in repetitions for a in group]
    known = [count for count in counts if count is not None]
    if not known:
        return unobservable("cached_prefix", "this server does not say what it found in its cache")
    if not depth:
        if max(known) > 0:
            return contradicted(
                "cached_prefix", f"{max(known):.0f} tokens were cached, none should", Reason.INCONSISTENT
            )
        return proven("cached_prefix", "nothing was cached")
    if min(known) < _CACHED_SHARE * depth:
        evidence = f"{min(known):.0f} of {depth} tokens came from the cache"
        return contradicted("cached_prefix", evidence, Reason.UNSUPPORTED)
    return proven("cached_prefix", f"{min(known):.0f} of {depth} tokens")


def _drafted(repetitions: Sequence[Sequence[Answer]]) -> Finding:
    """That the draft model was used at all."""
    times = [llama_server.timings(answer.final) for group in repetitions for answer in group]
    drafted = [one["draft_n"] for one in times if "draft_n" in one]
    if not any(drafted):
        evidence = "the server drafted no token" if drafted else "the server tells of no drafted token"
        return contradicted("draft", evidence, Reason.UNSUPPORTED)
    accepted = sum(one.get("draft_n_accepted", 0) for one in times)
    return proven("draft", f"{accepted:.0f} of {sum(drafted):.0f} drafted tokens were accepted")


def _series(repetitions: Sequence[Sequence[Answer]]) -> dict[str, tuple[int | float, ...]]:
    """One value a request, repetition by repetition; `itl_ns` has those of the counted repetitions, one a token."""
    answers = [answer for group in repetitions for answer in group]
    times = [llama_server.timings(answer.final) for answer in answers]
    counted = [answer for group in (repetitions[1:] or repetitions) for answer in group]
    found: dict[str, tuple[int | float, ...]] = {
        "ttft_ns": tuple(a.tokens[0][0] - a.sent_ns for a in answers),
        "generation_ns": tuple(a.tokens[-1][0] - a.tokens[0][0] for a in answers),
        "generated_tokens": tuple(a.n_tokens for a in answers),
        "request_ns": tuple(a.ended_ns - a.sent_ns for a in answers),
        "all_requests_ns": tuple(max(a.ended_ns for a in g) - min(a.sent_ns for a in g) for g in repetitions),
        "itl_ns": tuple(value for answer in counted for value in _between_tokens(answer)),
    }
    for name in _SERVER_TIMES:
        if all(name in one for one in times):
            found[f"server_{name}"] = tuple(one[name] for one in times)
    return found


def _between_tokens(answer: Answer) -> list[int]:
    values: list[int] = []
    for (before, _), (at_ns, count) in zip(answer.tokens, answer.tokens[1:], strict=False):
        values += [(at_ns - before) // count] * count
    return values


def _row(heard: Heard, repetitions: Sequence[Sequence[Answer]]) -> dict[str, object]:
    return {
        "server": dict(heard.about),
        "timings": [[llama_server.timings(a.final) for a in group] for group in repetitions],
    }
