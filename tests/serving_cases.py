"""What the tests of serving share: small questions, published rows, and who answers them."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from clusterwright.asking_serving import ask_serving
from clusterwright.facts import shipped
from clusterwright.planner_serving import plan_serving
from clusterwright.serving.plan import ServingPlan, ServingQuestion
from clusterwright.serving.server import Server, ServingFacts
from clusterwright.validation.serving.predicting import Predictor
from clusterwright.validation.serving.questions import ServeLookup, question_of
from clusterwright.validation.serving.rows import ServeRun

FACTS = ServingFacts(shipped())
"""Formats and kernels, read once."""

STATIC: dict[str, object] = {
    "id": "made-a.tpot_ms",
    "source": "made",
    "date": "2026-06-01",
    "model_name": "Llama-3.1-8B",
    "accelerator": "H100-SXM",
    "n_accel": 1,
    "engine": "vLLM",
    "engine_version": "0.9",
    "weight_precision": "bf16",
    "tp": 1,
    "pp": 1,
    "ep": 1,
    "dp": 1,
    "disaggregated": 0,
    "input_len": 256,
    "output_len": 16,
    "batch_or_concurrency": "4",
    "scenario": "offline static batch",
    "measured_metric": "tpot_ms",
    "per": "user",
    "measured_value": 9.0,
    "config_complete": 1,
}


def asked(model: str = "llama-3.1-8b", chip: str = "h100", **changes: Any) -> ServingQuestion:
    """Return a question about five requests a second, with whatever else is said."""
    load = {"rate": 5, "prompt": 1000, "output": 200, **changes}
    return ask_serving(model, accelerator=chip, **load)


@cache
def server(model: str = "llama-3.1-8b", chip: str = "h100", engine: str | None = None) -> Server:
    """Return a model on a chip, by an engine."""
    question = asked(model, chip, engine=engine)
    return Server(question.model, question.cluster, question.engine, FACTS)


@cache
def planned(**changes: Any) -> ServingPlan:
    """Return the plan of a small question; asked again, it is the same object."""
    return plan_serving(asked(**changes))


@cache
def lookup() -> ServeLookup:
    known = ServeLookup(shipped())
    known.serving = FACTS
    return known


@cache
def predictor() -> Predictor:
    return Predictor(lookup())


def run_of(**changes: object) -> ServeRun:
    """Return the static run with other cells."""
    cells = {**STATIC, "line": 2, **changes}
    cells["disaggregated"] = bool(cells["disaggregated"])
    return msgspec.convert({**cells, "config_complete": True}, ServeRun)


def predicted(**changes: object) -> float:
    """Return what the model says of the static run with other cells."""
    run = run_of(**changes)
    return predictor().predict(run, question_of(run, lookup()))
