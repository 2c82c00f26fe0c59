"""One table a model: a row for each contender, a column for each test. Holes show their reason."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.conditions import conditions, differing
from harness.analysis.memory import cell_memory
from harness.analysis.results import CellResult, MachineResults
from harness.analysis.standings import Row, second_arms
from harness.report import naming, words
from harness.report.charts.energy import net_joules
from harness.report.data import ReportData
from harness.stats.digits import plain, with_interval
from harness.values.block import Block, Heading, Note, Paragraph, Table
from harness.values.cell import Test
from harness.values.measurement import BENCH, LATENCY

MOST_TESTS = 8
SHOWN = (BENCH, LATENCY)


def render(data: ReportData) -> tuple[Block, ...]:
    """Tables for models that several contenders were measured with; empty where there are none."""
    models: dict[str, list[Row]] = {}
    twice = second_arms(data.machines)
    for machine, result in data.rows():
        if (
            result.cell.test.measurement in SHOWN
            and not result.software
            and (machine.machine.machine, result.cell.id) not in twice
        ):
            models.setdefault(naming.model(result), []).append((machine, result))
    tables = [table for model, rows in models.items() if (table := _table(model, rows))]
    if not tables:
        return ()
    apart = list(dict.fromkeys(title for rows in models.values() for title in differing(rows)))
    text = f"Rows differ in more than their names say; the columns tell in what: {', '.join(apart)}."
    controls = " Of a control (#a and #b, the same thing twice) #a stands here." if twice else ""
    return (
        Heading(level=2, text="By model"),
        Paragraph(
            text="Tokens per second, of a server (serve:) milliseconds to the first token, with 95 % intervals. Memory "
            "is the most that a test was seen to take, of a GPU its own, else the container's (see Memory); energy is "
            "net of idle power, for a generated token. Rows may only be compared within a column, and where their "
            f"names do not differ in a setting.{controls}"
        ),
        *((Note(kind="warning", text=text),) if apart else ()),
        *tables,
    )


def cell_text(result: CellResult | None) -> str:
    """A rate, or why there is none."""
    if result is None:
        return "-"
    if result.cell.test.measurement == LATENCY and (first := result.metric("ttft_ms")) is not None:
        return f"{with_interval(first.median, first.interval)} ms"
    if result.tokens_per_s is not None:
        if result.interval is None:
            return plain(result.tokens_per_s)
        return with_interval(result.tokens_per_s, result.interval)
    if result.failures:
        return str(result.failures[0][1].reason)
    return "invalid" if result.invalid else "not finished"


def _table(model: str, rows: Sequence[Row]) -> Table | None:
    named: dict[tuple[str, str], dict[Test, CellResult]] = {}
    contenders = naming.names(rows)
    for name, (machine, result) in zip(contenders, rows, strict=True):
        named.setdefault((machine.machine.machine, name), {})[result.cell.test] = result
    tests = sorted(
        {c.cell.test for _, c in rows}, key=lambda t: (t.measurement != BENCH, t.n_depth, not t.n_prompt, t)
    )[:MOST_TESTS]
    if len(named) == 1:
        return None
    machines = {machine.machine.machine: machine for machine, _ in rows}
    apart = tuple(differing(rows))
    shown = [
        (
            machine,
            name,
            *(cell_text(results.get(test)) for test in tests),
            _memory(machines[machine], results),
            _energy(machines[machine], results),
            *_conditions(machines[machine], results, apart),
        )
        for (machine, name), results in named.items()
    ]
    columns = ("Machine", "Device and backend", *(test.name for test in tests), "Memory", "J/token", *apart)
    kept = [i for i in range(len(columns)) if any(row[i] != "-" for row in shown)]
    return Table(
        caption=f"{model}:",
        columns=tuple(columns[i] for i in kept),
        rows=tuple(tuple(row[i] for i in kept) for row in shown),
        align=tuple("left" if columns[i] in {"Machine", "Device and backend", *apart} else "right" for i in kept),
    )


def _memory(machine: MachineResults, results: dict[Test, CellResult]) -> str:
    known = []
    for result in results.values():
        found = cell_memory(result, machine.machine)
        held = None if found is None else found.test.device if found.test.device is not None else found.measured_host
        known += [held] if held is not None else []
    return words.size(max(known)) if known else "-"


def _conditions(machine: MachineResults, results: dict[Test, CellResult], titles: Sequence[str]) -> tuple[str, ...]:
    """The conditions by these titles, as the results of a row have them: mostly one each."""
    found = [conditions(machine, result) for result in results.values()]
    return tuple(", ".join(dict.fromkeys(each[title] for each in found if each[title])) or "-" for title in titles)


def _energy(machine: MachineResults, results: dict[Test, CellResult]) -> str:
    known = [
        found
        for test, result in results.items()
        if test.kind == "tg" and (found := net_joules(machine, result)) is not None
    ]
    return plain(known[0]) if known else "-"
