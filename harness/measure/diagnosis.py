"""Why a run has no rows, or not all of them: exit, engine's words and log become one typed failure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.formats.signatures import ENGINE_SIGNATURES, LOG_SIGNATURES
from harness.formats.signatures.signature import LESS_HOST_MEMORY, Signature
from harness.values.container import ContainerExit
from harness.values.failure import Failure, Phase, Reason
from harness.values.record import Outcome

DETAIL_CHARS = 300
DIAGNOSIS_BYTES = 4096
_LAST_LINES = 12
_MAX_LINE_CHARS = 4096

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")
# C0, C1 and the marks that turn the direction of text: in a terminal or a table they can hide what is written.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")
_SECRETS = (
    (re.compile(r"\bhf_[A-Za-z0-9]{8,}"), "hf_***"),
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|sk-)[A-Za-z0-9_-]{8,}"), "***"),
    (re.compile(r"(?i)(\bauthorization:\s*)(?:bearer|basic)?\s*\S+"), r"\1***"),
    (re.compile(r"(?i)(\bbearer\s+)\S+"), r"\1***"),
    (re.compile(r"(\w://)[^/\s:@]*:[^/\s@]*@"), r"\1***@"),
    (
        re.compile(
            r"(?i)([?&](?:[\w-]*token|[\w-]*signature|sig|[\w-]*key|[\w-]*secret|x-amz-[\w-]+|password)=)[^&\s'\"]+"
        ),
        r"\1***",
    ),
    (re.compile(r"(?i)(\b\w*(?:token|secret|passw(?:or)?d|api_?key)\s*[=:]\s*['\"]?)[^\s'\"&]{6,}"), r"\1***"),
)
_TELLING = re.compile(
    r"(?i)error|fail|abort|assert|warning|terminate|unable|invalid|denied|lost|fault|out of memory|not found"
)

_SIGNALS = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}
_MODEL_BUFFER = re.compile(r"model buffer size|llama_context: constructing")


def diagnose(ended: ContainerExit, *, backend: str = "", secrets: Iterable[str] = ()) -> Failure:
    """Name the cause of a run that did not print all its rows.

    Args:
        ended: how its container ended.
        backend: name in `BACKENDS`; on `cpu`, a GPU that was not found is no cause.
        secrets: values that must not appear in the detail, beside those that are recognised.
    """
    case = _Case(ended=ended, is_cpu=backend == "cpu", secrets=tuple(secrets))
    return _stopped(case) or _never_ran(case) or _killed_for_memory(case) or _by_log(case) or _by_exit_code(case)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    ended: ContainerExit
    is_cpu: bool
    secrets: tuple[str, ...]

    def failure(self, phase: Phase, reason: Reason, detail: str, remedy: str = "") -> Failure:
        return Failure(phase=phase, reason=reason, detail=cleaned(detail, secrets=self.secrets), remedy=remedy)

    @property
    def phase(self) -> Phase:
        """Where it was: a row, or a model in memory, means that the tests were running."""
        ran = any(line.text.lstrip().startswith("{") for line in self.ended.stdout)
        loaded = any(_MODEL_BUFFER.search(line.text[:_MAX_LINE_CHARS]) for line in self.ended.stderr)
        return Phase.RUN if ran or loaded else Phase.LOAD

    @property
    def last_line(self) -> str:
        return next((line.text for line in reversed(self.ended.stderr) if line.text.strip()), "")

    def with_last_line(self, text: str) -> str:
        return f"{text}; last line: {self.last_line.strip()}" if self.last_line else text


def _stopped(case: _Case) -> Failure | None:
    ended = case.ended
    if ended.cancelled:
        return case.failure(
            case.phase, Reason.INTERRUPTED, "stopped by the user", "Start the same command again to go on."
        )
    if not ended.timed_out:
        return None
    hung = ended.killed_by_us
    seconds = (ended.ended_ns - ended.started_ns) / 1e9
    text = f"not done after {seconds:.0f} s" + (f", and had to be ended by {ended.kill_stage}" if hung else "")
    reason = Reason.HANG if hung else Reason.TIMEOUT
    return case.failure(
        case.phase,
        reason,
        case.with_last_line(text),
        "Raise `timeout` in the matrix and add --retry-failed, or use a smaller test.",
    )


def _never_ran(case: _Case) -> Failure | None:
    ended = case.ended
    if not ended.error:
        return None
    if ended.error_phase != "wait":
        for signature in ENGINE_SIGNATURES:
            if signature.pattern.search(ended.error[:_MAX_LINE_CHARS]):
                return case.failure(signature.phase, signature.reason, ended.error, signature.remedy)
    phase = case.phase if ended.error_phase == "wait" else Phase.START
    return case.failure(phase, Reason.ENGINE, ended.error, "See `invoke doctor` and the engine's own log.")


def _killed_for_memory(case: _Case) -> Failure | None:
    ended = case.ended
    if ended.exit_code != 137 and not (ended.oom_killed and ended.exit_code):  # noqa: PLR2004 - 128 + SIGKILL
        return None
    if ended.killed_by_us and not ended.oom_killed:
        return None
    if ended.oom_killed:
        return case.failure(
            case.phase, Reason.OOM_HOST, case.with_last_line("killed at the container's memory limit"), LESS_HOST_MEMORY
        )
    text = "killed with SIGKILL (exit code 137), mostly by the kernel because the machine had no memory left"
    return case.failure(case.phase, Reason.OOM_HOST, case.with_last_line(text), LESS_HOST_MEMORY)


def _by_log(case: _Case) -> Failure | None:
    found = decisive([line.text for line in case.ended.stderr], is_cpu=case.is_cpu, was_loaded=case.phase is Phase.RUN)
    if found is None or case.ended.exit_code == 0:
        return None
    signature, line = found
    return case.failure(signature.phase, signature.reason, line, signature.remedy)


def decisive(lines: Sequence[str], *, is_cpu: bool = False, was_loaded: bool = False) -> tuple[Signature, str] | None:
    """The most decisive signature that the lines hold, and the first line with it."""
    texts = [line[:_MAX_LINE_CHARS] for line in lines if line.strip()]
    for signature in LOG_SIGNATURES:
        if signature.gpu_only and (is_cpu or (was_loaded and signature.phase is Phase.LOAD)):
            continue
        for text in texts:
            if signature.pattern.search(text):
                return signature, text.strip()
    return None


def explained(outcome: Outcome, ended: ContainerExit, *, secrets: Iterable[str] = ()) -> Outcome:
    """The same outcome, and where the CPU did a GPU's work and the log says why, with that as its reason.

    llama.cpp goes on without a device that it cannot use, and exits with 0.
    """
    failure = outcome.failure
    if failure is None or failure.reason is not Reason.CPU_FALLBACK:
        return outcome
    found = decisive([line.text for line in ended.stderr])
    if found is None or not found[0].gpu_only:
        return outcome
    signature, line = found
    detail = cleaned(f"{line} (so the CPU did the work: {failure.detail})", secrets=secrets)
    return replace(outcome, failure=replace(failure, reason=signature.reason, detail=detail, remedy=signature.remedy))


def _by_exit_code(case: _Case) -> Failure:
    code, signal = case.ended.exit_code, case.ended.signal
    if code is None:
        return case.failure(case.phase, Reason.ENGINE, "the engine could not say how the container ended")
    if code == 0:
        return case.failure(Phase.READ, Reason.MISSING_ROWS, "llama-bench ended with exit code 0", "Run it again.")
    if code in (126, 127):
        text = case.with_last_line(f"llama-bench could not be executed (exit code {code})")
        return case.failure(
            Phase.START, Reason.IMAGE, text, "Use an image that holds llama-bench where `binary_dir` says."
        )
    if signal is None:
        return case.failure(case.phase, Reason.EXIT, case.with_last_line(f"ended with exit code {code}"))
    text = case.with_last_line(f"ended by {_SIGNALS.get(signal, f'signal {signal}')} (exit code {code})")
    if signal == 6:  # noqa: PLR2004 - SIGABRT
        return case.failure(case.phase, Reason.ABORT, text, "Try another build, and report it to llama.cpp.")
    remedy = "The image was built for a newer CPU: use one with all CPU variants." if signal == 4 else ""  # noqa: PLR2004 - SIGILL
    return case.failure(case.phase, Reason.CRASH, text, remedy or "Try another build, and report it to llama.cpp.")


def cleaned(text: str, *, secrets: Iterable[str] = (), limit: int = DETAIL_CHARS) -> str:
    """One line without control characters and secrets, at most `limit` characters; the middle goes if it is longer."""
    text = _ANSI.sub("", text[: 16 * _MAX_LINE_CHARS])
    text = _CONTROL.sub(" ", text)
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    head = (limit - 1) * 2 // 3
    return f"{text[:head]}…{text[-(limit - 1 - head) :]}"


def relevant_stderr(lines: Iterable[str], *, secrets: Iterable[str] = ()) -> str:
    """The lines that matter for a failure: those that tell of trouble, and the last ones; redacted, at most 4 KiB.

    Later lines are kept where not all have room.
    """
    texts = [line[:_MAX_LINE_CHARS] for line in lines if line.strip()]
    secrets = tuple(secrets)
    kept: list[str] = []
    seen: set[str] = set()
    room = DIAGNOSIS_BYTES
    for index in range(len(texts) - 1, -1, -1):
        if index < len(texts) - _LAST_LINES and not _TELLING.search(texts[index]):
            continue
        text = cleaned(texts[index], secrets=secrets)
        size = len(text.encode()) + 1
        if text in seen:
            continue
        if size > room:
            break
        seen.add(text)
        kept.append(text)
        room -= size
    return "\n".join(reversed(kept))
