"""The page in a real Chromium: it asks nobody for anything, compares as the Python does, and stays inert."""

import json
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from harness.analysis.table import rows_of
from harness.report.data import ReportData
from harness.report.page import build
from harness.report.page.columns import columns, samples_of
from harness.report.report import report_blocks
from harness.report.writers import svg
from harness.stats.paired import compare_paired
from harness.stats.students_t import two_sided_p, two_sided_quantile
from harness.stats.verdicts import Comparison, in_words
from harness.stats.welch import compare_apart
from tests.rig.browser import needs_browser

pytestmark = needs_browser


def page_of(data: ReportData, *, real: bool = True) -> str:
    rows = rows_of(data.name, data.machines)
    if real:
        # As if it had been measured: what is simulated is never compared.
        rows = tuple(replace(r, simulated=False, rankable=r.value is not None, why_not="") for r in rows)
    return build.write(report_blocks(data), columns(rows, samples_of(data.machines)), picture=svg.write)


@pytest.fixture(scope="module")
def page(four_machines: ReportData, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(page_of(four_machines))
    return path


def show(browser: webdriver.Chrome, path: Path, anchor: str = "") -> None:
    browser.get("about:blank")
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(path.as_uri() + anchor)
    WebDriverWait(browser, 60).until(lambda b: b.execute_script("return document.documentElement.dataset.ready"))
    assert browser.execute_script("return document.documentElement.dataset.ready") == "yes"


def asked_for(browser: webdriver.Chrome) -> list[str]:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


def column(browser: webdriver.Chrome, number: int) -> list[str]:
    script = (
        "return [...document.querySelectorAll('#rows tr[aria-rowindex]')].map(r => r.cells[arguments[0]].textContent)"
    )
    return browser.execute_script(script, number)


def said(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.ID, "verdict").text


def test_it_asks_nobody_for_anything_and_complains_of_nothing(browser, page: Path) -> None:
    show(browser, page)
    assert [url for url in asked_for(browser) if not url.startswith(("data:", "about:"))] == [page.as_uri()]
    assert browser.get_log("browser") == []


def test_its_policy_stops_what_would_ask(browser, page: Path) -> None:
    show(browser, page)
    script = (
        "const done = arguments[0]; fetch('https://example.invalid/').then(() => done('asked'), () => done('refused'))"
    )
    assert browser.execute_async_script(script) == "refused"
    assert any("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))
    assert "https://example.invalid/" not in [url for url in asked_for(browser) if not url.startswith("file:")]


def test_results_are_sorted_by_any_column_both_ways(browser, page: Path) -> None:
    show(browser, page)
    button = browser.find_element(By.ID, "sort-shown")
    button.click()
    falling = [float(text.split()[0]) for text in column(browser, 3)]
    assert falling == sorted(falling, reverse=True)
    button.click()
    rising = [float(text.split()[0]) for text in column(browser, 3)]
    assert rising == sorted(rising)
    assert button.find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"


def test_results_are_filtered_by_vendor_model_backend_and_depth(browser, page: Path) -> None:
    show(browser, page)
    for name, value in (("vendor", "AMD"), ("backend", "Vulkan"), ("depth", "4096"), ("model", "Qwen3 8B Q4_K_M")):
        Select(browser.find_element(By.ID, f"by-{name}")).select_by_visible_text(value)
    assert browser.find_element(By.ID, "count").text == "2 of 72 results"
    assert set(column(browser, 4)) == {"AMD Radeon RX 7900 XTX"}
    browser.find_element(By.ID, "search").send_keys("tg128")
    assert column(browser, 2) == ["tg128@d4096"]


def test_a_number_leads_to_its_samples_its_record_and_its_command(browser, page: Path, four_machines) -> None:
    show(browser, page)
    browser.find_element(By.CSS_SELECTOR, "button.number").click()
    dialog = browser.find_element(By.ID, "details")
    result = four_machines.machines[0].cells[0]
    assert dialog.get_attribute("open") is not None
    for run in result.runs:
        assert run.record[:16] in dialog.text
        assert ", ".join(f"{ns / 1e6:.3f}" for ns in run.samples_ns) in dialog.text
    assert " ".join(result.argv) in dialog.text
    assert f"./bench reproduce reports/many --of desk-4090 --record {result.runs[0].record[:16]}" in dialog.text
    link = browser.current_url
    assert "#row=" in link
    dialog.send_keys(Keys.ESCAPE)
    WebDriverWait(browser, 5).until(lambda b: b.find_element(By.ID, "details").get_attribute("open") is None)
    show(browser, page, "#" + link.partition("#")[2])
    assert browser.find_element(By.ID, "details").get_attribute("open") is not None


def test_without_samples_a_number_leads_to_the_values_of_its_runs(browser, four_machines, tmp_path: Path) -> None:
    rows = rows_of("many", four_machines.machines)
    rows = tuple(replace(r, simulated=False, rankable=r.value is not None, why_not="") for r in rows)
    path = tmp_path / "index.html"
    path.write_text(build.write([], columns(rows, {}, brief=True), picture=svg.write))
    show(browser, path)
    browser.find_element(By.CSS_SELECTOR, "button.number").click()
    text = browser.find_element(By.ID, "details").text
    result = four_machines.machines[0].cells[0]
    assert "Their samples are in records/desk-4090.jsonl: there are too many of them for this page." in text
    assert f'./bench reproduce reports/many --of desk-4090 --only "{result.cell.id}"' in text
    values = browser.execute_script("return page.table.runs(0).map(run => run.value)")
    assert values == pytest.approx([run.ns_per_token for run in result.runs], rel=5e-5)
    cells = [cell for machine in four_machines.machines for cell in machine.cells]
    wanted = compare_apart(*([run.ns_per_token for run in cells[place].runs] for place in (0, 24)))
    found = browser.execute_script("return page.compare(page.table, 0, 24)")
    assert wanted is not None
    assert found["words"] == in_words(wanted)


def test_any_two_rows_have_the_verdict_of_the_python(browser, page: Path, four_machines) -> None:
    show(browser, page)
    cells = [(machine, cell) for machine in four_machines.machines for cell in machine.cells]
    pairs = [(0, 12), (1, 13), (24, 36), (1, 25), (0, 36), (24, 48)]
    for first, second in pairs:
        found = browser.execute_script("return page.compare(page.table, arguments[0], arguments[1])", first, second)
        (one, a), (other, b) = cells[first], cells[second]
        values = [run.ns_per_token for run in a.runs], [run.ns_per_token for run in b.runs]
        same = one is other
        wanted = compare_paired(*values) if same else compare_apart(*values)
        assert wanted is not None
        assert found["comparison"]["paired"] is same
        close(found["comparison"], wanted)
        assert found["words"] == in_words(wanted)


def close(found: dict, wanted: Comparison) -> None:
    for name in ("ratio", "low", "high", "degrees"):
        assert found[name] == pytest.approx(getattr(wanted, name), rel=1e-9)
    assert found["p"] == pytest.approx(wanted.p, rel=1e-6, abs=1e-15)
    assert found["verdict"] == wanted.verdict


def test_its_statistics_are_those_of_the_python(browser, page: Path) -> None:
    show(browser, page)
    cases = [
        ([100.0, 101.5, 99.0, 100.2, 98.8, 101.1], [90.0, 91.0, 89.5, 90.4, 91.2, 88.9]),
        ([100.0, 101.0], [100.5, 100.4]),
        ([1.0, 1.001, 0.999, 1.0], [1.0, 1.0005, 1.0, 0.9995]),
        ([5.0, 5.0, 5.0], [5.0, 5.0, 5.0]),
        ([5.0, 5.0, 5.0], [4.0, 4.0, 4.0]),
        ([1.0, 30.0], [1.0, 1.0]),
        ([1e-9, 2e-9, 1.5e-9, 3e-9, 2.2e-9, 1.7e-9, 2.5e-9], [9e8, 8e8, 7e8, 6.5e8, 8.1e8, 7.7e8, 9.9e8]),
    ]
    for first, second in cases:
        for name, python in (("paired", compare_paired), ("welch", compare_apart)):
            found = browser.execute_script(f"return Statistics.{name}(arguments[0], arguments[1])", first, second)
            wanted = python(first, second)
            assert wanted is not None
            close(found, wanted)
            assert browser.execute_script("return Statistics.inWords(arguments[0])", found) == in_words(wanted)
    for confidence in (0.9, 0.95, 0.981, 0.9999):
        for degrees in (1, 2, 3.7, 5, 30, 400):
            found = browser.execute_script("return Statistics.quantile(...arguments)", confidence, degrees)
            assert found == pytest.approx(two_sided_quantile(confidence, degrees), rel=1e-9)
    for t in (0.0, 0.3, 2.5, 40.0):
        found = browser.execute_script("return Statistics.twoSidedP(...arguments)", t, 4.5)
        assert found == pytest.approx(two_sided_p(t, 4.5), rel=1e-9, abs=1e-15)
    assert browser.execute_script("return Statistics.paired([1], [1])") is None
    assert browser.execute_script("return Statistics.runValue([9, 1, 2, 4], 2)") == statistics.median([1, 2, 4]) / 2


def test_two_boxes_give_a_verdict_that_is_marked_unadjusted(browser, page: Path) -> None:
    show(browser, page)
    Select(browser.find_element(By.ID, "by-depth")).select_by_visible_text("0")
    Select(browser.find_element(By.ID, "by-metric")).select_by_visible_text("pp")
    Select(browser.find_element(By.ID, "by-machine")).select_by_visible_text("desk-4090")
    boxes = browser.find_elements(By.CSS_SELECTOR, "#rows input")
    assert said(browser).startswith("Choose two rows")
    boxes[0].click()
    browser.find_elements(By.CSS_SELECTOR, "#rows input")[2].click()
    assert "slower by 2" in said(browser)
    assert "Unadjusted" in said(browser)
    browser.find_elements(By.CSS_SELECTOR, "#rows input")[1].click()
    assert "Not comparable: they differ in model weights" in said(browser)


def test_what_is_not_ranked_is_not_compared(browser, four_machines, tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text(page_of(four_machines, real=False))
    show(browser, path)
    found = browser.execute_script("return page.compare(page.table, 0, 12)")
    assert found == {"words": "Nothing can be said: NVIDIA GeForce RTX 4090, CUDA is not ranked (simulated)."}


def test_a_keyboard_reaches_every_row(browser, page: Path) -> None:
    show(browser, page)
    browser.execute_script("document.querySelector('#rows button').focus()")
    for _ in range(71):
        browser.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    last = browser.switch_to.active_element
    assert last.find_element(By.XPATH, "../..").get_attribute("aria-rowindex") == "73"
    last.send_keys(Keys.ENTER)
    dialog = browser.find_element(By.ID, "details")
    assert dialog.get_attribute("open") is not None
    assert dialog.find_element(By.TAG_NAME, "h2").text == "Qwen3 8B Q4_K_M, tg128@d16384"


def test_only_what_is_in_sight_is_drawn_and_scrolling_shows_the_rest(browser, page: Path) -> None:
    show(browser, page)
    heights = browser.execute_script(
        "return [...document.querySelectorAll('#rows tr[aria-rowindex]')].map(r => r.getBoundingClientRect().height)"
    )
    assert set(heights) == {36}
    assert len(heights) < 50
    browser.execute_script("const v = document.getElementById('view'); v.scrollTop = v.scrollHeight")
    WebDriverWait(browser, 5).until(lambda b: "16.4" in "".join(column(b, 3)))
    assert column(browser, 5)[-1] == "server-epyc"


HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\"'><svg onload=document.title='owned'>",
    "</script><script>document.title='owned'</script>",
    "</title><script>document.title='owned'</script>",
    "<!--<script>",
    "javascript:document.title='owned'",
    "\u202egnp.exe\x00\x1b[31m",
    "$title ${payload} %s {0}",
    "x" * 5000,
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_names_of_strangers_are_inert(browser, named, tmp_path: Path, text: str) -> None:
    path = tmp_path / "index.html"
    data = named(text)
    cells = data.machines[0].cells[:4]
    path.write_text(page_of(replace(data, machines=(replace(data.machines[0], cells=cells),))))
    show(browser, path)
    browser.find_element(By.CSS_SELECTOR, "button.number").click()
    title = browser.execute_script("return document.title")
    assert "owned" not in title
    elements = browser.execute_script(
        "return [...document.querySelectorAll('script, img, svg, iframe, [onerror], [onload]')]"
        ".map(e => e.outerHTML.slice(0, 60))"
    )
    assert all(e.startswith(("<script>", '<script type="text/plain" id="payload">', "<img alt=")) for e in elements)
    assert len([e for e in elements if e.startswith("<script")]) == 2
    assert [url for url in asked_for(browser) if not url.startswith(("data:", "about:"))] == [path.as_uri()]
    assert browser.get_log("browser") == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_is_never_wider_than_the_window(browser, page: Path, width: int, scheme: str) -> None:
    show(browser, page)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    )
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert colour == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_few_results_leave_no_empty_space_and_many_fill_it(browser, page: Path) -> None:
    show(browser, page)
    height = "return document.getElementById('view').clientHeight"
    bottom = "return document.getElementById(arguments[0]).getBoundingClientRect().bottom"
    every = browser.execute_script(height)
    assert browser.execute_script(bottom, "rows") >= browser.execute_script(bottom, "view") - 1
    browser.find_element(By.ID, "search").send_keys("rtx 4090 cuda pp512@d4096 q4_0")
    WebDriverWait(browser, 10).until(lambda b: 0 < len(column(b, 1)) < 6)
    assert browser.execute_script(height) < 6 * 36 + 60 < every
