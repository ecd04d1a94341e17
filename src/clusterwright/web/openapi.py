"""The pages as an API, in OpenAPI's words: made from the forms, and from the records of answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, TypedDict

import msgspec

import clusterwright
from clusterwright.buildout.plan import BuildPlan
from clusterwright.claims.records import Checked
from clusterwright.fleet.records import RunOutlook
from clusterwright.launch.records import Launch
from clusterwright.scorecard.records import Scorecard
from clusterwright.serving.fleet import FleetPlan
from clusterwright.serving.load_curve import LoadCurve
from clusterwright.serving.plan import ServingEstimate, ServingPlan
from clusterwright.simulation.step import TrainingSimulation
from clusterwright.site.outlook import SiteOutlook
from clusterwright.site.trace import PowerReport
from clusterwright.sweep.summing import Summary
from clusterwright.training.estimate import TrainingEstimate
from clusterwright.training.plan import TrainingPlan
from clusterwright.web.asking import LONGEST
from clusterwright.web.folder import Listing
from clusterwright.web.forms import Field
from clusterwright.web.page import Page
from clusterwright.web.pages import PAGES

Schema = dict[str, Any]


class ComparedTraining(TypedDict):
    """Plans of the same training run, best first, and why some machines have none."""

    machines: list[str]
    plans: list[TrainingPlan]
    refused: list[tuple[str, str]]


class ComparedServing(TypedDict):
    """Plans of the same service, best first, and why some machines have none."""

    plans: list[ServingPlan]
    refused: list[tuple[str, str]]


class Refusal(TypedDict):
    """Why there is no answer, in a sentence, and the field that it is about, "" if none."""

    error: str
    field: str


ANSWERS: Mapping[str, Any] = {
    "/plan/train": TrainingPlan,
    "/plan/serve": ServingPlan,
    "/estimate/train": TrainingEstimate,
    "/simulate/train": TrainingSimulation,
    "/estimate/serve": ServingEstimate,
    "/compare/train": ComparedTraining,
    "/compare/serve": ComparedServing,
    "/plan/fleet": list[FleetPlan],
    "/fleet": RunOutlook,
    "/site": SiteOutlook,
    "/build": BuildPlan,
    "/scorecard": Scorecard,
    "/claims": list[Checked],
    "/catalogue/list": list[dict[str, Any]],
    "/catalogue/show": dict[str, Any],
    "/estimate/serve/curve": LoadCurve,
    "/simulate/power": PowerReport,
    "/saved": Listing,
    "/saved/study": Summary,
    "/launch": Launch,
}
"""What a page's command prints as ``--json``; any object where it is not here."""

REFUSALS = {
    422: "The question cannot be used as it stands, or nothing fits.",
    503: "Too many questions wait, or too many connections are open.",
    504: "It took too long and was stopped, or what answered it died.",
}
GUARDED = {
    403: "Asked by a page of another site.",
    413: "A question with a body.",
    414: "A query that is too long.",
    421: "A Host header that is not this server's.",
}
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


@cache
def document() -> Schema:
    """The whole document, as OpenAPI 3.1."""
    schemas, components = msgspec.json.schema_components(
        [Refusal, *(ANSWERS.get(page.path, dict[str, Any]) for page in PAGES)],
        ref_template="#/components/schemas/{name}",
    )
    refusal, *answers = schemas
    paths = {
        f"{page.path}.json": {"get": _operation(page, answer, refusal)}
        for page, answer in zip(PAGES, answers, strict=True)
    }
    found: Schema = _nullable({"schemas": components})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "clusterwright",
            "version": clusterwright.__version__,
            "summary": "Plan, predict and price AI training and serving.",
            "description": (
                "Each path is a command of the command line, its query the options, and its "
                "answer what the command prints as --json: SI units inside, and null where a "
                "number is not finite."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(page.group for page in PAGES)],
        "paths": paths,
        "components": found,
    }


def _operation(page: Page, answer: Schema, refusal: Schema) -> Schema:
    fields = page.form.fields.values()
    said = {str(code): _response(words, refusal) for code, words in REFUSALS.items()}
    plain = {"text/plain": {"schema": {"type": "string"}}}
    guarded = {
        str(code): {"description": words, "content": plain} for code, words in GUARDED.items()
    }
    return {
        "operationId": page.path[1:].replace("/", "-"),
        "tags": [page.group],
        "summary": page.title,
        "description": page.about,
        "parameters": [_parameter(field, page) for field in fields],
        "responses": {"200": _response("The answer.", _nullable(answer)), **said, **guarded},
    }


def _response(words: str, schema: Schema) -> Schema:
    return {"description": words, "content": {"application/json": {"schema": schema}}}


def _parameter(field: Field, page: Page) -> Schema:
    usual = f" Usually: {field.usual}." if field.usual and "default" not in _schema(field) else ""
    names = f" Names: /catalogue/list.json?kind={field.names}." if field.names else ""
    made = {
        "name": field.name,
        "in": "query",
        "required": field.required,
        "description": field.help + usual + names,
        "schema": _schema(field),
    }
    return {**made, "examples": examples} if (examples := _examples(field, page)) else made


def _examples(field: Field, page: Page) -> Schema:
    """What the page's examples say of a field, each thing once."""
    said = {
        one.query[field.name]: one.title
        for one in reversed(page.examples)
        if field.name in one.query
    }
    return {
        title: {"value": value.split() if field.several else value}
        for value, title in reversed(said.items())
    }


def _schema(field: Field) -> Schema:
    if field.flag or field.choices == ("true", "false"):
        return {"type": "boolean"}
    default = _default(field)
    if field.choices:
        return {"type": "string", "enum": list(field.choices), **default}
    if field.whole:
        return {"type": "integer", **default}
    one = {"type": "string", "maxLength": LONGEST}
    if field.several:
        return {"type": "array", "items": {**one, "minLength": 1}, "maxItems": MOST_OF_ONE}
    return {**one, **default}


MOST_OF_ONE = 16
"""Values of one field, as the document says it; a page takes more in all."""


def _default(field: Field) -> Schema:
    """What is taken when nothing is said, where that is a value and no explanation."""
    if field.usual in field.choices:
        return {"default": field.usual}
    if _NUMBER.fullmatch(field.usual):
        return {"default": int(field.usual) if field.whole else field.usual}
    return {}


def _nullable(schema: Any) -> Any:  # noqa: ANN401 - a schema of any shape
    """The same, where numbers that are not finite are null, as JSON has no others."""
    if isinstance(schema, list | tuple):
        return [_nullable(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _nullable(value) for key, value in schema.items()}
    return {**made, "type": ["number", "null"]} if made.get("type") == "number" else made
