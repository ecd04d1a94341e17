"""The pages of accuracy and of the load curve: their numbers are those of the library."""

from __future__ import annotations

import json
from html import unescape

import pytest

from clusterwright.aligned import percent
from clusterwright.cli import ask
from clusterwright.cli.answers import as_json
from clusterwright.planner_serving import curve_of
from clusterwright.units import format_time
from clusterwright.validation import output
from clusterwright.validation.published import (
    TRAINING,
    alike,
    decode,
    encode,
    published,
    published_serving,
)
from clusterwright.validation.scoring import score
from clusterwright.validation.serving.scoring import score_serving
from clusterwright.web.answering import answer
from clusterwright.web.wire import Task

LOAD = {"model": "llama-3.1-8b", "accelerator": "h100", "rate": "6/s", "input": "500",
        "output": "100", "ttft": "1s", "tpot": "50ms", "replicas": "2"}  # fmt: skip


def get(path: str, form="page", **query: str):
    return answer(Task(path=path, query=tuple(query.items()), form=form))


def test_the_accuracy_page_shows_each_source_with_its_score():
    page = unescape(get("/accuracy").body.decode())
    made = published()
    total = score(made.results)
    assert len(total.sources) > 30
    for one in total.sources:
        assert f">{one.source}</th>" in page
        assert f">{percent(one.median_abs_error)}</td>" in page
    assert percent(total.mean_source_median_abs_error) in page
    assert made.catalogue[:12] in page
    assert made.date in page


def test_the_data_of_the_accuracy_page_are_those_of_validate():
    value = json.loads(get("/accuracy", "json").body)
    made = published()
    plain = output.as_json(score(made.results))
    assert {name: value[name] for name in plain} == json.loads(as_json(plain))
    assert len(value["results"]) == len(made.results)
    assert {one["metric"] for one in value["results"]} == {one.metric for one in made.results}


def test_the_accuracy_page_of_serving_shows_what_validate_says():
    page = unescape(get("/accuracy/serving").body.decode())
    made = published_serving()
    total = score_serving(made.results)
    for sort, error in total.mean_source_median_abs_error.items():
        assert f"{percent(error)}</dd>" in page
        assert f"{percent(total.coverage[sort])} inside the 80 % interval" in page
    for source in {one.source for one in total.sources}:
        assert f">{source}</th>" in page
    assert made.date in page
    assert page.count('class="vega"') == len(total.mean_source_median_abs_error)


def test_the_data_of_the_accuracy_page_of_serving_are_its_numbers():
    value = json.loads(get("/accuracy/serving", "json").body)
    total = score_serving(published_serving().results)
    errors = {one["sort"]: one["error"] for one in value["sorts"]}
    assert errors == pytest.approx(total.mean_source_median_abs_error)
    assert len(value["results"]) == total.rows
    assert sum(one["rows"] for one in value["engines"]) == total.ok


def test_results_are_kept_but_for_their_last_digits():
    made = published()
    content = encode(made.results, TRAINING, catalogue="abc", date="2026-01-02")
    again = decode(content, TRAINING)
    assert (again.date, again.catalogue) == ("2026-01-02", "abc")
    assert alike(again.results, made.results, TRAINING)
    assert not alike(again.results[1:], made.results, TRAINING)
    assert len(content.splitlines()) == len(made.results)
    assert len(content) < 400_000


def test_the_load_curve_is_that_of_the_library():
    words = ["estimate", "serve", *(f"--{k}={v}" for k, v in LOAD.items() if k != "model")]
    found = ask([*words, "--", LOAD["model"]])
    curve = curve_of(found.seen["question"], found.value.pools)
    reply = get("/estimate/serve/curve", "json", **LOAD)
    assert reply.body == as_json(curve)
    page = get("/estimate/serve/curve", **LOAD).body.decode()
    for point in curve.points:
        assert f">{format_time(point.ttft.p90)}</td>" in page
    assert page.count('<tr class="marked">') == 1
    assert page.count('class="vega"') == 2


def test_one_deployment_fetches_its_curve_once_it_is_there():
    page = get("/estimate/serve", **LOAD).body.decode()
    address = "/estimate/serve/curve?model=llama-3.1-8b&amp;accelerator=h100&amp;rate=6%2Fs"
    assert f'hx-get="{address}' in page
    assert f'<noscript><a href="{address}' in page
    fragment = get("/estimate/serve/curve", "fragment", **LOAD).body.decode()
    assert "<html" not in fragment
    assert fragment.count('<figure class="picture"') == 2


@pytest.mark.parametrize(
    "query",
    [
        {**LOAD, "users": "8", "rate": ""},
        {"model": "llama-3.2-1b", "device": "metavertu-2", "weights": "q4-k-m", "input": "512",
         "output": "128"},
    ],
)  # fmt: skip
def test_what_has_no_load_to_vary_has_no_curve(query):
    reply = get("/estimate/serve", **query)
    assert reply.status == 200
    assert b"/estimate/serve/curve?" not in reply.body
