"""How large the page of 100,000 runs is, and how long a browser takes to open, sort and filter it.

    python benchmarks/page_size.py [RUNS]

Made-up rows of six runs with five samples each: 1 % between runs, 0.5 % within them. Sizes are of the file; times are
of the machine that it runs on, as medians of five, and need chromium and chromedriver on PATH.
"""

from __future__ import annotations

import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from harness.report.page import build
from harness.stats.intervals import median_interval, rate, rate_interval, run_value
from harness.values.block import Heading
from harness.values.result_row import ResultRow

DEVICES = [("nvidia", "cuda"), ("nvidia", "vulkan"), ("amd", "rocm"), ("amd", "vulkan"), ("intel", "vulkan")]
TESTS = [("pp", 512, 0), ("tg", 0, 128)]
DEPTHS = (0, 2048, 4096, 8192, 16384)
SCRIPTS = {
    "sorted by rate": "document.getElementById('sort-shown').click()",
    "sorted by model": "document.getElementById('sort-model').click()",
    "filtered by search": "const s = document.getElementById('search');"
    "s.value = s.value ? '' : 'rocm 17'; s.dispatchEvent(new Event('input'))",
    "scrolled to another place": "const v = document.getElementById('view');"
    "v.scrollTop = Math.random() * v.scrollHeight; v.dispatchEvent(new Event('scroll'))",
}


def rows_and_samples(runs: int) -> tuple[list[ResultRow], dict[tuple[str, str], tuple[int, ...]]]:
    dice, rows, samples = random.Random(1), [], {}
    while 6 * len(rows) < runs:
        n = len(rows)
        vendor, backend = DEVICES[n % 5]
        (metric, n_prompt, n_gen), depth = TESTS[n // 5 % 2], DEPTHS[n // 10 % 5]
        model, machine = n // 50 % 40, n // 2000
        cell = f"{backend}/model-{model}/{metric}{n_prompt + n_gen}@d{depth}"
        ns, values, records = dice.uniform(1e5, 3e7), [], []
        for _ in range(6):
            shared = dice.gauss(0, 0.01)
            own = tuple(round(ns * (n_prompt + n_gen) * (1 + shared + dice.gauss(0, 0.005))) for _ in range(5))
            record = f"{dice.getrandbits(256):064x}"
            samples[record, cell] = own
            values.append(run_value(own, n_tokens=n_prompt + n_gen))
            records.append(record)
        interval = median_interval(values)
        assert interval is not None
        found = rate_interval(interval)
        rows.append(
            ResultRow(
                row=f"{n:016x}", report="many", machine=f"machine-{machine}", cell=cell, metric=metric,
                group=f"{metric}-{model}-{depth}", key={"model weights": f"{model:064x}", "n_depth": depth},
                kind="ranked", rankable=True, model=f"model-{model}", model_title=f"Model {model} Q4_K_M",
                test=f"{metric}{n_prompt + n_gen}@d{depth}", n_prompt=n_prompt, n_gen=n_gen, n_depth=depth,
                backend=backend, device=f"{vendor} card {machine % 7}", vendor=vendor, params={"n_batch": 2048},
                value=rate(statistics.median(values)), low=found.low, high=found.high, rounds=6, rounds_planned=6,
                proof="proven", run_rounds=tuple(range(1, 7)), run_sessions=("20261101T120000Z-000001",) * 6,
                run_values_ns=tuple(values), run_records=tuple(records), build_number=11312,
                memory_bytes=dice.randrange(10**9, 2 * 10**10), energy_j_per_token=dice.uniform(0.5, 9),
                argv=("/app/llama-bench", "-m", "/models/model.gguf", "-p", str(n_prompt), "-n", str(n_gen)),
                first_utc="2026-11-01T12:00:00Z",
            )
        )  # fmt: skip
    return rows, samples


def in_browser(path: Path) -> None:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    with tempfile.TemporaryDirectory() as profile:
        for flag in ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"):
            options.add_argument(flag)
        service = webdriver.ChromeService(executable_path=shutil.which("chromedriver") or "chromedriver")
        browser = webdriver.Chrome(options=options, service=service)
        try:
            start = time.perf_counter()
            browser.get(path.as_uri())
            WebDriverWait(browser, 120).until(
                lambda b: b.execute_script("return document.documentElement.dataset.ready")
            )
            print(f"opened, unpacked and drawn: {time.perf_counter() - start:.1f} s")
            for title, script in SCRIPTS.items():
                timed = f"const t = performance.now(); {script}; return performance.now() - t"
                print(f"{title}: {statistics.median(browser.execute_script(timed) for _ in range(5)):.0f} ms")
            heap = browser.execute_script("return performance.memory.usedJSHeapSize")
            print(f"memory of its script: {heap / 1e6:.0f} MB")
        finally:
            browser.quit()


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rows, samples = rows_and_samples(runs)
    start = time.perf_counter()
    text = build.write([Heading(level=1, text="Many")], rows, samples, picture=lambda _: "")
    print(f"{len(rows)} rows, {6 * len(rows)} runs, {sum(map(len, samples.values()))} samples")
    print(f"page: {len(text.encode()) / 1e6:.2f} MB, written in {time.perf_counter() - start:.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.html"
        path.write_text(text, encoding="utf-8")
        if shutil.which("chromium") and shutil.which("chromedriver"):
            in_browser(path)


if __name__ == "__main__":
    main()
