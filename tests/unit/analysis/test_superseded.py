from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.analysis.results import machine_results
from harness.report.data import ReportData
from harness.report.sections import superseded as section
from harness.values.block import Table
from harness.values.facts import Device
from harness.values.failure import Failure, Phase, Reason

Make = Callable[..., Any]
NEWER = "20261125T000000Z-000002"


def test_another_image_is_named_with_both_builds(make_cell: Make, make_session: Make, make_record: Make) -> None:
    cell = make_cell()
    then = make_session([cell], keys={cell.id: "old"})
    image = replace(then.images[0], build_number=11312)
    then = replace(then, images=(image,))
    now = make_session([cell], id_=NEWER, images=(replace(image, id="sha256:" + "e" * 64, build_number=11400),))
    records = [
        make_record((cell, [9, 100]), key="old", round_=0),
        make_record((cell, [9, 100]), key="old"),
        make_record((cell, [9, 900]), session=NEWER, image="sha256:" + "e" * 64),
    ]
    (old,) = machine_results([then, now], records).superseded_cells
    assert (old.cell, old.runs, old.failures) == (cell.id, 2, 0)
    assert old.tokens_per_s == 1e9 / 10
    assert old.why == ("image: b11312 (bbbbbbbbbbbb) then, b11400 (eeeeeeeeeeee) now",)


def test_driver_model_and_parameters_are_told_apart(make_cell: Make, make_session: Make, make_record: Make) -> None:
    then_cell = make_cell()
    now_cell = replace(then_cell, params={**then_cell.params, "n_batch": 512})
    gpu = Device(vendor="nvidia", kind="gpu", name="RTX 4090", driver="550.1")
    then = make_session([then_cell], keys={then_cell.id: "old"})
    then = replace(then, machine=replace(then.machine, devices=(gpu,)))
    now = make_session([now_cell], id_=NEWER)
    now = replace(
        now,
        machine=replace(now.machine, devices=(replace(gpu, driver="570.2"),)),
        models=(replace(now.models[0], sha256="9" * 64),),
    )
    (old,) = machine_results(
        [then, now], [make_record((then_cell, [9, 100]), key="old", device="RTX 4090")]
    ).superseded_cells
    assert old.why == (
        "model: SHA-256 cccccccccccc then, 999999999999 now",
        "parameters: n_batch 2048 then, 512 now",
        "driver: 550.1 then, 570.2 now",
    )


def test_the_report_shows_them_with_what_they_said(make_cell: Make, make_session: Make, make_record: Make) -> None:
    gone, cell = make_cell("gone"), make_cell("a")
    failure = Failure(phase=Phase.LOAD, reason=Reason.OOM_DEVICE, detail="x")
    sessions = [make_session([gone, cell]), make_session([cell], id_=NEWER, matrix_sha256="f" * 64)]
    records = [make_record((gone, [9, 900]), (cell, [9, 900])), make_record((gone, failure), round_=2)]
    data = ReportData(name="demo", machines=(machine_results(sessions, records),))
    (table,) = [block for block in section.render(data) if isinstance(block, Table)]
    ((machine, name, _, runs, rate, why),) = table.rows
    assert (machine, name, runs, rate) == ("box", "gone", "2 (1 failed)", "11111111")
    assert why == "the matrix file no longer asks for it"


def test_nothing_superseded_is_no_section(make_cell: Make, make_session: Make, make_record: Make) -> None:
    cell = make_cell()
    data = ReportData(name="demo", machines=(machine_results([make_session([cell])], [make_record((cell, [9, 9]))]),))
    assert section.render(data) == ()
