"""``python docs/screenshots.py``: take the pictures of the pages anew, by Chromium.

They are looked at before they are committed; nothing compares them, for fonts differ.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
IMAGES = ROOT / "docs" / "images"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
WIDE, NARROW = 1280, 390
SHOTS = (
    ("plan-train", "/plan/train", 0, "light", WIDE, 1500),
    ("plan-serve", "/plan/serve", 0, "dark", WIDE, 1300),
    ("simulate-train", "/simulate/train", 0, "light", WIDE, 900),
    ("site", "/site", 0, "light", NARROW, 1400),
)
"""Name, page, example, scheme, width and height of each picture. [px]"""


def main() -> None:
    """Take them all, each of its page's example."""
    from web_cases import served

    from clusterwright.web.pages import BY_PATH
    from clusterwright.web.view import address

    IMAGES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder, served(Path(folder)) as server, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for name, path, number, scheme, width, height in SHOTS:
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            page = context.new_page()
            page.goto(server + address(path, BY_PATH[path].examples[number].query))
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(500)
            page.screenshot(path=IMAGES / f"{name}.png")
            context.close()


if __name__ == "__main__":
    main()
