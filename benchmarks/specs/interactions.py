"""From a changed field to the new answer in its place, in a real browser. [s wall]"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from benchmarks.registry import Absent, BenchSpec, register
from benchmarks.specs.pages import LENGTHS, SERVED, server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Questions = Sequence[tuple[dict[str, str], Sequence[str]]]
"""What a page is opened with, and what is then typed into one of its fields, in turn."""

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VISITS = 7
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
REST = 0.6
"""A person looks at an answer before asking anew; its pictures are drawn meanwhile. [s]"""
WATCH = """() => {
  const start = performance.now();
  window.taken = null;
  const done = () => { window.taken = performance.now() - start; };
  document.addEventListener("htmx:afterSwap", done, { once: true });
}"""
LLAMA_405B = {"model": "llama-3.1-405b", "tokens": "15T"}
TRAINED: Questions = (
    ({"model": "llama-3.1-8b", "accelerator": "h100"}, ("32", "128", "96", "256")),
    ({"model": "llama-3.1-70b", "accelerator": "h100"}, ("2048", "512", "1536", "768")),
    (LLAMA_405B | {"cluster": "meta-24k"}, ("8192", "12288", "4096", "20480")),
    (LLAMA_405B | {"accelerator": "h100"}, ("100000", "65536", "50000", "98304")),
    ({"model": "mixtral-8x7b", "accelerator": "h100"}, ("256", "64", "512", "384")),
    ({"model": "deepseek-v3", "accelerator": "h800"}, ("2048", "4096", "1024", "3072")),
)
RATES: Questions = tuple((one | LENGTHS, ("25/s", "40/s", "10/s")) for one in SERVED)


def asking(path: str, field: str, questions: Questions) -> Callable[[], float]:
    """Return a function that opens each page, changes a field, and returns the median. [s]"""

    def work() -> float:
        taken = []
        with server() as (address, _), chromium() as browser:
            page = browser.new_page()
            for query, values in questions:
                page.goto(f"{address}{path}?{urlencode(query)}")
                page.wait_for_load_state("networkidle")
                taken += [_changed(page, f"#field-{field}", value) for value in values]
        return median(taken)

    return with_browser(work)


def first_content() -> float:
    """Median time from asking for the home page to its first content, in new contexts. [s]"""
    taken = []
    with server() as (address, _), chromium() as browser:
        for _ in range(VISITS):
            page = browser.new_context().new_page()
            page.goto(address)
            page.wait_for_load_state("networkidle")
            page.wait_for_function(PAINTED)
            taken.append(float(page.evaluate(PAINTED)) / 1e3)
    return median(taken)


def with_browser(work: Callable[[], float]) -> Callable[[], float]:
    """Refuse where there is no browser to drive."""
    if find_spec("playwright") is None:
        raise Absent("playwright is not installed")
    if not CHROMIUM:
        raise Absent("chromium is not installed")
    return work


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        yield play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


def _changed(page: Page, field: str, value: str) -> float:
    """Type one value, leave the field, and look at the time when there has been enough of it."""
    time.sleep(REST)
    page.fill(field, value)
    page.evaluate(WATCH)
    page.press(field, "Tab")
    time.sleep(REST)
    while page.evaluate("window.taken") is None:
        time.sleep(REST)  # looking often would take of the time that is measured
    return float(page.evaluate("window.taken")) / 1e3


register(
    BenchSpec(
        name="interactions.plan-train",
        build=lambda: asking("/plan/train", "accelerators", TRAINED),
        run=lambda work: work(),
        unit="s wall",
        goal=0.2,
        doc="A changed number of accelerators: median of 24 plans, 32 to 100,000 of them.",
    )
)
register(
    BenchSpec(
        name="interactions.plan-serve",
        build=lambda: asking("/plan/serve", "rate", RATES),
        run=lambda work: work(),
        unit="s wall",
        goal=1.0,
        doc="A changed rate of requests: median of nine plans.",
    )
)
register(
    BenchSpec(
        name="interactions.first-content",
        build=lambda: with_browser(first_content),
        run=lambda work: work(),
        unit="s wall",
        goal=0.7,
        doc="From asking for the home page to its first content: median of seven new visitors.",
    )
)
