import io

import pytest
from rich.console import Console

from harness.flows import console
from harness.flows.console import Display, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (7200, "2 h"), (-1, "0 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def lines(display_use) -> list[str]:
    stream = io.StringIO()
    display_use(Display(terminal=False, stream=Console(file=stream, soft_wrap=True, highlight=False)))
    return stream.getvalue().splitlines()


def test_markup_in_data_is_printed_as_it_is() -> None:
    assert lines(lambda d: d.say("[bold]x[/bold] [1/2]")) == ["[bold]x[/bold] [1/2]"]


def test_runs_show_how_many_and_the_time_that_is_foreseen_for_those_left() -> None:
    def use(display: Display) -> None:
        with display.runs(2, 2000.0) as runs:
            runs.started("a")
            runs.finished("a", 0.0, 1990.0)
            runs.add(1)
            # Waiting is not foreseen: it goes on as it was, half of 4 s for each run.
            runs.finished("b", 4.0, 30.0)
            runs.finished("c", 0.0, 0.0)

    assert lines(use) == ["[1/2] a  (33 min 10 s left)", "[2/3] b  (32 s left)", "[3/3] c"]


def test_steps_elsewhere_than_on_a_terminal_are_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 101.0, 116.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(now))

    def use(display: Display) -> None:
        with display.step("build") as step:
            step("one", 1, 4)
            step("two", 2, 4)
            step("three", 3, 4)

    assert lines(use) == ["  build 25 %: one", "  build 75 %: three"]
