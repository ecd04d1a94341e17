"""Every link of every page leads to an answer: of all examples, and of what lies in a folder."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import web_cases

from clusterwright.cli import ask
from clusterwright.web.answering import FILES, answer
from clusterwright.web.pages import PAGES
from clusterwright.web.view import address
from clusterwright.web.wire import API, Task

pytestmark = pytest.mark.slow

CHAT = ("plan", "serve", "--accelerator=h100", "--rate=20/s", "--input=1000", "--output=300",
        "--ttft=1s", "--tpot=50ms")  # fmt: skip
FORMS = (*FILES, "json", "columns")
EXAMPLES = [address(page.path, example.query) for page in PAGES for example in page.examples]
SITES = [
    f"/site?target={name}"
    for name in ("colossus1-d", "8000xh100,2000xb200", "8000xh100", "metavertu", "small.json")
]
"""Machines of several kinds, of none that has a name, of a person, and of a plan."""
SAVED = (*web_cases.OTHERS, "/saved/plan?plan=chat.json", *SITES)
HREF = re.compile(r'\bhref="(/[^"]*)"|"href":("/[^"]*")')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plan of each kind, the one for serving with replicas of two kinds."""
    here = web_cases.stocked(tmp_path_factory.mktemp("links"))
    ask([*CHAT, f"--save={here / 'chat.json'}", "--", "llama-3.1-70b"])
    return here


@pytest.fixture(scope="module")
def followed() -> set[str]:
    """Links that were followed already: many pages share them."""
    return set()


def opened(href: str):
    """What an address of this server answers, whichever form it asks for."""
    path, form = urlsplit(href).path, "page"
    stem, _, ending = path.rpartition(".")
    if ending in FORMS:
        path, form = stem, ending
    query = parse_qsl(urlsplit(href).query, keep_blank_values=True)
    if path == API:
        query.append(("host", "127.0.0.1:8000"))  # which the server adds
    return answer(Task(path=path, query=tuple(query), form=form))


def links_of(page: str) -> Iterator[str]:
    """Links of a page's words, and of the points of its pictures."""
    for plain, drawn in HREF.findall(page):
        href = html.unescape(plain) if plain else json.loads(drawn)
        if not href.startswith("/static/"):
            yield href.partition("#")[0]


@pytest.mark.parametrize("start", ["/", API, *EXAMPLES, *SAVED])
def test_every_link_of_a_page_leads_to_an_answer(start, folder, followed, monkeypatch):
    monkeypatch.chdir(folder)
    first = opened(start)
    assert first.status == 200, first.body[-2000:]
    links = set(links_of(first.body.decode()))
    assert links
    refused = {}
    for href in links - followed:
        reply = opened(href)
        if reply.status != 200:
            refused[href] = reply.status
        followed.add(href)
    assert not refused


def test_a_plan_with_replicas_of_two_kinds_is_played_whole_or_not_at_all(folder, monkeypatch):
    monkeypatch.chdir(folder)
    asked = "/plan/serve?" + "&".join(word[2:] for word in CHAT[2:]) + "&model=llama-3.1-70b"
    plan = json.loads((folder / "chat.json").read_bytes())["best"]
    assert {pool["role"] for pool in plan["pools"]} == {"prefill", "decode"}
    assert "in depth" not in opened(asked).body.decode()
    saved = [href for href in links_of(opened("/saved/plan?plan=chat.json").body.decode())
             if href.startswith("/estimate/serve")]  # fmt: skip
    played = json.loads(opened(saved[0].replace("?", ".json?")).body)
    assert (len(played["pools"]), played["meets"]) == (2, True)


def test_a_point_of_a_serving_front_leads_to_its_own_load(folder):
    shown = opened("/plan/serve?" + "&".join(word[2:] for word in CHAT[2:]) + "&model=llama-3.1-8b")
    spec = next(
        json.loads(one)
        for one in re.findall(
            r'<script type="application/json">(.*?)</script>', shown.body.decode()
        )
        if "a second of a user" in one
    )
    points = spec["data"]["values"]
    assert len({row["href"] for row in points}) == len(points) > 5
    for row in points[:: max(1, len(points) // 5)]:
        played = json.loads(opened(row["href"].replace("?", ".json?")).body)
        assert played["output_rate"] / played["accelerators"] == pytest.approx(row["y"], rel=0.01)
