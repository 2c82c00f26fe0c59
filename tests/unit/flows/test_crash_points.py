"""The program is killed before and after every single write; the next start completes the campaign, each run once."""

from collections import Counter
from typing import Any

import pytest

from harness.engine.replay import ReplayEngine
from harness.flows.verify import findings_of
from harness.store import files, records, sessions


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Counts the writes of the store, and kills before (even) or after (odd) the one that is due."""
    state = {"seen": 0, "kill_at": -1}

    def counted(real: Any) -> Any:
        def write(*arguments: Any) -> None:
            for when in (0, 1):
                if state["seen"] == state["kill_at"]:
                    state["seen"] += 1
                    raise Killed
                state["seen"] += 1
                if when == 0:
                    real(*arguments)

        return write

    for module, name in ((records, "append_line"), (records, "write_whole"), (sessions, "write_whole")):
        monkeypatch.setattr(module, name, counted(getattr(files, name)))
    return state


def completed(harness: Any, folder: Any) -> None:
    found = [f for f in findings_of(folder, harness.workspace)[1] if "is promised" not in f.what]
    assert found == []
    runs = Counter((record.run.key, record.run.round) for record in harness.records())
    assert set(runs.values()) == {1}
    assert len(runs) == 2


def test_killed_at_every_write(harness: Any, tiny: str, writes: dict[str, int]) -> None:
    harness.measure(harness.matrix(tiny))
    total = writes["seen"]
    assert total > 10
    for moment in range(total):
        name = f"m{moment}"
        file = harness.matrix(tiny, name=name)
        writes.update(seen=0, kill_at=moment)
        with pytest.raises(Killed):
            harness.measure(file)
        writes["kill_at"] = -1
        harness.measure(file)
        folder = harness.workspace.reports / name
        found = [f for f in findings_of(folder, harness.workspace)[1] if "is promised" not in f.what]
        assert found == [], moment
        runs = Counter((r.run.key, r.run.round) for r in harness.records(name))
        assert (len(runs), set(runs.values())) == (2, {1}), moment


def test_killed_while_a_container_runs(harness: Any, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for moment in (1, 2):
        starts = 0
        real = ReplayEngine.start

        def start(self: Any, spec: Any, _real: Any = real, _moment: int = moment, **how: Any) -> Any:
            nonlocal starts
            starts += 1
            if starts == _moment:
                raise Killed
            return _real(self, spec, **how)

        name = f"c{moment}"
        file = harness.matrix(tiny, name=name)
        with monkeypatch.context() as patch:
            patch.setattr(ReplayEngine, "start", start)
            with pytest.raises(Killed):
                harness.measure(file)
        journal = (harness.workspace.reports / name / "journal/box.jsonl").read_text().splitlines()
        assert '"event":"creating"' in journal[-1], "announced before it was created"
        harness.measure(file)
        assert len(harness.records(name)) == 2


def test_what_an_image_or_a_probe_does_is_announced_before(harness: Any, tiny: str) -> None:
    from harness.flows.journalling import JournalledImages, journalled_probe

    order: list[str] = []

    class Images:
        def __getattr__(self, name: str) -> Any:
            def act(*_a: Any, **_k: Any) -> Any:
                order.append(name)
                return iter(()) if name == "export" else "sha256:x"

            return act

    def journal(event: str, _fields: Any) -> None:
        order.append(f"note {event}")

    store = JournalledImages(Images(), journal)  # type: ignore[arg-type]  # whatever is asked
    store.build(None, tag="t", build_args={}, labels={}, on_text=print)  # type: ignore[arg-type]
    store.pull("r:t", idle_timeout_s=1, on_bytes=lambda _a, _b: None)
    store.import_tar(None, tag="t")  # type: ignore[arg-type]
    store.tag("i", "t")
    list(store.export("i", "/app"))
    journalled_probe(lambda _i, _a: order.append("probe") or (0, "", ""), journal)("i", ("x",))  # type: ignore[func-returns-value]
    assert order == [
        "note building",
        "build",
        "note pulling",
        "pull",
        "note importing",
        "import_tar",
        "note tagging",
        "tag",
        "note reading image",
        "export",
        "note probing",
        "probe",
    ]


def test_an_archive_is_announced_in_the_journal_that_goes_into_it(harness: Any, tiny: str) -> None:
    file = harness.matrix(tiny)
    harness.measure(file)
    harness.measure(file, fresh=True)
    (old,) = (harness.workspace.reports / "tiny/archive").glob("*/journal/box.jsonl")
    assert '"event":"archiving"' in old.read_text().splitlines()[-1]
    completed(harness, harness.workspace.reports / "tiny")
