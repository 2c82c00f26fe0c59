"""What the lines of a campaign say of a run."""

from types import SimpleNamespace

from harness.flows.progress import title
from harness.values.cell import Cell, Test
from harness.values.record import Run


def run(identity: str, *, label: str = "", attempt: int = 1) -> Run:
    cell = Cell(id=identity, label=label, backend="cpu", image="cpu", model="m", test=Test(n_gen=8))
    return Run(key="k", round=2, order=0, attempt=attempt, cells=(cell,))


def test_a_run_is_named_by_its_setting() -> None:
    history = SimpleNamespace(outcomes={})
    assert title(run("cpu/m/tg8"), history) == "round 2: cpu/m"
    assert title(run("cpu/m/tg8@d512/fa1,ctkq8_0"), history) == "round 2: cpu/m/fa1,ctkq8_0"
    assert title(run("cpu/m/tg8#a", label="a"), history) == "round 2: cpu/m#a"
    assert title(run("cpu/m/tg8/fa1#a", label="a"), history) == "round 2: cpu/m/fa1#a"


def test_another_depth_of_one_key_is_no_further_attempt() -> None:
    history = SimpleNamespace(outcomes={("k", "cpu/m/tg8", 2): "something"})
    assert title(run("cpu/m/tg8@d512", attempt=2), history) == "round 2: cpu/m"
    assert title(run("cpu/m/tg8", attempt=2), history) == "round 2, again: cpu/m"
