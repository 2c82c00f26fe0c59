from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.comparability import differences, kind, proof_of
from harness.analysis.results import CellResult, machine_results
from harness.store.sessions import Session
from harness.values.cell import Cell, Test
from harness.values.record import Check, Proof, Record

MakeCell = Callable[..., Cell]


@pytest.fixture
def result_of(make_session: Callable[..., Session], make_record: Callable[..., Record]) -> Callable[..., CellResult]:
    def make(cell: Cell, **changes: Any) -> CellResult:
        records = [make_record((cell, [9, 900]), round_=round_, **changes) for round_ in (0, 1)]
        (result,) = machine_results([make_session([cell])], records).cells
        return result

    return make


def test_build_batch_threads_and_backend_do_not_forbid(
    make_cell: MakeCell, result_of: Callable[..., CellResult]
) -> None:
    one = result_of(make_cell())
    params = {**one.cell.params, "n_batch": 512, "n_threads": 8, "load_mode": "none"}
    other = result_of(make_cell("b", backend="vulkan", image="other", params=params))
    assert differences(one, result_of(make_cell("c", params=params))) == ()
    assert set(differences(one, other)) <= {"n_gpu_layers"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"test": Test(n_gen=20)}, "n_gen"),
        ({"test": Test(n_gen=10, n_depth=512)}, "n_depth"),
        ({"test": Test(n_prompt=10)}, "n_prompt"),
        ({"model": "noise"}, "model weights"),
    ],
)
def test_what_forbids_ranking_is_named(
    make_cell: MakeCell, result_of: Callable[..., CellResult], changes: dict[str, Any], field: str
) -> None:
    assert field in differences(result_of(make_cell()), result_of(make_cell("b", **changes)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flash_attn", 1),
        ("type_k", "q8_0"),
        ("type_v", "q8_0"),
        ("n_gpu_layers", 10),
        ("no_kv_offload", True),
        ("split_mode", "row"),
        ("tensor_split", "1/1"),
    ],
)
def test_parameters_that_forbid_ranking_are_named(
    make_cell: MakeCell, result_of: Callable[..., CellResult], name: str, value: object
) -> None:
    cell = make_cell(backend="vulkan")
    other = replace(cell, params={**cell.params, name: value})
    assert differences(result_of(cell), result_of(other)) == (name,)


def test_software_and_noise_are_never_ranked_with_the_real(
    make_cell: MakeCell, result_of: Callable[..., CellResult]
) -> None:
    real, noise = result_of(make_cell()), result_of(make_cell(model="noise"))
    software = result_of(make_cell(), software=True)
    assert [kind(r) for r in (real, noise, software)] == ["ranked", "synthetic", "software"]
    assert "kind" in differences(real, software)
    assert "kind" in differences(noise, software)


def test_equal_tensors_make_files_with_other_metadata_comparable(
    make_cell: MakeCell, result_of: Callable[..., CellResult]
) -> None:
    one = result_of(make_cell())
    assert one.model is not None
    a = replace(one, model=replace(one.model, tensors_sha256="1" * 64))
    b = replace(one, model=replace(one.model, sha256="e" * 64, tensors_sha256="1" * 64))
    assert differences(a, b) == ()
    assert differences(a, replace(b, model=replace(one.model, tensors_sha256="2" * 64))) == ("model weights",)


@pytest.mark.parametrize(
    ("proofs", "whole"),
    [
        ([], Proof.UNOBSERVABLE),
        ([Proof.PROVEN, Proof.PROVEN], Proof.PROVEN),
        ([Proof.PROVEN, Proof.UNOBSERVABLE], Proof.UNOBSERVABLE),
        ([Proof.UNOBSERVABLE, Proof.CONTRADICTED, Proof.PROVEN], Proof.CONTRADICTED),
    ],
)
def test_a_proof_is_as_strong_as_its_weakest_check(
    make_cell: MakeCell, result_of: Callable[..., CellResult], proofs: list[Proof], whole: Proof
) -> None:
    checks = tuple(Check(name=f"c{i}", proof=proof, evidence="") for i, proof in enumerate(proofs))
    assert proof_of(result_of(make_cell(), checks=checks)) is whole


def test_several_devices_are_not_ranked_against_one(make_cell: MakeCell, result_of: Callable[..., CellResult]) -> None:
    one = result_of(make_cell(backend="vulkan"))
    two = replace(one, n_devices=2)
    assert differences(one, two) == ("devices", "split_mode")
    assert differences(two, replace(two, n_devices=3)) == ("devices",)


def test_layer_is_what_an_unnamed_split_mode_is_with_several_devices(
    make_cell: MakeCell, result_of: Callable[..., CellResult]
) -> None:
    cell = make_cell(backend="vulkan")
    unnamed = replace(result_of(cell), n_devices=2)

    def split(mode: str) -> CellResult:
        return replace(result_of(replace(cell, params={**cell.params, "split_mode": mode})), n_devices=2)

    assert differences(unnamed, split("layer")) == ()
    assert differences(unnamed, split("row")) == ("split_mode",)
    assert differences(split("layer"), split("tensor")) == ("split_mode",)
    assert "devices" in differences(unnamed, split("none"))  # one of them computes
