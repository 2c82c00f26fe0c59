"""How the other programs spell a cell's parameters."""

import pytest

from harness.measure.common_options import head
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.failure import Reason
from tests.unit.measure.conftest import PARAMS, make_image_facts

NEW = dict.fromkeys(("-m", "-dev", "-fit", "-ngl", "-b", "-ub", "-ctk", "-ctv", "-t", "-lm", "-ncmoe"), "N")
NEW |= {"-fa": "[on|off|auto]", "-nkvo": "", "--no-repack": ""}
OLD = dict.fromkeys(("-m", "-dev", "-ngl", "-b", "-ub", "-ctk", "-ctv", "-t"), "N")
OLD |= {"-fa": "", "--no-mmap": "", "--mlock": ""}


def spelled(flags, passthrough=Passthrough(), **params):  # noqa: B008 - frozen
    image = make_image_facts(programs={"p": flags})
    return head(PARAMS | params, image, "p", passthrough=passthrough)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"flash_attn": 1}, ("-fa", "on")),
        ({"flash_attn": 0}, ("-fa", "off")),
        ({"flash_attn": "auto"}, ("-fa", "auto")),
        ({"load_mode": "none"}, ("-lm", "none")),
        ({"no_kv_offload": True}, ("-nkvo",)),
        ({"repack": False}, ("--no-repack",)),
        ({"n_cpu_moe": 3}, ("-ncmoe", "3")),
    ],
)
def test_new_builds(params, expected):
    argv = spelled(NEW, **params)
    assert expected in [argv[i : i + len(expected)] for i in range(len(argv))]


def test_what_is_off_is_left_out():
    argv = spelled(NEW, no_kv_offload=False, repack=True)
    assert "-nkvo" not in argv
    assert "--no-repack" not in argv


@pytest.mark.parametrize(
    ("params", "there", "absent"),
    [
        ({"flash_attn": 1}, "-fa", None),
        ({"flash_attn": 0}, None, "-fa"),
        ({"load_mode": "none"}, "--no-mmap", "-lm"),
        ({"load_mode": "mmap+mlock"}, "--mlock", "--no-mmap"),
    ],
)
def test_old_builds_have_switches(params, there, absent):
    argv = spelled(OLD, **params)
    assert there is None or there in argv
    assert absent not in argv


@pytest.mark.parametrize("params", [{"flash_attn": "auto"}, {"load_mode": "dio"}, {"n_cpu_moe": 3}, {"repack": False}])
def test_what_a_build_does_not_know_is_unsupported(params):
    assert spelled(OLD, **params).reason is Reason.UNSUPPORTED


def test_a_device_is_always_named():
    on_card = Passthrough(expected=(ExpectedDevice(name="Vulkan0"),))
    argv = spelled(NEW, on_card)
    assert argv[argv.index("-dev") + 1] == "Vulkan0"
    without = {name: hint for name, hint in OLD.items() if name != "-dev"}
    assert spelled(without, on_card).reason is Reason.UNSUPPORTED
