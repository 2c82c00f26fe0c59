"""The site in a real Chromium: the search works by keyboard, nobody is asked for anything, hostile names do nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from harness.report.site.build import site_pages
from harness.store.manifest import PublishedReport
from harness.values.declaration import Kind
from tests.rig.browser import needs_browser
from tests.rig.repository import add_start, change, repository

pytestmark = needs_browser
HOSTILE = "</title><script>document.title='owned'</script>\"'><img src=x onerror=\"document.title='owned'\">"
DEMO = PublishedReport(name="demo")


def written(root: Path, published: PublishedReport, title: str) -> list[Path]:
    paths = []
    for path, text in site_pages(root, [published], title=title).items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
        paths.append(root / path)
    return paths


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = repository(tmp_path_factory.mktemp("site")).cwd
    for number in range(10):
        add_start(root / "reports/demo", number, slower=(1.0 if number < 5 else 1.1) * (1 + number % 3 * 0.002))
    return written(root, DEMO, "Ours")


def asked_for(browser: webdriver.Chrome) -> list[str]:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


def show(browser: webdriver.Chrome, path: Path) -> None:
    browser.get("about:blank")
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(path.as_uri())


def test_no_page_asks_for_anything_or_complains(browser: webdriver.Chrome, pages: list[Path]) -> None:
    for path in pages:
        show(browser, path)
        assert [url for url in asked_for(browser) if not url.startswith(("data:", "about:"))] == [path.as_uri()]
        assert browser.get_log("browser") == []


def test_the_search_finds_by_all_words_and_says_how_many(browser: webdriver.Chrome, pages: list[Path]) -> None:
    show(browser, pages[0])
    box = browser.find_element(By.ID, "search")
    box.send_keys("vulkan pp16")
    shown = [row.text for row in browser.find_elements(By.CSS_SELECTOR, "main tbody tr") if row.is_displayed()]
    assert len(shown) == 1
    assert "pp16" in shown[0]
    assert browser.find_element(By.ID, "found").text.startswith("1 of ")
    assert len([e for e in browser.find_elements(By.CSS_SELECTOR, ".none") if e.is_displayed()]) == 2
    box.clear()
    box.send_keys("zzz")
    assert not [row for row in browser.find_elements(By.CSS_SELECTOR, "main tbody tr") if row.is_displayed()]


def test_links_lead_to_the_matrix_and_back(browser: webdriver.Chrome, pages: list[Path]) -> None:
    show(browser, pages[0])
    browser.find_element(By.LINK_TEXT, "Demo").click()
    assert browser.find_element(By.TAG_NAME, "h1").text == "Demo"
    assert "slower by" in browser.find_element(By.CSS_SELECTOR, ".history .warning").text
    browser.find_element(By.LINK_TEXT, "Ours").click()
    assert browser.current_url == pages[0].as_uri()


def test_hostile_names_do_nothing(browser: webdriver.Chrome, tmp_path: Path) -> None:
    root = repository(tmp_path).cwd

    def session(data: dict) -> None:
        data.update(title=HOSTILE, notes=HOSTILE)
        data["machine"].update(cpu_model=HOSTILE, os=HOSTILE)
        for model in data["models"]:
            model["title"] = HOSTILE

    change(root / "reports/demo", session=session, record=lambda value: value.update(device=HOSTILE))
    for path in written(root, replace(DEMO, declared={Kind.SCREENING: HOSTILE}), HOSTILE):
        show(browser, path)
        assert browser.execute_script("return document.title") != "owned"
        assert browser.execute_script("return document.querySelectorAll('[onerror], iframe').length") == 0
        assert browser.get_log("browser") == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_no_page_is_wider_than_the_window(
    browser: webdriver.Chrome, pages: list[Path], width: int, scheme: str
) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        for path in pages:
            show(browser, path)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
            colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
            assert colour == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
