"""Tables as people post them in llama.cpp's discussions: llama-bench's own columns, and a line for a scoreboard."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from statistics import fmean, stdev

from harness.analysis.arms import control_arms
from harness.analysis.results import CellResult, MachineResults
from harness.report.exports.exported import Exported, one_line
from harness.report.exports.further_columns import BESIDE_PARAMETERS, column_name, further_columns, told
from harness.report.writers import markdown
from harness.report.writers.markdown import escape
from harness.values.backend import BACKENDS
from harness.values.block import Table
from harness.values.cell import PARAMETERS
from harness.values.measurement import BENCH

BOARD_TESTS = ("pp512", "tg128")
"""What a scoreboard has columns for."""

COLUMNS = ("model", "size", "params", "backend", "ngl", "threads", "n_batch", "n_ubatch", "fa", "test", "t/s")
"""llama-bench's, with those that are shown only where they matter; further ones stand before the test."""

_SHOWN = ("n_gpu_layers", "n_threads", "n_batch", "n_ubatch", "flash_attn")
"""The parameters among them."""

_BOARD = ("Chip", "Model", "Backend", "FA", "Commit")

Shown = tuple[MachineResults, Sequence[CellResult]]
"""A machine with those of its results that are given."""

_GIB = 1024**3
_MIB = 1024**2
_BILLION = 1e9


def markdown_bytes(exported: Exported) -> bytes:
    """For each machine llama-bench's table with the build under it; then lines for a scoreboard, one a device."""
    shown = [(machine, _shown(machine)) for machine in exported.machines]
    several = _several(shown)
    parts = [_machine(machine, results, several) for machine, results in shown]
    board = _board(shown, several)
    if board:
        parts.append(board)
    note = (
        "Means and standard deviations of the rates of all repetitions, as llama-bench prints them. They say nothing "
        "about another start; medians and intervals are in the report. Of an A/A control the first arm is given.\n"
    )
    return "\n".join([*(part for part in parts if part), note]).encode()


def _table(columns: Sequence[str], rows: Sequence[tuple[str, ...]], align: tuple[str, ...]) -> str:
    return markdown.write([Table(columns=tuple(columns), rows=tuple(rows), align=align)])


def mean_and_deviation(result: CellResult) -> tuple[float, float]:
    """By llama-bench's formula, over the samples of all counted runs: tokens/s."""
    n_tokens = result.cell.test.n_tokens
    rates = [1e9 * n_tokens / sample for run in result.runs for sample in run.samples_ns]
    return fmean(rates), stdev(rates) if len(rates) > 1 else 0.0


def _shown(machine: MachineResults) -> list[CellResult]:
    """Results of llama-bench with a number; of each control the first arm, since the second is no news."""
    measured = [r for r in machine.cells if r.runs and not r.software and r.cell.test.measurement == BENCH]
    further = {arms.second.cell.id for arms in control_arms(replace(machine, cells=tuple(measured)))}
    return [result for result in measured if result.cell.id not in further]


def _several(shown: Iterable[Shown]) -> set[str]:
    """Names of devices that more than one machine has."""
    machines: dict[str, set[str]] = {}
    for machine, results in shown:
        for result in results:
            machines.setdefault(result.device, set()).add(machine.machine.machine)
    return {device for device, names in machines.items() if len(names) > 1}


def _device(machine: MachineResults, result: CellResult, several: Container[str]) -> str:
    """Its name, with the machine's where others have one of the same name."""
    return f"{result.device} ({machine.machine.machine})" if result.device in several else result.device


def _machine(machine: MachineResults, shown: Sequence[CellResult], several: Container[str]) -> str:
    texts = []
    for build in dict.fromkeys(_build(result) for result in shown):
        results = [result for result in shown if _build(result) == build]
        said = [(result, _row(result)) for result in results]
        further = further_columns(said, without=_SHOWN)
        rows = [(*row[:-1], *(told(r, name) for name in further), row[-1], _figure(r)) for r, row in said]
        columns = (*COLUMNS[:-2], *(column_name(name) for name in further), *COLUMNS[-2:])
        table = _table(columns, rows, ("left", "right", "right", "left", *("right",) * (len(columns) - 4)))
        devices = ", ".join(dict.fromkeys(escape(_device(machine, result, several)) for result in results))
        texts.append(f"{devices}\n\n{table}\nbuild: {build}\n")
    return "\n".join(texts)


def _row(result: CellResult) -> tuple[str, ...]:
    """What a row says but for its figure."""
    model, params = result.model, result.cell.params
    return (
        model.title if model else result.cell.model,
        _size(model.size_bytes) if model else "",
        _params(model.n_params) if model and model.n_params else "",
        BACKENDS[result.cell.backend].registry_name if result.cell.backend in BACKENDS else result.cell.backend,
        *(str(params.get(name, "")) for name in _SHOWN),
        result.cell.test.name.replace("@", " @ "),
    )


def _board(shown: Iterable[Shown], several: Container[str]) -> str:
    """A line a device and setting that has both tests of a scoreboard."""
    found: dict[tuple[str, ...], dict[str, CellResult]] = {}
    for machine, result in ((machine, r) for machine, results in shown for r in results if not r.synthetic):
        if result.cell.test.name in BOARD_TESTS:
            title = result.model.title if result.model else result.cell.model
            fa = str(result.cell.params.get("flash_attn", ""))
            key = (_device(machine, result, several), title, BACKENDS[result.cell.backend].title, fa, _build(result))
            # Two tests are of one line only where they were measured with the same setting.
            setting = tuple(f"{name}={told(result, name)}" for name in (*PARAMETERS, *BESIDE_PARAMETERS))
            found.setdefault((*key, *setting), {})[result.cell.test.name] = result
    lines = {key: tests for key, tests in found.items() if all(name in tests for name in BOARD_TESTS)}
    if not lines:
        return ""
    said = [(tests[BOARD_TESTS[0]], key[: len(_BOARD)]) for key, tests in lines.items()]
    further = further_columns(said, without=("flash_attn",))
    rows = [
        (*row, *(told(first, name) for name in further), *(_figure(tests[name]) for name in BOARD_TESTS))
        for (first, row), tests in zip(said, lines.values(), strict=True)
    ]
    names = (column_name(name) for name in further)
    columns = (*_BOARD, *names, *(f"{name} t/s" for name in BOARD_TESTS))
    return _table(columns, rows, (*("left",) * len(_BOARD), *("right",) * (len(further) + len(BOARD_TESTS))))


def _figure(result: CellResult) -> str:
    mean, deviation = mean_and_deviation(result)
    return f"{mean:.2f} ± {deviation:.2f}"


def _build(result: CellResult) -> str:
    image = result.image
    if image is None or image.build_commit is None:
        return "unknown"
    return one_line(f"{image.build_commit} ({image.build_number if image.build_number is not None else 'unknown'})")


def _size(number: int) -> str:
    return f"{number / _GIB:.2f} GiB" if number >= _GIB else f"{number / _MIB:.2f} MiB"


def _params(number: int) -> str:
    return f"{number / _BILLION:.2f} B" if number >= _BILLION else f"{number / 1e6:.2f} M"
