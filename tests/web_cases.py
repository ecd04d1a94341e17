"""A server of the pages, run as a person runs it, and what is asked of it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clusterwright.web.page import Page
from clusterwright.web.pages import PAGES

SOURCE = Path(__file__).parents[1] / "src"
SLOW = ("/scorecard", "/claims", "/compare/train")
QUICK = [page for page in PAGES if page.examples and page.path not in SLOW]
"""Pages whose first example is answered within a second or two."""
OTHERS = (
    "/accuracy",
    "/accuracy/serving",
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


def said_raw(address: str, request: bytes, *, seconds: float = 30.0) -> bytes:
    """What a server answers to bytes, until it hangs up."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    answer = b""
    with socket.create_connection((host.strip("[]"), int(port)), timeout=seconds) as wire:
        wire.sendall(request)
        with suppress(ConnectionResetError):  # it hung up with something of ours unread
            while part := wire.recv(65536):
                answer += part
    return answer


def request_of(target: str, *headers: str, method: str = "GET", host: str = "127.0.0.1") -> bytes:
    """An HTTP request that asks for the connection to be closed."""
    lines = [f"{method} {target} HTTP/1.1", "connection: close", *headers]
    if host:
        lines.append(f"host: {host}")
    return "\r\n".join((*lines, "", "")).encode()


def status_of(answer: bytes) -> int:
    """The status of a raw answer."""
    return int(answer.split(b" ", 2)[1])


def headers_of(answer: bytes) -> dict[str, str]:
    """The headers of a raw answer."""
    lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
