"""The API: its document is OpenAPI, its answers fit it, and no words make it fail."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from web_cases import QUICK, served

from clusterwright.cli.answers import as_json
from clusterwright.web.answering import DONE, NOT_THERE, REFUSED, answer
from clusterwright.web.asking import command_of, words_of
from clusterwright.web.forms import form_of
from clusterwright.web.openapi import ANSWERS, document
from clusterwright.web.pages import BY_PATH, PAGES, Page
from clusterwright.web.wire import Form, Reply, Task

EXAMPLES, SECONDS, LEAST_CASES = 25, 60, 100
"""Cases of each operation that schemathesis makes, what all may take [s], and how few will do."""
SCHEMATHESIS = """
[checks]
positive_data_acceptance.enabled = false
negative_data_rejection.expected-statuses = [400, 414, 422]
"""
CHEAP: dict[str, dict[str, str]] = {
    "/claims": {"name": "C44"},
    "/scorecard": {"names": "h100"},
    "/plan/serve": {"model": "llama-3.1-8b", "accelerator": "h100", "rate": "2/s"},
}
"""Questions of pages whose examples take long."""
NASTY = (
    *("0", "-1", "-0", "1", "1.5", "1e400", "nan", "-inf", "1e30", "5e-324", str(10**30), "0x10"),
    *("--", "--help", "--json", "=", "a=b", "tp=0", ":", "0:nan", "@", "%", "nan%", "$", "0s"),
    *("1e400s", "1e300d", "1e-300/s", "0/s", "1e30MW", "h100=nan", "0xh100", "1e400xh100", "''"),
    *("\u202e\u05d0", "\U0001f600", "१२", "½", "<script>", "{{7*7}}", "'", '"', "\\", "%00", "\0"),
    *("2026-13-45", "9999-12-31", "true", "None", "[]", "a,b", ",", "h100,,h100", "x" * 400),
    *("x" * 401, "\ud800", " ", "\t1\t", "1 2", "llama-3.1-8b", "meta-24k", "h100"),
)


def asked(page: Page | str, query: Any, form: Form = "json") -> Reply:
    path = page if isinstance(page, str) else page.path
    pairs = query.items() if isinstance(query, dict) else query
    return answer(Task(path=path, query=tuple(pairs), form=form))


def example_query(page: Page) -> dict[str, str]:
    return CHEAP.get(page.path, page.examples[-1].query if page.examples else {})


def test_the_document_is_openapi():
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(document())
    assert as_json(document()) == asked("/openapi", {}).body


def test_every_page_is_an_operation_with_all_of_its_fields():
    paths = document()["paths"]
    assert list(paths) == [f"{page.path}.json" for page in PAGES]
    assert ANSWERS.keys() <= BY_PATH.keys()
    for page in PAGES:
        said = {one["name"]: one for one in paths[f"{page.path}.json"]["get"]["parameters"]}
        form = page.form
        assert list(said) == list(form.fields)
        for field in form.fields.values():
            assert said[field.name]["description"]
            if field.choices and field.choices != ("true", "false"):
                assert said[field.name]["schema"]["enum"] == list(field.choices)


@pytest.mark.parametrize("page", QUICK, ids=lambda page: page.path)
def test_an_answer_fits_its_schema(page):
    jsonschema = pytest.importorskip("jsonschema")
    import msgspec

    [operation] = document()["paths"][f"{page.path}.json"].values()
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    whole = {**schema, "components": document()["components"]}
    found = asked(page, page.examples[0].query)
    assert found.status == DONE
    jsonschema.Draft202012Validator(whole).validate(msgspec.json.decode(found.body))


def test_without_a_question_the_api_answers_as_the_command_line_does():
    refused = asked("/plan/train", {})
    assert refused.status == REFUSED
    assert b'"field":"model"' in refused.body


def test_the_page_of_the_api_has_a_line_for_curl_of_every_page():
    body = asked("/api", {"host": "127.0.0.1:8770"}, "page").body.decode()
    for page in (page for page in PAGES if page.listed):
        assert f"curl 'http://127.0.0.1:8770{page.path}.json" in body


def test_fields_without_an_option_stand_in_their_order_whatever_the_addresss():
    form = form_of(("compare", "train"))
    query = [("machines", "h100"), ("tokens", "1T"), ("machines", "b200"), ("model", "m")]
    assert command_of(words_of(form, query)) == (
        "clusterwright compare train m h100 b200 --tokens 1T"
    )


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ([("machines", "h100 b200")], "model is missing"),
        ([("model", "a"), ("model", "b")], "model is given twice"),
        ([("model", "a"), ("tokens", "1T"), ("tokens", "2T")], "tokens is given twice"),
        ([("modle", "a")], "did you mean model"),
        ([("x" * 5000, "a")], "no field is called"),
        ([("pin", "tp=1")] * 65, "more than the 64"),
    ],
)
def test_fields_that_lack_or_are_too_many_are_named(query, said):
    found = asked("/compare/train", query)
    assert found.status == REFUSED
    assert said in found.body.decode()


def test_a_straggler_is_no_drive_of_windows():
    job = {"model": "llama-3.1-8b", "accelerator": "h100", "accelerators": "8", "pp": "4"}
    assert asked("/simulate/train", {**job, "straggler": "3:1.2"}).status == DONE
    assert asked("/simulate/train", {**job, "model": "C:x"}).status == REFUSED


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        ("/plan/fleet", {"measured": "5e-324", "rate": "1/s"}, "1e-09/s or more"),
        (
            "/estimate/serve",
            {
                "model": "llama-3.2-1b",
                "device": "metavertu-2",
                "weights": "q4-k-m",
                "input": "8",
                "output": "1",
                "rate": "1e-3",
            },
            "answers of two tokens",
        ),
        ("/site", {"target": "meta-24k", "duty": "5e-324"}, "is a share"),
    ],
)
def test_numbers_that_once_ended_in_a_traceback_are_refused(path, query, said):
    found = asked(path, query)
    assert found.status == REFUSED
    assert said in found.body.decode()


def test_a_plan_with_a_count_beyond_any_is_no_plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    query = {"model": "llama-3.1-8b", "accelerator": "h100", "accelerators": "8"}
    text = asked("/plan/train", query).body
    Path("plan.json").write_bytes(text)
    assert asked("/site", {"target": "plan.json"}).status == DONE
    key = b'"accelerators":8'
    assert key in text
    Path("plan.json").write_bytes(text.replace(key, b'"accelerators":' + b"9" * 400))
    found = asked("/site", {"target": "plan.json"})
    assert found.status == REFUSED
    assert b"a count beyond any" in found.body


@st.composite
def questions(draw: st.DrawFn) -> tuple[Page, list[tuple[str, str]], Form]:
    """A page's example with a few fields said otherwise, twice, or left out."""
    page = draw(st.sampled_from(PAGES))
    query = list(example_query(page).items())
    names = st.sampled_from([*page.form.fields, "x", "--json", ""])
    words = st.sampled_from(NASTY) | st.text(max_size=30)
    for name, word in draw(st.lists(st.tuples(names, words), min_size=1, max_size=3)):
        if draw(st.booleans()):
            query = [pair for pair in query if pair[0] != name]
        query.append((name, word))
    return page, query, draw(st.sampled_from(("json", "page", "fragment", "columns")))


