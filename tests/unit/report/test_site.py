"""The pages of a site: complete, linked, and inert whatever strangers call their things."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urljoin

import pytest

from harness.report.site.build import site_pages
from harness.report.site.frame import Frame, Link
from harness.store.manifest import PublishedReport
from harness.values.declaration import Kind
from tests.rig.repository import add_start, change, repository

DEMO = PublishedReport(name="demo")
HOSTILE = "<script>document.title='owned'</script>\"'><img src=x onerror=document.title='owned'> $title ${style} \u202e"


class Page(HTMLParser):
    """What of a page matters here: its tags with their attributes, its links, its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def links(self) -> list[str]:
        return [attrs["href"] or "" for tag, attrs in self.tags if tag == "a"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return repository(tmp_path).cwd


def test_there_is_an_index_and_a_page_of_each_matrix_and_machine(root: Path) -> None:
    pages = site_pages(root, [DEMO], title="Ours")
    (machine,) = (path.stem for path in (root / "reports/demo/records").glob("*.jsonl"))
    assert set(pages) == {"index.html", "matrices/demo.html", f"machines/{machine}.html"}
    for text in pages.values():
        assert "749 (580 to 768)" in text
    assert "Change of level" not in pages["matrices/demo.html"]
    assert "Every cell was measured by one start only" in pages["matrices/demo.html"]


def test_every_link_leads_to_a_file_of_the_site(root: Path) -> None:
    pages = site_pages(root, [DEMO], title="Ours")
    present = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()} | set(pages) | {"manifest.json"}
    for path, text in pages.items():
        for link in Page(text).links:
            if not link.startswith("#"):
                assert unquote(urljoin(path, link)) in present, (path, link)


def test_no_page_names_another_server_or_may_ask_one(root: Path) -> None:
    for text in site_pages(root, [DEMO], title="Ours").values():
        page = Page(text)
        policy = next(a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
        assert policy is not None
        assert policy.startswith("default-src 'none';")
        for tag, attributes in page.tags:
            for name in ("src", "href", "action", "data"):
                value = attributes.get(name) or ""
                assert "//" not in value.replace("data:image/svg+xml;base64,", ""), (tag, value[:80])


def test_pages_can_be_walked_by_keyboard_and_screen_reader(root: Path) -> None:
    for path, text in site_pages(root, [DEMO], title="Ours").items():
        page = Page(text)
        assert ("html", {"lang": "en"}) in page.tags
        assert page.links[0] == "#main"
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(b - a <= 1 for a, b in pairwise(levels)), levels
        assert all(attrs.get("scope") == "col" for tag, attrs in page.tags if tag == "th")
        assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
        wide = [attrs for _, attrs in page.tags if attrs.get("class") == "wide"]
        assert wide
        assert all(attrs.get("tabindex") == "0" and attrs.get("aria-label") for attrs in wide)
        assert ("nav" in {tag for tag, _ in page.tags}) is (path != "index.html")


def test_names_of_strangers_stay_text(root: Path) -> None:
    def session(data: dict) -> None:
        data.update(title=HOSTILE, notes=HOSTILE)
        data["machine"].update(cpu_model=HOSTILE, os=HOSTILE, kernel=HOSTILE)
        for model in data["models"]:
            model["title"] = HOSTILE
        for device in data["machine"]["devices"]:
            device["name"] = HOSTILE

    change(root / "reports/demo", session=session, record=lambda value: value.update(device=HOSTILE))
    hostile = replace(DEMO, declared={Kind.NO_CONTROL: HOSTILE})
    for path, text in site_pages(root, [hostile], title=HOSTILE).items():
        page = Page(text)
        allowed = 1 if path == "index.html" else 0
        assert sum(tag == "script" for tag, _ in page.tags) == allowed
        assert not [tag for tag, _ in page.tags if tag in {"img", "svg", "iframe", "object"} and path == "index.html"]
        assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
        assert "$title ${style}" in page.text
        assert "\u202e" not in text


def test_a_link_is_relative_and_quoted() -> None:
    frame = Frame(path="a/b.html", title="t", heading="h")
    assert frame.link(Link(text="<x>", path='m/"x y".html')) == '<a href="../m/%22x%20y%22.html">&lt;x&gt;</a>'


def test_a_history_with_a_change_is_told_drawn_and_listed(root: Path) -> None:
    for number in range(14):
        add_start(root / "reports/demo", number, slower=(1.0 if number < 7 else 1.1) * (1 + number % 3 * 0.002))
    page = site_pages(root, [DEMO], title="Ours")["matrices/demo.html"]
    assert "Change of level between 2027-01-07 and 2027-01-08, with the same build: slower by" in page
    assert "the level changed before it" in page
    assert 'src="data:image/svg+xml;base64,' in page
    assert "changes of level in the histories" in site_pages(root, [DEMO], title="Ours")["index.html"]


def test_what_was_declared_and_struck_out_stands_before_the_numbers(root: Path) -> None:
    published = replace(DEMO, declared={Kind.INCOMPLETE: "the power went away"}, struck=3)
    page = site_pages(root, [published], title="Ours")["matrices/demo.html"]
    declared = page.index("Not finished, declared by whoever published this: the power went away")
    assert declared < page.index("struck out of 3 records") < page.index("749 (580 to 768)")
