"""What a study can ask: each question's options, its results, and how a row is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from clusterwright.errors import InputError, nearest_names
from clusterwright.sweep import places, serving, training
from clusterwright.sweep.kept import Kept
from clusterwright.sweep.options import Option


class Question(NamedTuple):
    """One kind of question, named after its command.

    ``options``: as the command has them; ``results``: name to dimension, and ``points`` those of
    them without an interval; ``answer``: a row's values to its numbers in SI, and what was chosen
    in words.
    """

    options: Mapping[str, Option]
    results: Mapping[str, str]
    points: tuple[str, ...]
    answer: Callable[[training.Values, Kept], training.Found]


TRAINED = {**training.JOB, **training.PLACE}

QUESTIONS: Mapping[str, Question] = {
    "plan train": Question(
        options={
            **TRAINED,
            **training.CHOICES,
            **training.LIMITS,
            **training.LOCATION,
            **training.FAILURES,
        },
        results=training.PLANNED,
        points=training.PLANNED_POINTS,
        answer=training.plan,
    ),
    "estimate train": Question(
        options={**TRAINED, **training.CUT},
        results=training.ESTIMATED,
        points=training.ESTIMATED_POINTS,
        answer=training.estimate,
    ),
    "plan serve": Question(
        options=serving.OPTIONS,
        results=serving.RESULTS,
        points=serving.POINTS,
        answer=serving.plan,
    ),
    "fleet": Question(
        options=places.FLEET,
        results=places.FLEET_RESULTS,
        points=places.FLEET_POINTS,
        answer=places.fleet,
    ),
    "site": Question(
        options=places.SITE,
        results=places.SITE_RESULTS,
        points=(),
        answer=places.site,
    ),
}


def question_named(name: str) -> Question:
    """One kind of question.

    Raises
    ------
    InputError
        There is none of that name.
    """
    if name not in QUESTIONS:
        near = nearest_names(name, QUESTIONS, count=1)
        mend = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(QUESTIONS)}"
        raise InputError(f"question is {name!r}: {mend}")
    return QUESTIONS[name]


def ends_of(asks: Question, result: str) -> tuple[str, ...]:
    """The names of a result and of the ends of its interval, if it has one."""
    return (result,) if result in asks.points else (result, f"{result}_low", f"{result}_high")
