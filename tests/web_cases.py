"""A server of the pages, run as a person runs it, and what is asked of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clusterwright.web.page import Page
from clusterwright.web.pages import PAGES

SOURCE = Path(__file__).parents[1] / "src"
SLOW = ("/scorecard", "/claims", "/compare/train")
QUICK = [page for page in PAGES if page.examples and page.path not in SLOW]
"""Pages whose first example is answered within a second or two."""
OTHERS = (
    "/accuracy",
    "/saved",
    "/saved/plan?plan=small.json",
    "/saved/study?study=drawn.sqlite",
    "/launch?plan=small.json&to=megatron&on=slurm",
    "/simulate/power?plan=small.json",
)
"""Pages without examples, of a folder that is `stocked`."""
DRAWN = """\
question = "site"
design = "sobol"
samples = 4
least = "hour"
results = ["hour", "bill"]
[axes]
target = ["8000xh100", "4000xh200"]
[uncertain]
tariff = ["$0.04/kWh", "$0.06/kWh", "$0.09/kWh"]
server-price = ["$25,000", "$30,000", "$40,000"]
"""


def stocked(folder: Path) -> Path:
    """Put a plan and a study into a folder."""
    from sweep_cases import study_of

    from clusterwright.cli import ask
    from clusterwright.sweep.sweeping import sweep

    plan = ("plan", "train", "--accelerator=h100", "--accelerators=64", "--tokens=1T")
    ask([*plan, f"--save={folder / 'small.json'}", "--", "llama-3.1-8b"])
    sweep(study_of(folder, DRAWN, "drawn.toml"), folder / "drawn.sqlite", workers=1).close()
    return folder


@contextmanager
def served(folder: Path, *options: str) -> Iterator[str]:
    """A server for a folder; the address it is at."""
    words = [sys.executable, "-m", "clusterwright", "web", str(folder), "--port", "0", *options]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        found = re.search(r"http://\S+", said)
        assert found, said
        yield found[0].rstrip("/")
    finally:
        process.terminate()
        process.communicate(timeout=10)


def example_of(page: Page) -> str:
    """The address of a page's first example."""
    from clusterwright.web.view import address

    return address(page.path, page.examples[0].query)


def chromium() -> str | None:
    """The browser of the system."""
    return shutil.which("chromium") or shutil.which("chromium-browser")
