"""How wrong are predictions for devices that the model has not seen? By leaving out each device, and each family.

Beside it the straight line that everybody draws: log of the rate over log of the bandwidth, one a backend.

    .venv/bin/python benchmarks/prediction_error.py
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from harness.analysis.prediction import Generation, Law, Point, Predictor, PromptProcessing, points
from harness.analysis.scoreboard import scoreboard


def line(known: Sequence[Point], wanted: Sequence[Point], what: str) -> list[float]:
    guesses = []
    for p in wanted:
        alike = [k for k in known if k.group.split("/")[0] == p.group.split("/")[0]] or list(known)
        if len(alike) == 1:
            alike = list(known)
        slope, base = np.polyfit([getattr(k, what) for k in alike], [math.log(k.rate) for k in alike], 1)
        guesses.append(base + slope * getattr(p, what))
    return guesses


def evaluate(title: str, law: Callable[[Sequence[str]], Law], data: Sequence[Point], what: str) -> None:
    for held, key in (("device", lambda p: p.device), ("family", lambda p: p.family)):
        ours, theirs, inside = [], [], []
        for name in sorted({key(p) for p in data}):
            known = [p for p in data if key(p) != name]
            wanted = [p for p in data if key(p) == name]
            predictor = Predictor(law, known)
            for p, guess in zip(wanted, line(known, wanted, what), strict=True):
                found = predictor.predict(p)
                ours.append(abs(found.tokens_per_s / p.rate - 1))
                theirs.append(abs(math.exp(guess) / p.rate - 1))
                inside.append(found.low <= p.rate <= found.high)
        better = sum(a < b for a, b in zip(ours, theirs, strict=True))
        print(
            f"{title}, each {held} held out, {len(data)} lines: median error {100 * np.median(ours):.1f} %, "
            f"nine of ten below {100 * np.quantile(ours, 0.9):.0f} %; "
            f"90 % interval covers {100 * np.mean(inside):.0f} %; "
            f"straight line {100 * np.median(theirs):.1f} %; closer than the line in {better}",
            flush=True,
        )


def main() -> None:
    scores = scoreboard()
    evaluate("tg128", Generation, points(scores, lambda score: score.tg128), "bandwidth")
    evaluate("pp512", PromptProcessing, points(scores, lambda score: score.pp512), "compute")


if __name__ == "__main__":
    main()
