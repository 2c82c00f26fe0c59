"""The page of a machine: what it is, what it measured, and each start of the harness on it."""

from __future__ import annotations

from harness.analysis.results import MachineResults
from harness.report import words
from harness.report.site.content import RESULT_COLUMNS, RIGHT, SiteContent, SiteReport, result_cells, several
from harness.report.site.frame import Cell, Frame, Link, heading, paragraph

Own = list[tuple[SiteReport, MachineResults]]


def write(content: SiteContent, name: str, own: Own) -> str:
    """The page."""
    frame = Frame(
        path=f"machines/{name}.html",
        title=f"{name} - {content.title}",
        heading=name,
        parents=(Link(text=content.title, path="index.html"),),
    )
    results: list[tuple[Cell, ...]] = [
        (*result_cells(row), report.link)
        for report in {id(report): report for report, _ in own}.values()
        for row in report.rows
        if row.machine == name
    ]
    parts = [
        heading("What it is"),
        frame.table(("Fact", "Value"), _facts(own), label="Facts"),
        heading("Results"),
        frame.table((*RESULT_COLUMNS, "Matrix"), results, right=RIGHT, label="Results"),
        heading("Starts of the harness"),
        paragraph("Facts above are those of the last start. Where driver, kernel or engine changed, it stands here."),
        frame.table(
            ("Started (UTC)", "Matrix", "Preset", "Drivers", "Kernel", "Engine", "Harness"),
            _starts(own),
            label="Starts",
        ),
    ]
    return frame.write("\n".join(parts))


def _facts(own: Own) -> list[tuple[Cell, ...]]:
    _, results = max(own, key=lambda item: item[1].latest.started_utc)
    machine, engine = results.machine, results.latest.engine
    facts = [
        ("Processor", f"{machine.cpu_model}, {machine.cpu_cores} cores, {machine.cpu_threads} threads"),
        ("Memory", words.size(machine.memory_bytes)),
        ("System", f"{machine.os}, Linux {machine.kernel}"),
        ("Engine", f"{engine.name} {engine.version}"),
        ("Virtualization", machine.virtualization or "unknown"),
        ("Governor", machine.governor or "unknown"),
    ]
    for device in machine.devices:
        if device.kind != "cpu":
            memory = f", {words.size(device.memory_bytes)}" if device.memory_bytes else ""
            driver = f", driver {device.driver}" if device.driver else ""
            limit = f", limit {device.power_limit_w:g} W" if device.power_limit_w else ""
            made_up = ", simulated" if device.simulated else ""
            facts.append((f"Device {device.index}", f"{device.name} ({device.kind}){memory}{driver}{limit}{made_up}"))
    return list(facts)


def _starts(own: Own) -> list[tuple[Cell, ...]]:
    found: dict[str, tuple[Cell, ...]] = {}
    for report, results in own:
        for session in results.sessions:
            found[session.id] = (
                session.started_utc[:16].replace("T", " "),
                report.link,
                f"{session.preset}: {session.rounds} x {session.repetitions}",
                several(d.driver for d in session.machine.devices if d.driver) or "-",
                session.machine.kernel,
                f"{session.engine.name} {session.engine.version}",
                f"{session.harness_version} ({session.harness_source or 'unknown commit'})",
            )
    return [found[id_] for id_ in sorted(found, reverse=True)]
