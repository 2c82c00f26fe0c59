"""What ran where with what, and what the reader must know first."""

from __future__ import annotations

from harness.analysis.imported import source_of
from harness.analysis.results import MachineResults
from harness.report import words
from harness.report.data import ReportData
from harness.values.block import Block, Heading, Note, Paragraph, Table
from harness.values.facts import Device


def render(data: ReportData) -> tuple[Block, ...]:
    """Title, notes, the machines and the models."""
    latest = data.machines[-1].latest
    titles = list(dict.fromkeys(machine.latest.title for machine in data.machines if machine.latest.title))
    machines = len({machine.machine.machine for machine in data.machines})
    sources = len({source_of(row)[0] for row in data.imported})
    parts = [f"{machines} machine{'s' if machines > 1 else ''}" if machines > 1 or sources else ""]
    parts += [f"{sources} imported source{'s' if sources > 1 else ''}" if sources else ""]
    held = " and ".join(part for part in parts if part)
    several = f" ({held})" if held else ""
    blocks: list[Block] = [Heading(level=1, text=(titles[0] if len(titles) == 1 else data.name) + several)]
    if latest.notes and len(titles) < 2:  # noqa: PLR2004 - notes of one matrix file
        blocks.append(Paragraph(text=latest.notes))
    blocks += _warnings(data)
    if data.imported:
        text = (
            f"{len(data.imported)} results that others measured stand apart, at the end: unverified, and ranked with "
            "nothing."
        )
        blocks.append(Note(kind="note", text=text))
    blocks += [
        Table(
            columns=("Machine", "Processor", "Memory", "Devices", "System", "Engine", "Measured"),
            rows=tuple(_machine(machine) for machine in data.machines),
            align=("left",) * 7,
        )
    ]
    return tuple(blocks)


def _warnings(data: ReportData) -> list[Block]:
    rows = [cell for _, cell in data.rows()]
    notes: list[Block] = []
    if any(cell.simulated for cell in rows):
        notes.append(Note(kind="warning", text="Simulated: nothing here was measured. It must not be published."))
    missing = [cell for cell in rows if not cell.complete]
    failed = [cell for cell in missing if cell.failures or cell.holes]
    if len(missing) > len(failed):
        unfinished = f"{len(missing) - len(failed)} of {len(rows)} cells are not finished"
        text = f"Partial: {unfinished}. Start the same command again."
        notes.append(Note(kind="warning", text=text))
    if failed:
        notes.append(Note(kind="note", text=f"{len(failed)} of {len(rows)} cells failed; the reasons are below."))
    if any(cell.screening for cell in rows):
        text = "Screening: one round only, so there are no intervals and nothing may be compared."
        notes.append(Note(kind="warning", text=text))
    if any(cell.software for cell in rows):
        text = "A software device computed on the CPU: it stands for no GPU and is never ranked."
        notes.append(Note(kind="note", text=text))
    if any(cell.synthetic for cell in rows):
        notes.append(Note(kind="note", text="Synthetic models are seeded noise: they are never ranked with real ones."))
    noisy = [cell for cell in rows if any(not run.gate_passed for run in cell.runs)]
    if noisy:
        text = f"The machine was not quiet before some runs of {len(noisy)} cells; they are in the numbers."
        notes.append(Note(kind="warning", text=text))
    return notes


def _machine(result: MachineResults) -> tuple[str, ...]:
    facts, engine = result.machine, result.latest.engine
    devices = [_device(device) for device in facts.devices if device.kind in {"gpu", "integrated"}]
    devices += sorted({f"{cell.device} (software)" for cell in result.cells if cell.software})
    return (
        facts.machine,
        f"{facts.cpu_model}, {facts.cpu_cores} cores",
        words.size(facts.memory_bytes),
        "; ".join(devices) or "none but the CPU",
        f"{facts.os}, Linux {facts.kernel}" + (f", {facts.virtualization}" if facts.virtualization != "none" else ""),
        f"{engine.name} {engine.version}",
        _days(result),
    )


def _device(device: Device) -> str:
    memory = f" {words.size(device.memory_bytes)}" if device.memory_bytes else ""
    return f"{device.name}{memory}" + (f", driver {device.driver}" if device.driver else "")


def _days(result: MachineResults) -> str:
    days = result.days
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}" if days else "-"
