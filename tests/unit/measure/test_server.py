"""llama-server as a measurement: the client against a server on a real Unix socket, and the judge of what it heard."""

import itertools
from dataclasses import replace
from threading import Event
from types import SimpleNamespace

import pytest

from harness.analysis.metrics import run_metrics
from harness.measure.server import Server
from harness.measure.server_client import ServerClient
from harness.measure.telemetry import server_trace
from harness.values.cell import Cell, Test
from harness.values.container import Passthrough
from harness.values.failure import Phase, Reason
from harness.values.measured import Asked, Heard
from harness.values.record import Proof
from tests.unit.measure.conftest import PARAMS, TINY, make_ended, make_image_facts
from tests.unit.measure.llama_server_double import Behaviour, start

LOADED = (
    "load_backend: loaded CPU backend from /app/libggml-cpu-zen4.so",
    "load_tensors:   CPU_Mapped model buffer size =   0.78 MiB",
    "llama_kv_cache:        CPU KV buffer size =     1.00 MiB",
    "llama_context: flash_attn    = disabled",
    "sched_reserve: graph splits = 1",
)
FLAGS = {"llama-server": {"-m": "", "-dev": "", "-fit": "", "-fa": "[on|off|auto]", "-lm": "", "-ngl": "N", "-b": "N",
                          "-ub": "N", "-ctk": "T", "-ctv": "T", "-t": "N", "-cram": "N", "--swa-full": "",
                          "--no-webui": "", "--slots": ""}}  # fmt: skip


def cell(n_prompt=8, n_gen=4, *, depth=0, parallel=1, measurement="latency", **more):
    test = Test(n_prompt=n_prompt, n_gen=n_gen, n_depth=depth, measurement=measurement, n_parallel=parallel, **more)
    return Cell(id=f"cpu/m/{test.name}", backend="cpu", image="cpu", model="model", params=PARAMS, test=test)


@pytest.fixture
def served():
    """Talk to a server that behaves as told; what the client heard, and the server's side."""
    opened = []

    def talk(cells, *, repetitions=3, text=None, **behaves):
        behaviour = Behaviour(**behaves)
        client = ServerClient(cells, repetitions=repetitions, text=text)
        opened.append((client, server := start(client.socket, behaviour)))
        heard = client.talk(Event())
        server.shutdown()
        return SimpleNamespace(heard=heard, behaviour=behaviour, client=client)

    yield talk
    for client, server in opened:
        server.server_close()
        client.close()


def judged(cells, heard, *, repetitions=3, stderr=LOADED, **ended):
    end = make_ended(stderr=stderr, **({"exit_code": 0} | ended))
    asked = Asked(
        passthrough=Passthrough(),
        backend="cpu",
        image=make_image_facts(),
        model=TINY,
        repetitions=repetitions,
        verbose=True,
    )
    return Server().judge(cells, end, heard, asked)


def test_every_request_is_timed_from_its_sending_to_its_tokens(served):
    one = cell(n_prompt=8, n_gen=4)
    heard = served((one,), first_s=0.05, next_s=0.01).heard
    (outcome,) = judged((one,), heard)
    assert outcome.failure is None
    assert len(outcome.samples_ns) == len(outcome.series["ttft_ns"]) == 3
    assert all(value >= 50_000_000 for value in outcome.series["ttft_ns"])
    # Three steps between four tokens, of the two repetitions that count.
    assert len(outcome.series["itl_ns"]) == 2 * 3
    # No token can be read before it was sent; one that is read late makes the next step shorter.
    whole = zip(outcome.series["ttft_ns"], outcome.series["generation_ns"], strict=True)
    assert all(first_ns + rest_ns >= 80_000_000 for first_ns, rest_ns in whole)
    assert sum(outcome.series["itl_ns"]) == pytest.approx(sum(outcome.series["generation_ns"][1:]), rel=1e-6)
    assert outcome.series["generated_tokens"] == (4, 4, 4)
    assert outcome.series["server_prompt_per_second"] == (100.0, 100.0, 100.0)
    # When it is ready, and after each repetition.
    assert [one["prompt_tokens_total"] for one in heard.counters] == [12] * 4
    assert {c.name: c.proof for c in outcome.checks}["build"] is Proof.PROVEN


def test_it_waits_for_a_server_that_is_loading(served):
    heard = served((cell(),), loading=5).heard
    assert heard.ready_ns is not None
    assert heard.about == {"build_info": "b11312-0c1e57098", "total_slots": 1, "n_ctx": 640, "n_vocab": 262144}


