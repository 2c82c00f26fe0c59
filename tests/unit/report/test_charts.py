"""Charts: what they show, that they are the same bytes each time, inert, and legible for everybody."""

import itertools
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.results import CellResult
from harness.report import words
from harness.report.charts import energy, over_depth, rates, roofline, sizes
from harness.report.data import ReportData
from harness.report.sections import glance
from harness.report.writers import svg
from harness.values.block import Axis, Chart, Heading, Point, Series

ROOT = Path(__file__).resolve().parents[3]
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "<script>alert(1)</script>",
    "$\\frac{1}{0}$ $",
    "a\u202eb\x00\x1b[31m",
    "]]>&amp;\"'",
    "x" * 300,
    "\\g<0>\\1",
    "漢字 🎉",
)


def charts_of(data: ReportData) -> list[Chart]:
    return [block for block in glance.render(data) if isinstance(block, Chart)]


def texts_of(text: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(text).iter(f"{SVG}text")]


def test_bars_stand_in_groups_that_may_be_compared_with_their_intervals(four_machines: ReportData) -> None:
    prompt, generation = rates.charts(four_machines)
    points = [point for series in generation.series for point in series.points]
    assert {point.group for point in points} == {"Llama 2 7B Q4_0, tg128", "Qwen3 8B Q4_K_M, tg128"}
    assert all(p.low is not None and p.high is not None and p.low < p.y < p.high for p in points)
    assert [series.name for series in prompt.series] == ["NVIDIA", "AMD", "Intel"]
    assert "Llama 2 7B Q4_0, pp512: NVIDIA GeForce RTX 4090, CUDA 11" in prompt.summary


def test_speed_falls_over_depth_and_memory_grows(four_machines: ReportData) -> None:
    for chart in over_depth.speed(four_machines):
        for series in chart.series:
            assert [p.y for p in series.points] == sorted((p.y for p in series.points), reverse=True)
    for chart in over_depth.memory(four_machines):
        for series in chart.series:
            assert [p.y for p in series.points] == sorted(p.y for p in series.points)


def test_a_roof_is_over_every_point_and_two_points_make_it(four_machines: ReportData) -> None:
    found = roofline.charts(four_machines)
    assert {chart.title.partition(":")[0] for chart in found} >= {"NVIDIA GeForce RTX 4090"}
    for chart in found:
        assert chart.series[0].line
        top = max(point.y for point in chart.series[0].points)
        assert all(p.y <= top for series in chart.series[1:] for p in series.points)


def test_sizes_need_three_of_them(four_machines: ReportData) -> None:
    assert sizes.charts(four_machines) == ()


def test_nothing_to_hold_against_each_other_gives_no_bars(four_machines: ReportData) -> None:
    alone = replace(four_machines, machines=four_machines.machines[3:])
    assert rates.charts(alone) == ()
    assert not [block for block in glance.render(replace(four_machines, machines=())) if isinstance(block, Heading)]


def test_every_chart_is_drawn_with_its_words_as_text(four_machines: ReportData) -> None:
    found = charts_of(four_machines)
    assert len({chart.name for chart in found}) == len(found) >= 9
    for chart in found:
        drawn = svg.write(chart)
        root = ET.fromstring(drawn)
        assert root.get("role") == "img"
        assert root.find(f"{SVG}title").text == chart.title  # type: ignore[union-attr] # it is there, or the test fails
        assert root.find(f"{SVG}desc").text == chart.summary  # type: ignore[union-attr] # likewise
        assert chart.title in texts_of(drawn)
        assert len(drawn) < 60_000
        assert "prefers-color-scheme: dark" in drawn
        assert 'href="http' not in drawn
        assert "DOCTYPE" not in drawn


def test_the_values_beside_bars_have_the_digits_of_the_tables(four_machines: ReportData) -> None:
    (chart,) = energy.charts(four_machines)
    shown = texts_of(svg.write(chart))
    assert all(point.shown in shown for series in chart.series for point in series.points)


def test_another_process_draws_the_same_bytes(tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from harness.report.report import render_report\n"
        "from pathlib import Path\n"
        "files = render_report(Path(sys.argv[1]) / 'tests/golden/two-machines')\n"
        "import hashlib; print(hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest())\n"
    )
    command = [sys.executable, "-c", script, str(ROOT)]
    found = {
        subprocess.run(
            command, env={"PYTHONHASHSEED": seed, "HOME": str(tmp_path), "PATH": "/usr/bin"},
            capture_output=True, text=True, check=True, timeout=120,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", ["bars", "xy"])
def test_names_of_strangers_are_text_in_a_drawing(text: str, kind: str) -> None:
    points = (Point(x=1.0, y=1.0, label=text, group=text, shown=text), Point(x=2.0, y=3.0, low=2.0, high=4.0))
    chart = Chart(
        name="x", kind=kind, title=text, summary=text, x=Axis(title=text), y=Axis(title=text),
        series=(Series(name=text, points=points), Series(name=text, points=points, line=True)),
    )  # fmt: skip
    drawn = svg.write(chart)
    assert {element.tag.removeprefix(SVG) for element in ET.fromstring(drawn).iter()} <= {
        "svg", "title", "desc", "defs", "style", "g", "path", "use", "text", "tspan", "clipPath", "rect",
    }  # fmt: skip
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", drawn)


@pytest.mark.parametrize(
    ("places", "shown"),
    [
        ((0, 512, 4096), ["0", "512", "4096"]),
        ((0.0, 0.3, 0.6, 1.5, 2.5), ["0.0", "0.3", "0.6", "1.5", "2.5"]),
        ((0.0, 0.02, 0.04), ["0.00", "0.02", "0.04"]),
        ((0.0, 130.4, 400.49), ["0", "130", "400"]),
        ((0.0,), ["0"]),
    ],
)
def test_the_label_of_a_tick_is_its_place(places: tuple[float, ...], shown: list[str]) -> None:
    points = tuple(Point(x=place, y=1.0 + number) for number, place in enumerate(places))
    chart = Chart(
        name="history",
        kind="xy",
        title="A cell",
        summary="",
        x=Axis(title="Days since"),
        y=Axis(title="Tokens per second"),
        series=(Series(name="one", points=points, line=True),),
    )
    found = texts_of(svg.write(chart))
    assert found[: found.index("Days since")] == shown[::-1]


def test_a_chart_without_points_is_refused() -> None:
    empty = Chart(name="x", kind="xy", title="", summary="", x=Axis(title=""), y=Axis(title=""), series=())
    with pytest.raises(ValueError, match="no points"):
        svg.write(empty)


def linear(colour: str) -> tuple[float, float, float]:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)  # type: ignore[return-value] # three of them


def luminance(colour: str) -> float:
    return sum(weight * channel for weight, channel in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True))


