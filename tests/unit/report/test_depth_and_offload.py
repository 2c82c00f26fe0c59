from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.analysis.results import MachineResults, machine_results
from harness.report.charts import offload as offload_chart
from harness.report.data import ReportData
from harness.report.sections import depth, offload
from harness.store.sessions import Session
from harness.values.bench import LogFacts
from harness.values.block import Chart, Note, Table
from harness.values.cell import Cell, Test
from harness.values.facts import EngineFacts, ImageFacts, MachineFacts, ModelFacts
from harness.values.record import Outcome, Record, Run

SESSION = "20261124T000000Z-000001"


def cell(name: str, *, n_depth: int = 0, **params: Any) -> Cell:
    full = {"flash_attn": 0, "type_k": "f16", "type_v": "f16", "n_gpu_layers": 99, **params}
    test = Test(n_gen=10, n_depth=n_depth)
    return Cell(id=name, backend="vulkan", image="vulkan", model="m", params=full, test=test)


def machine(times: dict[Cell, Sequence[int]] | Sequence[tuple[Cell, Sequence[int], LogFacts | None]]) -> MachineResults:
    rows = [(c, t, None) for c, t in times.items()] if isinstance(times, dict) else list(times)
    records = []
    for one, values, log in rows:
        for round_, ns in enumerate((values[0], *values)):
            outcome = Outcome(cell=one.id, samples_ns=(9, ns), row={})
            run = Run(key=one.id, round=round_, order=0, attempt=1, cells=(one,))
            facts = {"matrix": "m", "matrix_sha256": "a" * 64, "machine": "box", "session": SESSION}
            more = {"backend": "vulkan", "device": "Card", "image": "sha256:1", "model_sha256": "c", "argv": ()}
            dates = {"started_utc": "2026-11-24T00:00:00Z", "ended_utc": "2026-11-24T00:00:01Z", "duration_ns": 1}
            found = {**facts, **more, **dates}
            records.append(
                Record(id=f"{one.id}{round_}", run=run, outcomes=(outcome,), log=None if round_ else log, **found)  # type: ignore[arg-type] # fields by name
            )
    session = Session(
        id=SESSION,
        started_utc="2026-11-24T00:00:00Z",
        harness_version="0.1.0",
        harness_source="x",
        command=("invoke",),
        matrix="m",
        title="",
        notes="",
        matrix_sha256="a" * 64,
        preset="standard",
        repetitions=2,
        screening=False,
        seed=1,
        rounds=6,
        cells=tuple(one for one, _, _ in rows),
        keys={one.id: one.id for one, _, _ in rows},
        machine=MachineFacts(
            machine="box",
            os="x",
            kernel="x",
            cpu_model="x",
            cpu_cores=1,
            cpu_threads=1,
            memory_bytes=1,
            swap_bytes=0,
        ),
        engine=EngineFacts(name="e", version="1", api_version="1", host="h"),
        images=(ImageFacts(name="vulkan", ref="r", id="sha256:1"),),
        models=(
            ModelFacts(name="m", title="M", source="file", path=Path("m"), sha256="c", size_bytes=1, synthetic=False),
        ),
    )
    return machine_results([session], records)


def six(ns: int) -> list[int]:
    return [ns, ns + 3, ns - 2, ns + 1, ns - 1, ns + 2]


def test_a_turn_is_a_warning_with_its_intervals() -> None:
    times = {
        (0, 0): six(1000),
        (0, 4096): six(4000),
        (1, 0): six(1100),
        (1, 4096): six(3000),
    }
    cells = [(cell(f"fa{f}@d{d}", n_depth=d, flash_attn=f), t, None) for (f, d), t in times.items()]
    blocks = depth.render(ReportData(name="m", machines=(machine(cells),)))
    (note,) = [block for block in blocks if isinstance(block, Note)]
    assert "turns between a depth of 0 and of 4096" in note.text
    assert "slower by 9.1 %" in note.text
    assert "faster by 33.3 %" in note.text
    (table,) = [block for block in blocks if isinstance(block, Table)]
    assert len(table.rows) == 4
    assert table.rows[1][5] == "25 %"


def test_one_depth_is_no_section() -> None:
    assert depth.render(ReportData(name="m", machines=(machine([(cell("a"), six(1000), None)]),))) == ()


def test_a_ladder_of_layers_with_the_weights_that_the_log_tells() -> None:
    mib = 1 << 20
    rows = [
        (
            cell(f"ngl{n}", n_gpu_layers=n),
            six(9000 // (n + 1)),
            LogFacts(model_buffers={"CPU_Mapped": 99, "Vulkan0": n * mib}),
        )
        for n in (8, 0, 2)
    ]
    blocks = offload.render(ReportData(name="m", machines=(machine(rows),)))
    (table,) = [block for block in blocks if isinstance(block, Table)]
    assert [row[1] for row in table.rows] == ["0", "2", "8"]
    assert [row[4] for row in table.rows] == ["0 B", "2 MiB", "8 MiB"]
    assert table.rows[2][3] == "100 %"
    (chart,) = [block for block in blocks if isinstance(block, Chart)]
    (line,) = chart.series
    assert line.name == "M, tg10, Card, Vulkan"
    assert [(point.x, round(point.y)) for point in line.points] == [(0, 11), (2, 33), (8, 100)]
    assert all(point.low is not None and point.low < point.y for point in line.points)
    assert "0 11 %, 2 33 %, 8 100 %" in chart.summary


def test_two_settings_are_two_lines_and_a_single_step_is_none() -> None:
    rows = [(cell(f"ngl{n}", n_gpu_layers=n), six(1000), None) for n in (0, 4)]
    rows += [(cell(f"fa{n}", n_gpu_layers=n, flash_attn=1), six(1000 - n), None) for n in (0, 4)]
    blocks = offload.render(ReportData(name="m", machines=(machine(rows),)))
    (chart,) = [block for block in blocks if isinstance(block, Chart)]
    assert len({line.name for line in chart.series}) == 2
    assert offload_chart.chart("offload", "Layers", [offload_chart.Line(name="a", steps=((0, 1.0, None, None),))]) == ()


def test_no_ladder_is_no_section() -> None:
    assert offload.render(ReportData(name="m", machines=(machine([(cell("a"), six(1000), None)]),))) == ()