def test_prompts_are_random_tokens_of_the_asked_length_and_no_two_begin_alike(served):
    asked = served((cell(n_prompt=16),)).behaviour.asked
    assert [len(body["prompt"]) for body in asked] == [16, 16, 16]
    assert len({body["prompt"][0] for body in asked}) == 3
    assert all(body["ignore_eos"] and not body["cache_prompt"] for body in asked)


def test_a_cached_prefix_is_sent_before_and_is_the_beginning_of_the_prompt(served):
    one = cell(n_prompt=4, depth=32)
    found = served((one,), repetitions=2, cached=32)
    fills, asks = found.behaviour.asked[::2], found.behaviour.asked[1::2]
    assert all(body["n_predict"] == 0 and len(body["prompt"]) == 32 for body in fills)
    assert all(ask["prompt"][:32] == fill["prompt"] for fill, ask in zip(fills, asks, strict=True))
    (outcome,) = judged((one,), found.heard, repetitions=2)
    assert outcome.failure is None
    assert next(c for c in outcome.checks if c.name == "cached_prefix").evidence == "32 of 32 tokens"


def test_a_server_that_computes_the_prefix_again_gives_no_number(served):
    one = cell(n_prompt=4, depth=32)
    (outcome,) = judged((one,), served((one,), repetitions=2, cached=3).heard, repetitions=2)
    assert (outcome.failure.phase, outcome.failure.reason) == (Phase.PROOF, Reason.UNSUPPORTED)
    assert "3 of 32 tokens came from the cache" in outcome.failure.detail


def test_requests_at_once_are_sent_together(served):
    one = cell(parallel=3)
    heard = served((one,), repetitions=2, first_s=0.1).heard
    for group in heard.answers[one.id]:
        assert len(group) == 3
        assert max(a.sent_ns for a in group) < min(a.tokens[0][0] for a in group)
    (outcome,) = judged((one,), heard, repetitions=2)
    assert len(outcome.series["ttft_ns"]) == 6
    assert len(outcome.samples_ns) == len(outcome.series["all_requests_ns"]) == 2


def test_the_same_test_has_the_same_prompts_in_every_run_and_another_test_others(served):
    first, again = (served((cell(),)).behaviour.asked for _ in range(2))
    assert [body["prompt"] for body in first] == [body["prompt"] for body in again]
    both = served((cell(), cell(n_gen=5)), repetitions=2).behaviour.asked
    assert len({tuple(body["prompt"]) for body in both}) == 4


