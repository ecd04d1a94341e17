"""A page, its JSON and the command line say the same of the same question."""

from __future__ import annotations

import html
import re
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from markupsafe import escape
from web_cases import QUICK

from clusterwright.cli import ask
from clusterwright.cli.answers import as_json
from clusterwright.errors import ClusterwrightError, InputError
from clusterwright.report.labelled import labelled
from clusterwright.web.answering import answer
from clusterwright.web.asking import Query, command_of, words_of
from clusterwright.web.forms import form_of
from clusterwright.web.page import Page
from clusterwright.web.pages import BY_PATH, PAGES
from clusterwright.web.wire import Form, Task

COMMANDS = [page for page in QUICK if not page.source]
EVERY = [(page, example) for page in PAGES for example in page.examples]
NUMBER = re.compile(r"\d[\d,]*\.?\d*(?:e[+-]\d+)?")


def asked(path: str, query: dict[str, str], form: Form = "page") -> Task:
    return Task(path=path, query=tuple(query.items()), form=form)


def words_for(page: Page, query: dict[str, str]) -> list[str]:
    return words_of(page.form, tuple(query.items()))


def text_of(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", markup))


@pytest.mark.parametrize("page", COMMANDS, ids=lambda page: page.path)
def test_a_page_its_json_and_the_command_say_the_same(page):
    query = page.examples[0].query
    said = ask(words_for(page, query))
    assert said is not None
    assert answer(asked(page.path, query, "json")).body == as_json(said.value)
    shown = answer(asked(page.path, query)).body.decode()
    full = re.search(r"<pre[^>]*>(.*?)</pre>", shown, re.DOTALL)
    if full:  # tables of the catalogue hold all that their words do
        assert html.unescape(full[1]) == said.words()
    figures = "".join(re.findall(r'<dl class="figures">.*?</dl>', shown, re.DOTALL))
    assert set(NUMBER.findall(text_of(figures))) <= set(NUMBER.findall(said.words()))
    assert len(re.findall("<dt>", figures)) == len(labelled(said.words()))


@pytest.mark.parametrize("page", COMMANDS, ids=lambda page: page.path)
def test_the_command_under_an_answer_is_the_same_question(page):
    query = page.examples[0].query
    words = words_for(page, query)
    typed = command_of(words).split()
    assert typed[0] == "clusterwright"
    assert typed[1 : 1 + len(page.words)] == list(page.words)
    for name, value in query.items():
        assert value in typed or value.split()[0] in typed or f"--{name}" in typed


@pytest.mark.parametrize(("page", "example"), EVERY, ids=lambda one: getattr(one, "title", ""))
def test_every_example_is_understood(page, example):
    assert words_for(page, example.query)[: len(page.words)] == list(page.words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_every_open_field_is_one_of_the_command(page):
    form = page.form
    assert set(page.open) <= set(form.fields)
    assert len(form.fields) == sum(len(group.fields) for group in form.groups)
    assert not {"save", "json", "out", "trace", "csv", "timeline"} & set(form.fields)


def test_a_field_says_what_is_usual_and_an_example():
    fields = form_of(("plan", "train")).fields
    assert fields["tokens"].example == "15.6T"
    assert fields["seq-len"].usual == "the model's longest, at most 8,192"
    assert fields["precision"].choices[:2] == ("fp32", "tf32")
    assert fields["colocated"].flag
    assert fields["model"].required
    assert fields["pin"].several


@pytest.mark.parametrize(
    ("query", "says", "field"),
    [
        ({"model": "llama-9", "accelerator": "h100", "accelerators": "8"}, "did you mean", "model"),
        ({"model": "llama-3.1-8b", "accelerator": "h1000"}, "no accelerator", "accelerator"),
        ({"model": "llama-3.1-8b", "accelerator": "h100"}, "how many h100?", "accelerators"),
        (
            {"model": "llama-3.1-8b", "accelerator": "h100", "accelerators": "x"},
            "--accelerators",
            "accelerators",
        ),
        ({"mode": "llama-3.1-8b"}, "no field is called 'mode': did you mean model?", ""),
        ({"model": "../../etc/passwd"}, "must lie in the folder", "model"),
        ({"model": "--help"}, "no model called '--help'", "model"),
        ({"model": "x" * 500}, "400 at most", "model"),
        ({"model": "a\x00b"}, "cannot be printed", "model"),
        ({"accelerator": "h100"}, "model is missing: plan train needs a model", "model"),
    ],
)
def test_a_refusal_is_the_command_lines_sentence_and_names_its_field(query, says, field):
    reply = answer(asked("/plan/train", query, "json"))
    found = msgspec.json.decode(reply.body)
    assert reply.status == 422
    assert says in found["error"]
    assert found["field"] == field
    page = BY_PATH["/plan/train"]
    with pytest.raises(ClusterwrightError) as refused:
        ask(words_for(page, query))
    assert str(refused.value) == found["error"]


def test_nothing_typed_is_lost_and_everything_is_text():
    nasty = '"><script>alert(1)</script>'
    reply = answer(asked("/plan/train", {"model": nasty, "tokens": "15T"}))
    shown = reply.body.decode()
    assert reply.status == 422
    assert "<script>alert" not in shown
    assert f'value="{escape(nasty)}"' in shown
    assert 'value="15T"' in shown


@pytest.mark.parametrize(
    "value",
    ["/etc/passwd", "~/plan.json", "../plan.json", "a/../../b", "C:\\plan.json", "file://x"],
)
def test_no_field_names_a_file_outside_the_folder(value):
    for page in PAGES:
        form = page.form
        for name in form.fields:
            query: Query = ((name, value),)
            with pytest.raises(InputError, match="must lie in the folder"):
                words_of(form, query)


def test_links_of_a_plan_keep_its_machine_its_length_and_its_place():
    query = {"model": "llama-3.1-8b", "cluster": "meta-24k", "accelerators": "64",
             "tokens": "1T", "region": "sweden", "failure-rate": "3.8e-3/d"}  # fmt: skip
    days = ask(words_for(BY_PATH["/plan/train"], query)).value.totals.duration / 86_400.0
    shown = html.unescape(answer(asked("/plan/train", query)).body.decode())
    links = {one.path: dict(parse_qsl(one.query))
             for one in map(urlsplit, re.findall(r'href="(/[^"]*)"', shown))}  # fmt: skip
    machine = {"target": "meta-24k", "accelerators": "64"}
    assert links["/site"] == {**machine, "region": "sweden"}
    run = links["/fleet"]
    assert float(run.pop("work").removesuffix("d")) == pytest.approx(days, rel=1e-3)
    assert run == {**machine, "model": "llama-3.1-8b", "rate": "3.8e-3/d"}


def test_there_is_no_page_elsewhere():
    reply = answer(asked("/nothing", {}))
    assert reply.status == 404
    assert b"there is no page /nothing" in reply.body
