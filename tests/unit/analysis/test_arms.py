from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.arms import arms_by, control_arms, counterparts, labelled_arms
from harness.analysis.results import MachineResults, machine_results
from harness.store.sessions import Session
from harness.values.cell import Cell, Test

MakeCell = Callable[..., Cell]
MakeSession = Callable[..., Session]
PARAMS = {"n_gpu_layers": 99, "flash_attn": 0, "type_k": "f16", "n_batch": 2048}


@pytest.fixture
def results(make_session: MakeSession) -> Callable[..., MachineResults]:
    def make(*cells: Cell, machine: str = "box", **changes: Any) -> MachineResults:
        session = make_session(cells, **changes)
        session = replace(session, machine=replace(session.machine, machine=machine))
        return machine_results([session], [])

    return make


def labels(arms: Any) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(each.first.cell.id, each.second.cell.id, each.differs) for each in arms]


class TestLabelledArms:
    def test_the_first_label_is_the_base(self, make_cell: MakeCell, results: Any) -> None:
        a, b, c = (make_cell(x, label=x, image=x) for x in "abc")
        assert labels(labelled_arms(results(a, b, c))) == [("a", "b", ("image",)), ("a", "c", ("image",))]

    def test_the_nearest_cell_is_the_like(self, make_cell: MakeCell, results: Any) -> None:
        cells = [
            make_cell(f"{x}{fa}", label=x, image=x, params={**PARAMS, "flash_attn": fa}) for x in "ab" for fa in (0, 1)
        ]
        assert labels(labelled_arms(results(*cells))) == [("a0", "b0", ("image",)), ("a1", "b1", ("image",))]

    def test_tests_and_models_are_never_mixed(self, make_cell: MakeCell, results: Any) -> None:
        cells = [
            make_cell("1", label="a"),
            make_cell("2", label="b", test=Test(n_gen=20)),
            make_cell("3", label="c", model="noise"),
        ]
        assert labelled_arms(results(*cells)) == ()

    def test_a_ranked_parameter_may_differ_since_it_is_the_arm(self, make_cell: MakeCell, results: Any) -> None:
        a, b = (make_cell(x, label=x, params={**PARAMS, "flash_attn": fa}) for x, fa in (("a", 0), ("b", 1)))
        (arms,) = labelled_arms(results(a, b))
        assert (arms.differs, arms.refused) == (("flash_attn",), ())

    def test_a_software_device_is_refused(self, make_cell: MakeCell, results: Any) -> None:
        a, b = make_cell("a", label="a"), make_cell("b", label="b", device="software")
        (arms,) = labelled_arms(results(a, b))
        assert arms.refused == ("kind",)

    def test_controls_are_not_among_them(self, make_cell: MakeCell, results: Any) -> None:
        machine = results(make_cell("a", label="a"), make_cell("b", label="b"))
        assert labelled_arms(machine) == ()
        assert labels(control_arms(machine)) == [("a", "b", ())]


class TestArmsByAField:
    def test_only_that_field_differs(self, make_cell: MakeCell, results: Any) -> None:
        cells = [
            make_cell(f"{image}{fa}", image=image, params={**PARAMS, "flash_attn": fa})
            for image in ("old", "new")
            for fa in (0, 1)
        ]
        machine = results(*cells)
        assert labels(arms_by(machine, "image")) == [("old0", "new0", ("image",)), ("old1", "new1", ("image",))]
        assert labels(arms_by(machine, "flash_attn")) == [
            ("old0", "old1", ("flash_attn",)),
            ("new0", "new1", ("flash_attn",)),
        ]
        assert arms_by(machine, "n_batch") == ()

    def test_a_backend_brings_its_image_along(self, make_cell: MakeCell, results: Any) -> None:
        cpu = make_cell("cpu", params={**PARAMS, "n_gpu_layers": 0})
        gpu = make_cell("gpu", backend="vulkan", image="vulkan", params=PARAMS)
        (arms,) = arms_by(results(cpu, gpu), "backend")
        assert arms.differs == ("backend", "image", "n_gpu_layers")
        assert arms.refused == ()

    def test_synthetic_and_real_models_are_refused_even_so(self, make_cell: MakeCell, results: Any) -> None:
        (arms,) = arms_by(results(make_cell("1"), make_cell("2", model="noise")), "model")
        assert arms.refused == ("kind",)


class TestCounterparts:
    def test_cells_are_matched_by_their_id(self, make_cell: MakeCell, results: Any) -> None:
        first, second = results(make_cell("x"), make_cell("only", test=Test(n_gen=3))), results(make_cell("x"))
        (arms,) = counterparts(first, second)
        assert (arms.differs, arms.refused, arms.paired) == ((), (), False)

    def test_another_machine_and_another_image_are_named(self, make_cell: MakeCell, results: Any) -> None:
        image = results(make_cell("x")).latest.images[0]
        second = results(make_cell("x"), machine="other", images=(replace(image, id="sha256:" + "e" * 64),))
        (arms,) = counterparts(results(make_cell("x")), second)
        assert arms.differs == ("image", "machine")
        assert arms.machines == ("box", "other")

    def test_another_key_is_refused_by_the_names_of_its_fields(self, make_cell: MakeCell, results: Any) -> None:
        second = results(make_cell("x/fa1", params={**PARAMS, "flash_attn": 1, "n_batch": 512}))
        (arms,) = counterparts(results(make_cell("x")), second)
        assert arms.refused == ("flash_attn", "type_v")

    def test_other_weights_under_the_same_name_are_refused(self, make_cell: MakeCell, results: Any) -> None:
        model = results(make_cell("x")).latest.models[0]
        second = results(make_cell("x"), models=(replace(model, sha256="f" * 64),))
        (arms,) = counterparts(results(make_cell("x")), second)
        assert arms.refused == ("model weights",)


class TestSeveralDevices:
    @staticmethod
    def counted(machine: MachineResults, *numbers: int) -> MachineResults:
        cells = tuple(replace(r, n_devices=n) for r, n in zip(machine.cells, numbers, strict=True))
        return replace(machine, cells=cells)

    def test_one_card_stands_against_two_where_that_is_the_question(self, make_cell: MakeCell, results: Any) -> None:
        one, two = (make_cell(x, label=x, backend="vulkan", device=d) for x, d in (("a", "0"), ("b", "all")))
        (arms,) = labelled_arms(self.counted(results(one, two), 1, 2))
        assert (arms.differs, arms.refused) == (("device",), ())
        (arms,) = arms_by(self.counted(results(replace(one, label=""), replace(two, label="")), 1, 2), "device")
        assert (arms.differs, arms.refused) == (("device",), ())

    def test_so_does_one_split_mode_against_another(self, make_cell: MakeCell, results: Any) -> None:
        none, row = (
            make_cell(mode, backend="vulkan", device="all", params={**PARAMS, "split_mode": mode})
            for mode in ("none", "row")
        )
        (arms,) = arms_by(self.counted(results(none, row), 2, 2), "split_mode")
        assert (arms.differs, arms.refused) == (("split_mode",), ())

    def test_where_something_else_is_the_question_it_is_refused(self, make_cell: MakeCell, results: Any) -> None:
        off, on = (make_cell(f"fa{fa}", backend="vulkan", params={**PARAMS, "flash_attn": fa}) for fa in (0, 1))
        (arms,) = arms_by(self.counted(results(off, on), 1, 2), "flash_attn")
        assert arms.refused == ("devices", "split_mode")