def test_prompts_of_text_are_pieces_of_it_and_begin_again_at_its_end(served, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("abcd")
    asked = served((cell(n_prompt=6, prompts="text"),), text=text).behaviour.asked
    letters = "".join(chr(token - 2000) for token in asked[0]["prompt"])
    assert letters in "abcd" * 3
    assert len(letters) == 6


def test_prompts_of_text_without_a_text_are_a_failure_that_says_so(served):
    one = cell(prompts="text")
    (outcome,) = judged((one,), served((one,)).heard)
    assert "made no tokens of the text" in outcome.failure.detail


def test_a_draft_model_has_to_draft(served):
    one = cell(draft="small")
    (outcome,) = judged((one,), served((one,), drafted=4).heard)
    assert outcome.failure is None
    assert next(c for c in outcome.checks if c.name == "draft").evidence == "6 of 12 drafted tokens were accepted"
    assert run_metrics(one, outcome)["draft_accepted_percent"] == 50
    for drafted in (0, None):
        (outcome,) = judged((one,), served((one,), drafted=drafted).heard)
        assert outcome.failure.reason is Reason.UNSUPPORTED


def test_the_draft_model_is_an_option_of_the_server_where_it_has_one():
    flags = {"llama-server": FLAGS["llama-server"] | {"-md": "", "-ngld": "N", "--spec-type": "T"}}
    asked = {"passthrough": Passthrough(), "repetitions": 3, "verbose": False}
    argv = Server().argv((cell(draft="small"),), make_image_facts(programs=flags), **asked)
    options = dict(itertools.pairwise(argv))
    assert options["-md"] == "/models/draft.gguf"
    assert options["--spec-type"] == "draft-simple"
    assert "-md" not in Server().argv((cell(),), make_image_facts(programs=flags), **asked)
    assert Server().argv((cell(draft="small"),), make_image_facts(programs=FLAGS), **asked).reason is Reason.UNSUPPORTED


def test_counters_over_time_are_a_trace():
    counters = ({"at_ns": 5_000_000.0, "a": 1.0, "b": 2.5}, {"at_ns": 9_000_000.0, "a": 4.0, "b": 2.5})
    trace = server_trace(counters, 1_000_000)
    assert (trace.subject, trace.at_ms) == ("llama-server", (4, 8))
    assert (dict(trace.columns), dict(trace.constant)) == ({"a": (1, 4)}, {"b": 2.5})
    assert server_trace((), 0) is None


def test_a_refusal_is_a_failure_with_the_servers_words(served):
    one = cell()
    (outcome,) = judged((one,), served((one,), refuses=503).heard)
    assert outcome.failure.reason is Reason.MALFORMED
    assert "HTTP 503" in outcome.failure.detail
    assert "no slot" in outcome.failure.detail


def test_a_stream_that_breaks_off_is_a_failure(served):
    one = cell()
    (outcome,) = judged((one,), served((one,), breaks_after=2).heard)
    assert outcome.failure is not None
    assert not outcome.samples_ns


def test_a_server_that_never_gets_ready_fails_with_what_its_log_says():
    log = ("ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 1",
           "error loading model: unable to allocate CPU buffer", "srv  load_model: failed to load model")  # fmt: skip
    (outcome,) = judged((cell(),), Heard(), stderr=log, exit_code=1)
    assert outcome.failure.phase is Phase.LOAD
    assert outcome.failure.reason is not Reason.MISSING_ROWS


def test_a_server_killed_at_its_memory_limit_is_out_of_memory():
    (outcome,) = judged((cell(),), Heard(), exit_code=137, oom_killed=True)
    assert outcome.failure.reason is Reason.OOM_HOST


def test_a_server_that_we_had_to_kill_is_not_out_of_memory(served):
    one = cell()
    heard = replace(served((one,), refuses=503).heard, problem="TimeoutError: no answer")
    (outcome,) = judged((one,), heard, exit_code=137, kill_stage="kill")
    assert outcome.failure.reason is Reason.HANG
    assert "HTTP 503" in outcome.failure.detail
    assert "no answer" in outcome.failure.detail
    (outcome,) = judged((one,), Heard(problem="TimeoutError: no answer"), exit_code=137, kill_stage="kill")
    assert outcome.failure.reason is Reason.LOAD
    assert "no answer" in outcome.failure.detail


def test_another_build_than_the_images_is_contradicted(served):
    one = cell()
    heard = served((one,)).heard
    (outcome,) = judged((one,), replace(heard, about=heard.about | {"build_info": "b9-0c1e57098"}))
    assert outcome.failure.reason is Reason.INCONSISTENT


def test_loading_is_the_time_from_the_start_to_ready(served):
    one = cell(0, 0, measurement="load", cold=True)
    heard = served((one,)).heard
    assert not heard.answers
    (outcome,) = judged((one,), replace(heard, ready_ns=250_000_000), repetitions=1)
    assert outcome.samples_ns == (250_000_000,)


def test_windows_are_loading_and_then_each_cell(served):
    one, other = cell(), cell(n_prompt=16)
    heard = served((one, other)).heard
    end = make_ended(started_ns=heard.ready_ns - 1_000_000)
    found = Server().windows((one, other), end, heard, begin_ns=heard.ready_ns - 2_000_000)
    assert [window.name for window in found] == ["idle", "load", one.id, other.id]
    assert all(window.begin_ns <= window.end_ns for window in found)
    assert found[2].end_ns <= found[3].begin_ns


def test_the_command_line_has_no_network_and_a_context_for_everything_at_once():
    image = make_image_facts(programs=FLAGS)
    argv = Server().argv(
        (cell(parallel=2), cell(n_prompt=100, parallel=2)), image,
        passthrough=Passthrough(), repetitions=3, verbose=True,
    )  # fmt: skip
    assert argv[0] == "/app/llama-server"
    options = dict(itertools.pairwise(argv))
    assert options["--host"] == "/shared/llama.sock"
    assert options["-np"] == "2"
    assert int(options["-c"]) == 2 * 256
    # Before `-ngl`, which loads the backends: what is said of that would be lost.
    assert argv.index("-v") < argv.index("-ngl")
    assert (options["-dev"], options["-fit"], options["-fa"], options["-cram"]) == ("none", "off", "off", "0")


def test_an_image_without_the_server_is_unsupported():
    argv = Server().argv((cell(),), make_image_facts(), passthrough=Passthrough(), repetitions=3, verbose=False)
    assert argv.reason is Reason.UNSUPPORTED
    assert "llama-server" in argv.detail
