"""How it was measured: enough to judge the numbers by."""

from __future__ import annotations

from harness.report.data import ReportData
from harness.stats.until import CONFIDENCE, LOOKS
from harness.store.sessions import Session
from harness.values.block import Block, Heading, Note, Paragraph, Table
from harness.values.record import PROTOCOL

_UNTIL = (
    "Where the width of the intervals decided how many rounds were made, it was looked at after "
    f"{', '.join(map(str, LOOKS[:-1]))} and {LOOKS[-1]} rounds only, and every interval is one of "
    f"{100 * CONFIDENCE:.1f} %, so that all looks together cover with 95 %."
)

_SHOWN = 10


def render(data: ReportData) -> tuple[Block, ...]:
    """The protocol in short, and a row a machine."""
    rows = []
    for machine in data.machines:
        session = machine.latest
        used = {name for result in machine.cells for name in result.sessions}
        outliers = sum(result.outliers for result in machine.cells)
        rows.append(
            (
                machine.machine.machine,
                f"{session.preset}: {_rounds(session)} x {session.repetitions}",
                str(session.seed),
                str(len(used)),
                f"{machine.waited} / {machine.not_quiet}",
                str(outliers),
                machine.machine.governor or "unknown",
                machine.machine.virtualization or "unknown",
            )
        )
    columns = (
        "Machine",
        "Preset: rounds x repetitions",
        "Seed",
        "Sessions",
        "Runs that waited / were not quiet",
        "Outliers",
        "Governor",
        "Virtualization",
    )
    widths = [m.latest.until for m in data.machines if m.latest.until is not None]
    return (
        Heading(level=2, text="How it was measured"),
        Paragraph(
            text=f"Protocol {PROTOCOL}: after a discarded warm-up round, every round visits every cell once in an "
            "order shuffled with the seed. A run is a fresh container without a network, and starts when other "
            "programs use less than 5 % of the machine. The first repetition of a run is kept and not counted. "
            "Nothing is removed for being far from the rest: outliers, more than one and a half times the quartiles' "
            "distance outside of them, are counted only. Intervals are between order statistics of the run values. A "
            "session is one start of the command."
        ),
        *([Paragraph(text=_UNTIL)] if widths else []),
        Table(columns=columns, rows=tuple(rows), align=("left",) * len(columns)),
        *_drifts(data),
    )


def _drifts(data: ReportData) -> tuple[Block, ...]:
    """The cells that became steadily slower or faster from round to round."""
    rows = data.rows()
    tried = ((machine, cell, cell.drift) for machine, cell in rows if not cell.screening)
    found = [(machine, cell, drift) for machine, cell, drift in tried if drift is not None]
    if not found:
        return ()
    names = [
        f"{cell.cell.id}{f' on {machine.machine.machine}' if data.several else ''} ({100 * drift.change:+.1f} %)"
        for machine, cell, drift in found
    ]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    text = (
        f"{len(found)} of {len(rows)} cells drift: the time for a token changes steadily from the first round to the "
        f"last (test of Mann and Kendall at 5 %, and more than 1 %; one in twenty by chance): "
        f"{', '.join(names[:_SHOWN])}{more}. Comparisons by rounds, on one machine, are not touched by what all arms "
        "share; comparisons of machines are."
    )
    return (Note(kind="note", text=text),)


def _rounds(session: Session) -> str:
    if session.until is None:
        return str(session.rounds)
    return f"until ±{100 * session.until:.3g} %, {LOOKS[0]} to {LOOKS[-1]}"
