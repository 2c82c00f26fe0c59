"""Charts to SVG, by matplotlib: text stays text, the same chart gives the same bytes, dark where the reader's page is.

The light colours are written into the drawing; a style sheet exchanges them under `prefers-color-scheme: dark`, so that
a viewer that knows nothing of it still shows the light ones on their own background.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from harness.report.writers.markdown import visible
from harness.values.block import Axis, Chart, Point, Series

BACKGROUND, INK, MUTED, GRID = "#ffffff", "#1f2328", "#59636f", "#d8dee4"
COLOURS = ("#0062dd", "#d37d02", "#059e63", "#bf68b0", "#783200", "#332268", "#41424a")
"""Of the series, in this order: far enough apart for the common kinds of colour blindness (see the tests), and at
least 3:1 against the background. Nothing is told by colour alone: bars have their names, lines their markers."""
DARK: Mapping[str, str] = {
    BACKGROUND: "#0d1117",
    INK: "#e6edf3",
    MUTED: "#9198a1",
    GRID: "#30363d",
    **dict(zip(COLOURS, ("#5d85f9", "#d78624", "#39a662", "#cf89ad", "#ceff4a", "#dbaeff", "#b7e7bb"), strict=True)),
}
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))

WIDTH_IN = 8.6
_ROW_IN = 0.27
_LETTER_IN = 0.082
_LONGEST_NAME = 46
_PLOT_IN = 3.4
_MOST_DECIMALS = 3
_FONTS = "system-ui, 'DejaVu Sans', Arial, sans-serif"
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "llama-bench-harness",
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.facecolor": BACKGROUND,
    "figure.facecolor": BACKGROUND,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.facecolor": BACKGROUND,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "axes.axisbelow": True,
}


def write(chart: Chart) -> str:
    """The whole SVG file.

    Raises:
        ValueError: the chart has no points, or is of no known kind.
    """
    if not any(series.points for series in chart.series):
        raise ValueError(f"chart {chart.name} has no points")
    with rc_context(_SETTINGS), warnings.catch_warnings():
        # The text is drawn by the reader's program, with fonts that have more letters than ours.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        height = _bars_height(chart) if chart.kind == "bars" else _xy_height(chart)
        figure = Figure(figsize=(WIDTH_IN, height))
        canvas = FigureCanvasSVG(figure)
        {"bars": _bars, "xy": _xy}[chart.kind](chart, figure, height)
        out = io.StringIO()
        canvas.print_figure(out, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _finished(out.getvalue(), chart)


def _plain(text: str) -> str:
    """Text that matplotlib shows as it is: no control characters, no formulas."""
    return visible(text).replace("$", r"\$")


def _short(text: str) -> str:
    shown = visible(text)
    return _plain(shown if len(shown) <= _LONGEST_NAME else f"{shown[: _LONGEST_NAME - 1]}…")


def _finished(svg: str, chart: Chart) -> str:
    """With the reader's fonts, a name and a description for screen readers, and the dark colours."""
    svg = re.sub(r"<!DOCTYPE[^>]*>\s*", "", svg)
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"(font: [^;\"]*?)'DejaVu Sans'[^;\"]*", rf"\g<1>{_FONTS}", svg)
    rules = "".join(
        f'[style*="fill: {light}"]{{fill:{dark}!important}}[style*="stroke: {light}"]{{stroke:{dark}!important}}'
        for light, dark in DARK.items()
    )
    words = f"<title>{escape(visible(chart.title))}</title><desc>{escape(visible(chart.summary))}</desc>"
    style = f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
    return re.sub(r"(<svg [^>]*?)>", rf'\1 role="img">\n {_quoted(words + style)}', svg, count=1)


def _quoted(text: str) -> str:
    return text.replace("\\", r"\\")


def _colour(series: tuple[Series, ...], number: int) -> str:
    wanted = series[number].colour
    return COLOURS[(number if wanted is None else wanted) % len(COLOURS)]


def _scaled(axes: Axes, axis: Axis, which: str) -> None:
    if axis.scale in {"log", "log2"}:
        getattr(axes, f"set_{which}scale")("log", base=2 if axis.scale == "log2" else 10)
    getattr(axes, f"set_{which}label")(_plain(axis.title))


def _frame(axes: Axes, *, grid: str) -> None:
    for side in ("top", "right", "left" if grid == "x" else "top"):
        axes.spines[side].set_visible(False)
    axes.grid(visible=True, axis=grid)  # type: ignore[arg-type] # `x`, `y` or `both`
    axes.tick_params(length=0)


def _titled(figure: Figure, chart: Chart, height: float) -> None:
    figure.text(0.012, 1 - 0.2 / height, _plain(chart.title), fontsize=11.5, fontweight="bold", va="top", color=INK)


def _bar_rows(chart: Chart) -> list[tuple[str, Point | None, int]]:
    """What stands in each line from the top: a group's name, or a bar with the number of its series."""
    groups: dict[str, list[tuple[Point, int]]] = {}
    for number, series in enumerate(chart.series):
        for point in series.points:
            groups.setdefault(point.group, []).append((point, number))
    sign = 1 if "less is better" in chart.title else -1
    rows: list[tuple[str, Point | None, int]] = []
    for group, points in groups.items():
        rows.append((group, None, 0))
        rows += [(p.label, p, n) for p, n in sorted(points, key=lambda pair: sign * pair[0].y)]
    return rows


