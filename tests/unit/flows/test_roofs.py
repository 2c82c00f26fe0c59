"""The processor's roof at the start of a session: remembered from start to start, and never in the way."""

import io
from dataclasses import replace
from threading import Event

import pytest
from rich.console import Console

from harness.artifacts import probe_image
from harness.engine.replay import ReplayEngine, scripted
from harness.errors import ArtifactError
from harness.flows import roofs as roofs_flow
from harness.flows.console import Display
from harness.flows.roofs import Prober, remembered
from harness.flows.workspace import CHECKOUT
from harness.store.sessions import read_sessions
from harness.values.failure import Reason
from harness.values.roof import Roof

SLOW = Roof(n_threads=2, read_bytes_per_s=(10, 10, 10))
FAST = Roof(n_threads=2, read_bytes_per_s=(30, 30, 30))
ANSWER = '{"read_bytes_per_s": [30, 30, 30], "fp32_flops_per_s": [5]}'


class Real(ReplayEngine):
    @property
    def simulated(self) -> bool:
        return False


def prober(tmp_path, engine, journal=lambda _event, _fields: None):
    return Prober(
        engine=engine,
        store=None,  # type: ignore[arg-type]  # the image is there
        machine="box",
        cores=2,
        memory_bytes=1 << 30,
        images=CHECKOUT / "images",
        cache=tmp_path,
        state=tmp_path / "state",
        display=Display(terminal=False, stream=Console(file=io.StringIO())),
        cancel=Event(),
        journal=journal,
        lock="/lock",
    )


def test_the_best_of_earlier_starts_is_kept(tmp_path) -> None:
    path = tmp_path / "state" / "roofs.json"
    (first,) = remembered([FAST], path, now="monday")
    assert (first.best_read_bytes_per_s, first.best_utc) == (30, "monday")
    (second,) = remembered([SLOW], path, now="tuesday")
    assert (second.read, second.best_read_bytes_per_s, second.best_utc) == (10, 30, "monday")
    (other,) = remembered([replace(SLOW, n_threads=1)], path, now="tuesday")
    assert other.best_read_bytes_per_s == 10


def test_a_damaged_memory_is_begun_anew(tmp_path) -> None:
    path = tmp_path / "roofs.json"
    path.write_text('{"read_bytes_per_s": {"2": {"best": "x"}}, "no')
    (roof,) = remembered([SLOW], path, now="now")
    assert roof.best_read_bytes_per_s == 10


def test_a_probe_for_each_number_of_threads_in_a_container_like_the_runs(tmp_path, monkeypatch, tg) -> None:
    monkeypatch.setattr(roofs_flow, "ensure_probe", lambda **_how: "sha256:probe")
    engine = Real(lambda _spec: scripted(ANSWER, ""))
    noted = []
    cells = [tg(4), tg(8), tg(8, params={"n_threads": 1})]
    found = prober(tmp_path, engine, lambda event, _fields: noted.append(event)).roofs(cells)
    assert [roof.n_threads for roof in found] == [1, 2]
    assert {spec.memory_bytes for spec in engine.started} == {1 << 30}
    assert noted == ["probing", "probing"]


def test_where_the_image_cannot_be_had_the_start_goes_on(tmp_path, monkeypatch, tg) -> None:
    def fails(**_how):
        raise ArtifactError("no registry answers", reason=Reason.IMAGE, where="base")

    monkeypatch.setattr(roofs_flow, "ensure_probe", fails)
    (roof,) = prober(tmp_path, Real(lambda _spec: scripted("", ""))).roofs([tg(4)])
    assert "no registry answers" in roof.problem
    assert roof.read is None


def test_a_simulated_engine_has_no_roof(tmp_path, tg) -> None:
    assert prober(tmp_path, ReplayEngine(lambda _spec: scripted("", ""))).roofs([tg(4)]) == ()


def test_the_session_keeps_it_and_its_records_name_that_session(harness, tiny) -> None:
    harness.roofs = (FAST,)
    harness.measure(harness.matrix(tiny))
    (session,) = read_sessions(harness.workspace.reports / "tiny").values()
    assert session.roofs == (FAST,)


class Images:
    """Images of which the base is there, and the core where it is said so."""

    def __init__(self, core: bool) -> None:
        self.core, self.built = core, []

    def inspect(self, ref):
        if "/base:" in ref:
            return {"Id": "sha256:base"}
        if "/core:" in ref:
            return {"Id": "sha256:core"} if self.core else None
        return {"Id": "sha256:probe"} if ref in [tag for tag, _ in self.built] else None

    def build(self, _context, *, tag, build_args, labels, on_text):
        self.built.append((tag, dict(build_args)))
        on_text("Successfully built\n")
        return "sha256:probe"


@pytest.mark.parametrize(("core", "compiler"), [(True, "core"), (False, "base")])
def test_it_is_compiled_once_by_the_core_where_that_is_there(tmp_path, core: bool, compiler: str) -> None:
    store = Images(core)
    for _ in range(2):
        found = probe_image.ensure_probe(
            images=CHECKOUT / "images",
            store=store,  # type: ignore[arg-type]  # as much of it as is asked
            cache=tmp_path,
            say=lambda _line: None,
            progress=lambda *_: None,
        )
        assert found == "sha256:probe"
    ((tag, arguments),) = store.built
    assert tag.startswith("llama-bench-harness/probe:")
    assert f"/{compiler}:" in arguments["COMPILER"]


def test_the_session_keeps_the_price_and_the_command_line_goes_before_the_file(harness, tiny) -> None:
    file = harness.matrix("price: 0.25\n" + tiny)
    harness.measure(file)
    harness.measure(file, fresh=True, price_per_kwh=0.5)
    prices = [session.price_per_kwh for session in read_sessions(harness.workspace.reports / "tiny").values()]
    assert prices[-1] == 0.5