def contrast(first: str, second: str) -> float:
    bright, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


# Machado, Oliveira and Fernandes (2009), severity 1.0: what is left of linear RGB.
BLINDNESS = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}


def lab(rgb: tuple[float, ...]) -> tuple[float, float, float]:
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = [max(0.0, sum(a * b for a, b in zip(row, rgb, strict=True))) for row in rows]
    x, y, z = (
        v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (xyz[0] / 0.9505, xyz[1], xyz[2] / 1.089)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_colours_can_be_told_apart(blindness: str, dark: bool) -> None:
    colours = [svg.DARK[colour] if dark else colour for colour in svg.COLOURS]
    background = svg.DARK[svg.BACKGROUND] if dark else svg.BACKGROUND
    assert all(contrast(colour, background) >= 3 for colour in colours)
    seen = [
        lab(tuple(sum(a * b for a, b in zip(row, linear(colour), strict=True)) for row in BLINDNESS[blindness]))
        for colour in colours
    ]
    nearest = min(math.dist(a, b) for a, b in itertools.combinations(seen, 2))
    assert nearest > 20


def test_words_have_enough_contrast() -> None:
    for colour in (svg.INK, svg.MUTED):
        assert contrast(colour, svg.BACKGROUND) >= 4.5
        assert contrast(svg.DARK[colour], svg.DARK[svg.BACKGROUND]) >= 4.5


def twice(data: ReportData, **changes: Any) -> ReportData:
    """Every cell once more, measured in the same way with something else in its plan, and a tenth slower."""

    def again(result: CellResult) -> CellResult:
        test = replace(result.cell.test, sustained_s=changes.get("sustained_s", 0))
        params = {**result.cell.params, **changes.get("params", {})}
        cell = replace(result.cell, id=f"{result.cell.id}+", test=test, params=params, beside=changes.get("beside", ()))
        runs = tuple(replace(run, ns_per_token=1.1 * run.ns_per_token) for run in result.runs)
        return replace(result, cell=cell, runs=runs)

    machines = tuple(replace(m, cells=(*m.cells, *map(again, m.cells))) for m in data.machines)
    return replace(data, machines=machines)


def test_bars_that_may_not_be_compared_stand_in_groups_that_say_why(four_machines: ReportData) -> None:
    for changes, apart in (
        ({"params": {"flash_attn": 0}}, ({"fa 1"}, {"fa 0"})),
        ({"beside": ("other",)}, (set(), {"beside other"})),
    ):
        _, generation = rates.charts(twice(four_machines, **changes))
        points = [point for series in generation.series for point in series.points]
        called = {(point.group, point.label) for point in points}
        assert len(called) == len(points)
        groups = {point.group for point in points if point.group.startswith("Qwen3 8B Q4_K_M, tg128")}
        assert {frozenset(group.split(", ")[2:]) for group in groups} == {frozenset(names) for names in apart}


def test_no_wait_and_no_batch_is_held_against_a_roof(four_machines: ReportData) -> None:
    served = replace(four_machines.machines[0].cells[0].cell.test, n_gen=64, measurement="latency")
    machine = four_machines.machines[0]
    cells = tuple(replace(r, cell=replace(r.cell, id=f"{r.cell.id}+", test=served)) for r in machine.cells[:1])
    more = replace(four_machines, machines=(replace(machine, cells=(*machine.cells, *cells)),))
    assert roofline.charts(more) == roofline.charts(replace(four_machines, machines=(machine,)))


def test_what_is_resident_beside_a_cell_stands_with_its_parameters(four_machines: ReportData) -> None:
    cell = four_machines.machines[0].cells[0].cell
    assert words.parameters(replace(cell, beside=("a", "b"), beside_busy=True)) == (
        f"{words.parameters(cell)}, beside a+b at work"
    )


def test_a_line_over_depth_is_of_one_test_alone(four_machines: ReportData) -> None:
    for changes in ({"sustained_s": 600}, {"beside": ("other",)}):
        found = [
            *over_depth.speed(twice(four_machines, **changes)),
            *over_depth.memory(twice(four_machines, **changes)),
        ]
        assert len({chart.title for chart in found}) == len(found) == 8
        for chart in found:
            for series in chart.series:
                assert len({point.x for point in series.points}) == len(series.points)
