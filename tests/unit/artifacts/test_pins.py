"""Which llama.cpp sources there are beside the one that everything is built from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.artifacts.pins import read_source, sources_in
from harness.errors import InputError

IMAGES = Path(__file__).parents[3] / "images"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return Path(shutil.copytree(IMAGES, tmp_path / "images"))


def test_every_source_of_the_checkout_is_whole_and_older_than_the_one_that_all_is_built_from() -> None:
    names = sources_in(IMAGES)
    numbers = [read_source(name, IMAGES).build_number for name in names]
    assert [f"b{number}" for number in numbers] == list(names)
    assert numbers == sorted(numbers)
    assert len(names) >= 3
    assert all(number < read_source("", IMAGES).build_number for number in numbers)


def test_builds_stand_in_the_order_of_their_numbers(images: Path) -> None:
    for name in ("b10000", "b999"):
        shutil.copyfile(images / "sources/b6110.yaml", images / f"sources/{name}.yaml")
    assert sources_in(images)[0] == "b999"
    assert sources_in(images)[-1] == "b10000"


def test_a_source_that_pins_another_build_than_its_name_is_refused(images: Path) -> None:
    shutil.copyfile(images / "sources/b6110.yaml", images / "sources/b6111.yaml")
    with pytest.raises(InputError, match="pins build 6110"):
        read_source("b6111", images)


def test_an_unknown_source_is_told_with_those_that_there_are(images: Path) -> None:
    with pytest.raises(InputError, match="is not one of b6110, b8643, b9102") as caught:
        read_source("b7000", images)
    assert "images/sources/" in caught.value.remedy
    with pytest.raises(InputError, match="Did you mean 'b6110'"):
        read_source("b6101", images)
