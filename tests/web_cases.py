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

from clusterwright.web.pages import PAGES, Page

SOURCE = Path(__file__).parents[1] / "src"
QUICK = [page for page in PAGES if page.path not in ("/scorecard", "/claims", "/compare/train")]
"""Pages whose first example is answered within a second or two."""


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