@pytest.mark.slow
@pytest.mark.filterwarnings("error::RuntimeWarning")
@settings(max_examples=400, deadline=None, derandomize=True)
@given(questions())
def test_no_words_make_a_page_fail(asked_of):
    page, query, form = asked_of
    found = asked(page, query, form)
    assert found.status in (DONE, NOT_THERE, REFUSED), found.body[:300]
    if form == "json" and found.status == REFUSED:
        assert found.body.startswith(b'{"error":"')


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with served(tmp_path) as address:
        yield address


@pytest.mark.slow
def test_schemathesis_finds_nothing(server, tmp_path):
    tool = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip("schemathesis is not installed")
    rules = tmp_path / "schemathesis.toml"
    rules.write_text(SCHEMATHESIS)
    words = [tool, "--config-file", str(rules), "run", f"{server}/openapi.json", "--no-color"]
    words += ["--phases", "fuzzing", "--max-examples", str(EXAMPLES), "--max-time", str(SECONDS)]
    words += ["--generation-deterministic", "--continue-on-failure", "--request-timeout", "60"]
    found = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert found.returncode == 0, found.stdout[-5000:]
    made = re.search(r"(\d+) generated", found.stdout)
    print(made and made[0])
    assert made is not None
    assert int(made[1]) > LEAST_CASES
