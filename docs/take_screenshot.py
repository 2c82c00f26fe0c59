"""Takes the screenshot of a page into docs/pictures/, by a real Chromium.

    .venv/bin/python docs/take_screenshot.py reports/demo/index.html docs/pictures/demo.png [--dark] [--width 1280]

It needs chromium and chromedriver on PATH (Debian: apt-get install chromium chromium-driver). The picture has as few
colours as a page needs; one of 300 KB or more is refused, since it would stay in the history of the repository.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

MOST_BYTES = 300_000
COLOURS = 128
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--hide-scrollbars", "--force-device-scale-factor=1",
)  # fmt: skip


def main() -> None:
    """Read the command line, take the picture, write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="an HTML file")
    parser.add_argument("picture", type=Path, help="a PNG file to write")
    parser.add_argument("--width", type=int, default=1280, help="of the window, in CSS pixels")
    parser.add_argument("--height", type=int, default=900, help="of the window; what is below is cut off")
    parser.add_argument("--whole", action="store_true", help="the whole page instead of the window")
    parser.add_argument("--dark", action="store_true", help="as readers with a dark theme see it")
    given = parser.parse_args()
    if not given.page.is_file():
        sys.exit(f"{given.page}: there is no such file")
    data = smaller(taken(given.page, width=given.width, height=given.height, whole=given.whole, dark=given.dark))
    if len(data) >= MOST_BYTES:
        sys.exit(f"{given.picture}: {len(data)} bytes are more than {MOST_BYTES}: take a smaller part (--height)")
    given.picture.parent.mkdir(parents=True, exist_ok=True)
    given.picture.write_bytes(data)
    print(f"{given.picture}: {len(data)} bytes")


def taken(page: Path, *, width: int, height: int, whole: bool, dark: bool) -> bytes:
    """The page as PNG."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        sys.exit("no chromium and chromedriver on PATH (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
        try:
            scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
            _resize(browser, width, height)
            browser.get(page.resolve().as_uri())
            has_script = "return !document.querySelector('script') || document.documentElement.dataset.ready === 'yes'"
            WebDriverWait(browser, 60).until(lambda b: b.execute_script(has_script))
            if whole:
                _resize(browser, width, browser.execute_script("return document.documentElement.scrollHeight"))
            return bytes(browser.get_screenshot_as_png())
        finally:
            browser.quit()


def _resize(browser: webdriver.Chrome, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def smaller(png: bytes) -> bytes:
    """The same picture with a palette: text on a plain ground needs no more."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        palette = image.convert("RGB").quantize(colors=COLOURS, dither=Image.Dither.NONE)
        palette.save(out, format="PNG", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    main()
