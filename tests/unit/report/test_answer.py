"""The answer of a report across hardware, and the tables by model and by vendor."""

from dataclasses import replace

import pytest

from harness.analysis.conditions import conditions, differing
from harness.analysis.results import MachineResults
from harness.analysis.standings import second_arms, standings
from harness.report import naming
from harness.report.data import ReportData
from harness.report.sections import answer, by_model, by_vendor, energy
from harness.stats.verdicts import Verdict
from harness.values.bench import LogFacts
from harness.values.block import Note, Paragraph, Table


def tables(blocks):
    return [block for block in blocks if isinstance(block, Table)]


def said(blocks):
    return [block.text for block in blocks if isinstance(block, Paragraph)]


def test_who_is_fastest_at_what_stands_first(four_machines: ReportData) -> None:
    blocks = answer.render(four_machines)
    assert said(blocks)[0].startswith(
        "Prompt processing: NVIDIA GeForce RTX 4090, CUDA is the fastest in 6 of 6 groups, by "
    )
    (table,) = tables(blocks)
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["Next"] == "NVIDIA GeForce RTX 4090, Vulkan"
    assert row["The fastest is"].startswith("faster by ")
    assert row["Compared"] == "5"


def test_groups_of_one_model_and_test_say_in_what_they_differ(four_machines: ReportData) -> None:
    def without_flash_attention(machine: MachineResults) -> MachineResults:
        cells = tuple(
            replace(
                result,
                cell=replace(result.cell, id=f"{result.cell.id}+", params={**result.cell.params, "flash_attn": 0}),
            )
            for result in machine.cells
        )
        return replace(machine, cells=(*machine.cells, *cells))

    machines = tuple(map(without_flash_attention, four_machines.machines))
    (table,) = tables(answer.render(replace(four_machines, machines=machines)))
    asked = [row[:2] for row in table.rows]
    assert len(set(asked)) == len(asked)
    assert ("Llama 2 7B Q4_0", "pp512, fa 1") in asked
    assert ("Llama 2 7B Q4_0", "pp512, fa 0") in asked


def with_image(machine: MachineResults, recipe: str, kernels: str) -> MachineResults:
    """A machine whose cells ran in another image, with other kernels for its processor."""
    cells = tuple(
        replace(
            cell,
            image=replace(cell.image, recipe_sha256=recipe) if cell.image else None,
            log=replace(cell.log or LogFacts(), cpu_variant=kernels),
        )
        for cell in machine.cells
    )
    return replace(machine, cells=cells)


def test_what_else_differs_stands_beside_a_difference(four_machines: ReportData) -> None:
    first = with_image(four_machines.machines[3], "a" * 64, "zen4")
    other = replace(first.machine, machine="server-two", cpu_model=first.machine.cpu_model)
    second = with_image(replace(first, machine=other), "b" * 64, "haswell")
    data = replace(four_machines, machines=(first, second))
    (note,) = [block.text for block in answer.render(data) if isinstance(block, Note)]
    assert "image (recipe aaaaaaaa, recipe bbbbbbbb)" in note
    assert "CPU kernels (zen4, haswell)" in note
    assert "driver" not in note
    table = tables(by_model.render(data))[0]
    assert table.columns[-2:] == ("Image", "CPU kernels")
    assert [row[-1] for row in table.rows] == ["zen4", "haswell"]
    alike = replace(data, machines=(first, replace(first, machine=other)))
    assert not any(isinstance(block, Note) for block in answer.render(alike))


def test_another_vendor_has_another_driver_anyway(four_machines: ReportData) -> None:
    rows = [(m, m.cells[0]) for m in four_machines.machines[:2]]
    assert all(conditions(*row)["Driver"] for row in rows)
    assert "Driver" not in differing(rows)


def test_a_speed_that_moved_is_told_beside_a_difference_of_machines(four_machines: ReportData) -> None:
    first = four_machines.machines[3]
    falling = replace(
        first,
        cells=tuple(
            replace(c, runs=tuple(replace(r, ns_per_token=r.ns_per_token * (1 + 0.05 * r.round)) for r in c.runs))
            for c in first.cells
        ),
    )
    second = replace(falling, machine=replace(first.machine, machine="server-two"))
    notes = [b.text for b in answer.render(replace(four_machines, machines=(first, second))) if isinstance(b, Note)]
    assert len(notes) == 1
    assert "The speed moved from the first round to the last" in notes[0]
    assert "server-two, pp512 (+" in notes[0]


