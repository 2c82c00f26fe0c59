import io
import json

import pytest
from rich.console import Console

from harness.errors import InputError
from harness.flows.console import Display
from harness.flows.whatif import find_sheet, show_whatif


def shown(name: str, **how: object) -> str:
    stream = io.StringIO()
    show_whatif(name, display=Display(terminal=False, stream=Console(file=stream, soft_wrap=True)), **how)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("rtx-4090", "rtx-4090"),
        ("RTX 4090", "rtx-4090"),
        ("NVIDIA GeForce RTX 4070", "rtx-4070"),
        ("rtx 4070", "rtx-4070"),
        ("7900 xtx", "rx-7900-xtx"),
        ("8060S", "strix-halo-8060s"),
    ],
)
def test_a_device_is_found_by_what_people_call_it(name: str, key: str) -> None:
    assert find_sheet(name).id == key


@pytest.mark.parametrize(
    ("name", "what", "remedy"),
    [
        ("epyc", "several devices: epyc-milan, epyc-genoa", "Name one of them."),
        ("rtx 9999", "no data sheet", "Did you mean rtx-5090"),
        ("zzz", "no data sheet", "hardware.yaml"),
    ],
)
def test_a_device_that_is_not_found_is_told_with_what_is_near(name: str, what: str, remedy: str) -> None:
    with pytest.raises(InputError) as told:
        find_sheet(name)
    assert what in told.value.what
    assert remedy in told.value.remedy


def test_predictions_say_that_they_are_none_of_ours() -> None:
    text = shown("rtx 4090", price="0.30")
    assert "Predicted, not measured" in text
    assert "at most 268 tokens/s" in text
    assert "cost of 1M tokens" in text


def test_every_rate_lies_in_its_interval_and_below_what_the_memory_can() -> None:
    for name in ("rtx-3060-12", "rtx-4090", "rx-7900-xtx", "apple-m4-max", "arc-b580"):
        for each in json.loads(shown(name, as_json=True)):
            rate = each["generation"]
            assert rate["low"] <= rate["tokens_per_s"] <= rate["high"]
            assert rate["tokens_per_s"] < 1e9 * find_sheet(name).bandwidth_gb_s / 3.76e9


def test_what_is_outside_of_the_data_is_refused() -> None:
    assert "nothing is predicted: no device of cpu is in the scoreboards" in shown("epyc-genoa")


@pytest.mark.parametrize("price", ["free", "-1", "1e9"])
def test_a_price_is_a_number(price: str) -> None:
    with pytest.raises(InputError, match="is no price"):
        shown("rtx 4090", price=price)
