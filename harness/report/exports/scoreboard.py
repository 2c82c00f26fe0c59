"""Tables as people post them in llama.cpp's discussions: llama-bench's own columns, and a line for a scoreboard."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev

from harness.analysis.arms import control_arms
from harness.analysis.comparability import beside
from harness.analysis.results import CellResult, MachineResults
from harness.formats.foreign import tables
from harness.report.exports.exported import Exported, one_line
from harness.report.writers import markdown
from harness.report.writers.markdown import escape
from harness.values.backend import BACKENDS
from harness.values.block import Table
from harness.values.cell import PARAMETERS
from harness.values.measurement import BENCH

BOARD_TESTS = ("pp512", "tg128")
"""What a scoreboard has columns for."""

COLUMNS = ("model", "size", "params", "backend", "ngl", "threads", "n_batch", "n_ubatch", "fa")
"""llama-bench's; those of further parameters that differ follow, then `test` and `t/s`."""
_IN_COLUMNS = ("n_gpu_layers", "n_threads", "n_batch", "n_ubatch", "flash_attn")
_CALLED = {name: column for column, name in tables.PARAMETERS.items()}
"""Fields that llama-bench's tables call otherwise."""

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
    """Results of llama-bench with a number; the first arm of each control, since a row has no place for a label."""
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
        of_build = [result for result in shown if _build(result) == build]
        further = [name for name in _differing(of_build) if name not in _IN_COLUMNS]
        rows = [_row(result, further) for result in of_build]
        columns = (*COLUMNS, *(_CALLED.get(name, name) for name in further), "test", "t/s")
        table = _table(columns, rows, ("left", "right", "right", "left", *("right",) * (len(columns) - 4)))
        devices = ", ".join(dict.fromkeys(escape(_device(machine, r, several)) for r in shown if _build(r) == build))
        texts.append(f"{devices}\n\n{table}\nbuild: {build}\n")
    return "\n".join(texts)


def _setting(result: CellResult) -> dict[str, str]:
    """Every parameter, and the models that were resident meanwhile, as texts; empty where one was not given."""
    values = {name: str(result.cell.params.get(name, "")) for name in PARAMETERS}
    return {**values, "beside": beside(result.cell)}


def _differing(results: Iterable[CellResult]) -> list[str]:
    """What of the setting is not the same in all of them."""
    settings = [_setting(result) for result in results]
    return [name for name in (settings or [{}])[0] if len({setting[name] for setting in settings}) > 1]


def _row(result: CellResult, further: Sequence[str]) -> tuple[str, ...]:
    model, setting = result.model, _setting(result)
    mean, deviation = mean_and_deviation(result)
    return (
        model.title if model else result.cell.model,
        _size(model.size_bytes) if model else "",
        _params(model.n_params) if model and model.n_params else "",
        BACKENDS[result.cell.backend].registry_name if result.cell.backend in BACKENDS else result.cell.backend,
        *(setting[name] for name in (*_IN_COLUMNS, *further)),
        result.cell.test.name.replace("@", " @ "),
        f"{mean:.2f} ± {deviation:.2f}",
    )


def _board(shown: Iterable[Shown], several: Container[str]) -> str:
    """A line a device, model, backend and setting that has both tests of a scoreboard."""
    found: dict[tuple[str, ...], dict[tuple[str, ...], dict[str, CellResult]]] = {}
    for machine, result in ((machine, r) for machine, results in shown for r in results if not r.synthetic):
        if result.cell.test.name in BOARD_TESTS:
            title = result.model.title if result.model else result.cell.model
            fa = str(result.cell.params.get("flash_attn", ""))
            key = (_device(machine, result, several), title, BACKENDS[result.cell.backend].title, fa, _build(result))
            lines = found.setdefault(key, {})
            lines.setdefault(tuple(_setting(result).values()), {}).setdefault(result.cell.test.name, result)
    both = [
        (key, [tests for tests in lines.values() if all(name in tests for name in BOARD_TESTS)])
        for key, lines in found.items()
    ]
    # Each machine has its own number of threads: only what tells two lines of one device apart is worth a column.
    apart = {name for _, lines in both for name in _differing(tests[BOARD_TESTS[0]] for tests in lines)}
    further = [name for name in (*PARAMETERS, "beside") if name in apart]
    rows = [(*key, *_board_cells(tests, further)) for key, lines in both for tests in lines]
    if not rows:
        return ""
    said = tuple(_CALLED.get(name, name) for name in further)
    columns = ("Chip", "Model", "Backend", "FA", "Commit", *said, *(f"{name} t/s" for name in BOARD_TESTS))
    return _table(columns, rows, (*("left",) * (len(columns) - 2), "right", "right"))


def _board_cells(tests: Mapping[str, CellResult], further: Iterable[str]) -> tuple[str, ...]:
    setting = _setting(tests[BOARD_TESTS[0]])
    return (*(setting[name] for name in further), *(_figure(tests[name]) for name in BOARD_TESTS))


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
