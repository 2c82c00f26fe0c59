"""Whatever a container prints and however it ends: every cell gets samples or a typed failure, and nothing raises."""

import json
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.formats import llama_bench, llama_log
from harness.measure.proof import judge
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.facts import ImageFacts, ModelFacts
from harness.values.failure import Phase, Reason
from harness.values.record import Proof
from tests.unit.measure.conftest import CAPTURES, make_cell, make_ended

STDOUT = (CAPTURES / "cpu-b11312/good-v.stdout").read_text().splitlines()
STDERR = (CAPTURES / "cpu-b11312/good-v.stderr").read_text().splitlines()
ROW = json.loads(STDOUT[0])

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
changed_row = st.dictionaries(st.sampled_from(sorted(ROW)), any_json, max_size=3).map(
    lambda changes: json.dumps(ROW | changes)
)
cut_row = st.integers(0, len(STDOUT[0])).map(lambda size: STDOUT[0][:size])
out_line = st.one_of(st.sampled_from(STDOUT), changed_row, cut_row, st.text(max_size=200))
err_line = st.one_of(st.sampled_from(STDERR), st.text(max_size=200))


@settings(max_examples=400, deadline=None)
@given(
    stdout=st.lists(out_line, max_size=6),
    stderr=st.lists(err_line, max_size=12),
    exit_code=st.none() | st.integers(0, 255),
    flags=st.fixed_dictionaries({name: st.booleans() for name in ("oom_killed", "timed_out", "cancelled")}),
    error=st.sampled_from(["", "the engine went away", "could not select device driver"]) | st.text(max_size=80),
    phase=st.sampled_from(["create", "start", "wait"]),
    stage=st.sampled_from([None, "term", "kill", "remove"]),
    backend=st.sampled_from(["cpu", "vulkan"]),
    verbose=st.booleans(),
)
def test_every_cell_gets_samples_or_a_typed_failure(
    *, stdout, stderr, exit_code, flags, error, phase, stage, backend, verbose
) -> None:
    cells = (make_cell(32, backend=backend), make_cell(0, 8, backend=backend))
    ended = make_ended(
        stdout, stderr, exit_code, **flags, kill_stage=stage, error=error, error_phase=phase if error else ""
    )
    outcomes = judge(
        cells,
        ended,
        llama_bench.read(stdout),
        llama_log.read(stderr) if verbose else None,
        passthrough=Passthrough(expected=() if backend == "cpu" else (ExpectedDevice(name="Vulkan0"),)),
        backend=backend,
        image=ImageFacts(name=backend, ref=backend, id="sha256:1"),
        model=ModelFacts(
            name="m", title="m", source="file", path=CAPTURES, sha256="0" * 64, size_bytes=10**9, synthetic=False
        ),
        repetitions=len(ROW["samples_ns"]),
    )
    assert [outcome.cell for outcome in outcomes] == [cell.id for cell in cells]
    for outcome in outcomes:
        if outcome.failure is None:
            assert len(outcome.samples_ns) == len(ROW["samples_ns"])
            assert min(outcome.samples_ns) > 0
            assert Proof.CONTRADICTED not in {check.proof for check in outcome.checks}
        else:
            assert outcome.samples_ns == ()
            assert outcome.failure.phase in Phase
            assert outcome.failure.reason in Reason
            assert len(outcome.failure.detail) <= 300
            assert not {unicodedata.category(sign) for sign in outcome.failure.detail} & {"Cc", "Cs", "Zl", "Zp"}
            assert not set(outcome.failure.detail) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
