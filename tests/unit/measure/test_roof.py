"""What the probe of the processor says, and what is made of it where it says nothing."""

import pytest

from harness.engine.replay import scripted
from harness.measure.roof import read_roof, roof_argv

ANSWER = (
    '{"threads": 2, "buffer_bytes": 536870912, "pass_ns": 60000000, "read_bytes_per_s": [10, 30, 20], '
    '"fp32_flops_per_s": [5, 7, 6], "int8_ops_per_s": [9, 8, 7], "fp32_kernel": "avx2", "int8_kernel": "avx2"}'
)


def test_reading_is_the_median_and_computing_the_most_of_the_passes() -> None:
    roof = read_roof(scripted(ANSWER, ""), n_threads=2, image="sha256:x")
    assert (roof.read, roof.fp32, roof.int8) == (20, 7, 9)
    assert (roof.n_threads, roof.buffer_bytes, roof.fp32_kernel, roof.problem) == (2, 536870912, "avx2", "")


def test_a_processor_without_8_bit_products_has_no_such_roof() -> None:
    text = ANSWER.replace('"int8_ops_per_s": [9, 8, 7], ', "")
    assert read_roof(scripted(text, ""), n_threads=2, image="i").int8 is None


@pytest.mark.parametrize(
    ("stdout", "problem"),
    [
        ("", "did not run"),
        ("{", "cannot be read"),
        ('{"threads": 2}', "no reading rates"),
        ('{"read_bytes_per_s": [0, 1]}', "no reading rates"),
        ('{"read_bytes_per_s": "fast"}', "no reading rates"),
    ],
)
def test_what_cannot_be_used_is_a_roof_with_a_problem(stdout: str, problem: str) -> None:
    roof = read_roof(scripted(stdout, ""), n_threads=2, image="i")
    assert problem in roof.problem
    assert roof.read is None


def test_the_process_in_the_container_names_its_threads() -> None:
    assert roof_argv(3)[:3] == ("/probe", "--threads", "3")