def test_the_interval_of_the_first_is_widened_for_all_pairs_that_could_have_been(four_machines: ReportData) -> None:
    found = [s for s in standings(four_machines.rows()) if s.ahead and s.ahead.comparison]
    pairs = sum(len(s.rows) * (len(s.rows) - 1) // 2 for s in found)
    assert pairs > 50
    for standing in found:
        assert standing.ahead is not None
        assert standing.ahead.comparison is not None
        assert standing.ahead.comparison.confidence == pytest.approx(1 - 0.05 / pairs)


def test_what_is_fastest_may_still_not_be_shown_to_be(four_machines: ReportData) -> None:
    noisy = tuple(
        replace(
            machine,
            cells=tuple(
                replace(
                    cell,
                    runs=tuple(
                        replace(run, ns_per_token=run.ns_per_token * (1 + 0.4 * (run.round % 3))) for run in cell.runs
                    ),
                )
                for cell in machine.cells
            ),
        )
        for machine in four_machines.machines
    )
    blocks = answer.render(replace(four_machines, machines=noisy[1:3]))
    assert "no winner is shown" in " ".join(said(blocks))
    verdicts = {
        s.ahead.comparison.verdict
        for s in standings(ReportData(name="x", machines=noisy[1:3]).rows())
        if s.ahead and s.ahead.comparison
    }
    assert verdicts & {Verdict.INCONCLUSIVE, Verdict.NO_DIFFERENCE_SHOWN}


def test_results_without_a_rival_are_told_and_not_ranked(four_machines: ReportData) -> None:
    blocks = answer.render(replace(four_machines, machines=four_machines.machines[3:]))
    assert said(blocks) == [
        "Nothing here competes: no two proven results share model, test and settings. What each did:"
    ]
    assert "Next" not in tables(blocks)[0].columns


def test_settings_that_stand_alone_are_told_apart(four_machines: ReportData) -> None:
    machine = four_machines.machines[3]
    first = machine.cells[0]
    other = replace(first.cell, id="other", params={**first.cell.params, "type_k": "q8_0"})
    cells = (first, replace(first, cell=other))
    (table,) = tables(answer.render(replace(four_machines, machines=(replace(machine, cells=cells),))))
    assert len({row[2] for row in table.rows}) == 2
    assert any("ctk q8_0" in row[2] for row in table.rows)


def test_a_screening_has_no_answer(four_machines: ReportData) -> None:
    screening = tuple(
        replace(m, cells=tuple(replace(c, screening=True) for c in m.cells)) for m in four_machines.machines
    )
    assert answer.render(replace(four_machines, machines=screening)) == ()


def test_the_second_arm_of_a_control_takes_no_place(four_machines: ReportData) -> None:
    machine = four_machines.machines[2]
    first = replace(machine.cells[0], cell=replace(machine.cells[0].cell, id="x#a", label="a"))
    second = replace(first, cell=replace(first.cell, id="x#b", label="b"))
    with_control = replace(machine, cells=(first, second))
    assert second_arms([with_control]) == {("mini-b580", "x#b")}
    (standing,) = standings(((with_control, first), (with_control, second)))
    assert [result.cell.id for _, result in standing.rows] == ["x#a"]


def test_a_model_has_one_table_with_holes_and_their_reasons(four_machines: ReportData) -> None:
    llama, qwen = tables(by_model.render(four_machines))
    assert (llama.caption, qwen.caption) == ("Llama 2 7B Q4_0:", "Qwen3 8B Q4_K_M:")
    rows = {row[1]: dict(zip(qwen.columns, row, strict=True)) for row in qwen.rows}
    assert rows["Intel Arc B580 Graphics, Vulkan"]["tg128@d16384"] == "oom_device"
    assert rows["NVIDIA GeForce RTX 4090, CUDA"]["Memory"] == "7.182 GiB"
    assert qwen.columns[-2:] == ("Memory", "J/token")


def test_each_vendor_has_a_table(four_machines: ReportData) -> None:
    found = tables(by_vendor.render(four_machines))
    assert [table.caption for table in found] == ["NVIDIA:", "AMD:", "Intel:", "Processors:"]
    assert [len(table.rows) for table in found] == [2, 2, 1, 1]


def test_one_vendor_needs_no_table_by_vendor(four_machines: ReportData) -> None:
    assert by_vendor.render(replace(four_machines, machines=four_machines.machines[:1])) == ()


def test_energy_is_told_with_what_it_costs(four_machines: ReportData) -> None:
    (table,) = tables(energy.render(four_machines))
    row = dict(zip(table.columns, table.rows[1], strict=True))
    joules, kwh = float(row["J/token"]), float(row["kWh per million tokens"])
    # 350 W net at 168 tokens a second
    assert joules == pytest.approx(350 / 168, rel=0.02)
    assert kwh == pytest.approx(joules / 3.6, rel=0.01)
    assert not any("@d" in row[2] for row in table.rows), "a test at a depth has more than samples in its window"


def test_names_are_as_short_as_still_tells_them_apart(four_machines: ReportData) -> None:
    desk = four_machines.machines[0]
    twin = replace(desk, machine=replace(desk.machine, machine="other-4090"))
    alone = naming.names([(desk, desk.cells[0])])
    assert alone == ("NVIDIA GeForce RTX 4090, CUDA",)
    both = naming.names([(desk, desk.cells[0]), (twin, twin.cells[0])])
    assert both == ("NVIDIA GeForce RTX 4090, CUDA, desk-4090", "NVIDIA GeForce RTX 4090, CUDA, other-4090")
    changed = replace(
        desk.cells[0], cell=replace(desk.cells[0].cell, params={**desk.cells[0].cell.params, "n_ubatch": 1024})
    )
    assert naming.names([(desk, desk.cells[0]), (desk, changed)])[1].startswith(
        "NVIDIA GeForce RTX 4090, CUDA, fa 1, ub 1024"
    )
