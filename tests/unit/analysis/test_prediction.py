import math
import random
from dataclasses import replace

import pytest

from harness.analysis.hardware import data_sheets
from harness.analysis.prediction import Generation, Point, Predictor, fit, point, points
from harness.analysis.scoreboard import scoreboard

EFFICIENCY, OVERHEAD_S = 0.85, 0.002


def made(number: int, noise: float = 0.0, group: str = "x/y", seed: int = 1) -> tuple[Point, ...]:
    """Devices of a made-up vendor that follow the formula, with noise on the log scale."""
    chance = random.Random(seed)
    found = []
    for index in range(number):
        bandwidth = math.exp(chance.uniform(math.log(200), math.log(2000)))
        seconds = 3.76 / (EFFICIENCY * bandwidth) + OVERHEAD_S
        found.append(
            Point(
                device=f"{group}-{index}",
                group=group,
                family=f"f{index % 4}",
                bandwidth=math.log(bandwidth),
                compute=3.8,
                year=0.0,
                stacked=False,
                flash_attn=False,
                unlike=False,
                rate=math.exp(chance.gauss(0, noise)) / seconds,
            )
        )
    return tuple(found)


def test_the_law_is_found_again() -> None:
    data = made(30)
    law = Generation(["x/y"])
    parameters = fit(law, data)
    efficiency = math.exp(parameters[0] + parameters[1])
    overhead_ms = math.exp(parameters[2] + parameters[3])
    assert efficiency == pytest.approx(EFFICIENCY, rel=0.01)
    assert overhead_ms == pytest.approx(1000 * OVERHEAD_S, rel=0.05)


def test_one_wild_line_moves_little() -> None:
    data = made(30)
    wild = (replace(data[0], rate=data[0].rate / 3), *data[1:])
    law = Generation(["x/y"])
    calm, shaken = fit(law, data), fit(law, wild)
    assert math.exp(shaken[0] + shaken[1]) == pytest.approx(math.exp(calm[0] + calm[1]), rel=0.02)


def test_intervals_cover_what_they_promise() -> None:
    predictor = Predictor(Generation, made(40, noise=0.05))
    new = made(200, noise=0.05, seed=2)
    inside = sum(found.low <= p.rate <= found.high for p in new if (found := predictor.predict(p)))
    # 90 % of 200 is 180; a binomial varies by 4.2, and so does the level of an interval from forty devices.
    assert 165 <= inside <= 197


def test_a_smaller_model_is_faster_by_its_bytes_until_the_overhead_counts() -> None:
    predictor = Predictor(Generation, made(20))
    wanted = made(1, seed=3)[0]
    half = Generation(predictor.law.groups, weights_bytes=1.88e9)
    whole_s = 1 / predictor.predict(wanted).tokens_per_s
    half_s = 1 / predictor.predict(wanted, law=half).tokens_per_s
    assert half_s == pytest.approx(whole_s - 1.88 / (EFFICIENCY * math.exp(wanted.bandwidth)), rel=0.02)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"group": "x/z"}, "no device of x/z"),
        ({"bandwidth": math.log(20000)}, "bandwidth lies outside"),
        ({"compute": 9.0}, "compute lies outside"),
    ],
)
def test_outside_of_the_data_nothing_is_predicted(change: dict, words: str) -> None:
    predictor = Predictor(Generation, made(12))
    assert predictor.refusal(made(1, seed=3)[0]) == ""
    assert words in predictor.refusal(replace(made(1, seed=3)[0], **change))


def test_a_data_sheet_without_what_is_needed_gives_no_point() -> None:
    sheet = data_sheets()["rtx-4090"]
    assert point(sheet, backend="cuda", flash_attn=False) is not None
    assert point(replace(sheet, fp32_tflops=None), backend="cuda", flash_attn=False) is None
    assert point(replace(sheet, architecture="Unheard sm_1"), backend="cuda", flash_attn=False) is None


def test_the_scoreboards_name_devices_that_exist_and_rates_that_can_be() -> None:
    scores = scoreboard()
    assert len(scores) == 169
    assert sum(score.sheet is not None for score in scores) > 130
    assert all(score.source for score in scores)
    for score in scores:
        assert score.tg128 is None or 5 < score.tg128 < 500
        assert score.pp512 is None or 20 < score.pp512 < 20000
        assert 0 < score.compute_share <= 1


def test_every_line_that_is_used_has_a_known_architecture() -> None:
    used = points(scoreboard(), lambda score: score.tg128)
    usable = [s for s in scoreboard() if s.tg128 and s.sheet and (s.backend, s.sheet.vendor) != ("vulkan", "apple")]
    assert len(used) == len(usable)