def _bars_height(chart: Chart) -> float:
    legend = 0.3 if len(chart.series) > 1 else 0.0
    return 1.1 + legend + _ROW_IN * len(_bar_rows(chart))


def _bars(chart: Chart, figure: Figure, height: float) -> None:
    rows = _bar_rows(chart)
    left = 0.25 + _LETTER_IN * max(len(_short(label)) for label, point, _ in rows if point)
    legend = 0.3 if len(chart.series) > 1 else 0.0
    place = (left / WIDTH_IN, 0.55 / height, (WIDTH_IN - left - 0.75) / WIDTH_IN, (height - 1.1 - legend) / height)
    axes = figure.add_axes(place)
    _frame(axes, grid="x")
    _scaled(axes, chart.x, "x")
    most = max(point.high or point.y for _, point, _ in rows if point)
    axes.set_xlim(0, most * 1.02)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks([])
    for line, (label, point, number) in enumerate(rows):
        if point is None:
            across: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "clip_on": False}
            axes.text(
                -left / (WIDTH_IN - left - 0.75) * 0.96, line, _plain(label), fontweight="bold", color=INK, **across
            )
            continue
        axes.barh(line, point.y, height=0.66, color=_colour(chart.series, number))
        axes.annotate(_short(label), (0, line), (-6, 0), textcoords="offset points", ha="right", va="center", color=INK)
        end = point.y
        if point.low is not None and point.high is not None:
            axes.plot([point.low, point.high], [line, line], color=INK, linewidth=1.4, marker="|", markersize=6)
            end = point.high
        axes.annotate(
            _plain(point.shown), (end, line), (6, 0), textcoords="offset points", va="center", color=INK, fontsize=9
        )
    if legend:
        _bar_legend(axes, chart.series, height)
    _titled(figure, chart, height)


def _bar_legend(axes: Axes, series: tuple[Series, ...], height: float) -> None:
    patches = [Patch(color=_colour(series, n), label=_short(each.name)) for n, each in enumerate(series)]
    figure = axes.figure
    figure.legend(handles=patches, loc="upper left", ncols=len(patches), bbox_to_anchor=(0.004, 1 - 0.4 / height))


def _xy_height(chart: Chart) -> float:
    return 0.55 + _PLOT_IN + _below(chart)


def _below(chart: Chart) -> float:
    return 0.42 + 0.205 * len(chart.series)


def _xy(chart: Chart, figure: Figure, height: float) -> None:
    below = _below(chart)
    axes = figure.add_axes((0.85 / WIDTH_IN, below / height, (WIDTH_IN - 1.2) / WIDTH_IN, _PLOT_IN / height))
    _frame(axes, grid="both")
    _scaled(axes, chart.x, "x")
    _scaled(axes, chart.y, "y")
    said: set[str] = set()
    for number, series in enumerate(chart.series):
        colour = _colour(chart.series, number)
        x, y = [p.x or 0.0 for p in series.points], [p.y for p in series.points]
        for p in series.points:
            if p.low is not None and p.high is not None:
                axes.plot([p.x or 0.0] * 2, [p.low, p.high], color=colour, linewidth=1.2, marker="_", markersize=6)
            if p.label and p.label not in said:
                # Equal labels lie side by side; one is enough.
                said.add(p.label)
                at = (p.x or 0.0, p.y)
                axes.annotate(_short(p.label), at, (6, -11), textcoords="offset points", fontsize=8.5, color=MUTED)
        style: dict[str, Any] = {"linestyle": DASHES[number % len(DASHES)] if series.line else "none"}
        axes.plot(
            x,
            y,
            color=colour,
            marker=MARKERS[number % len(MARKERS)],
            markersize=5.5,
            label=_plain(series.name),
            **style,
        )
    if chart.y.scale == "linear":
        axes.set_ylim(bottom=0)
    if chart.x.scale == "linear":
        _depth_ticks(axes, chart)
    _plain_ticks(axes, chart)
    figure.legend(loc="lower left", bbox_to_anchor=(0.06, 0.0), ncols=1, labelspacing=0.35, handlelength=3)
    _titled(figure, chart, height)


def _depth_ticks(axes: Axes, chart: Chart) -> None:
    """Ticks where something was measured, as far as they do not touch."""
    places = sorted({p.x or 0.0 for series in chart.series for p in series.points})
    reach, kept = places[-1] - places[0], [places[-1]]
    for place in reversed(places[:-1]):
        if kept[-1] - place >= 0.06 * reach:
            kept.append(place)
    # Days and limits are no whole numbers: a label that is off its place by more than one in 200 would lie.
    exact = (n for n in range(_MOST_DECIMALS) if all(abs(round(p, n) - p) <= reach / 200 for p in kept))
    decimals = next(exact, _MOST_DECIMALS)
    axes.set_xticks(kept, [f"{place:.{decimals}f}" for place in kept])


def _plain_ticks(axes: Axes, chart: Chart) -> None:
    for axis, scale in ((axes.xaxis, chart.x.scale), (axes.yaxis, chart.y.scale)):
        if scale == "log":
            axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_locator(NullLocator())
