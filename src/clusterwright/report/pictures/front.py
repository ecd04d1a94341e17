"""Fronts to pick from: what else could be chosen, and what each choice gives up for another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from clusterwright.report.deployment_text import deployment_words
from clusterwright.report.pictures.layers import tooltip
from clusterwright.report.pictures.links import Asked, serving_link, training_link
from clusterwright.report.pictures.scales import Unit, unit_for
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.report.text import gigabytes, strategy_words
from clusterwright.serving.plan import FrontPoint as ServingPoint
from clusterwright.serving.plan import ServingPlan
from clusterwright.strategy import Strategy
from clusterwright.training.plan import TrainingPlan
from clusterwright.units import format_count, format_time

Against = Literal["memory", "work"]
"""Memory of the fullest stage; accelerator-hours of a billion tokens, which rent goes with."""

SHORT: Final = 26
"""Letters of a legend's entry of which two stand side by side."""
BEST, FRONT, LESS, OTHER = "best", "on the front", "fewer accelerators", "runner-up"
HOURS_OF_BILLION: Final = 1e9 / 3600.0
WORK: Final = Unit(1.0, "h")


def front(plan: TrainingPlan, *, against: Against = "memory", asked: Asked | None = None) -> Spec:
    """Draw a plan's front, its best and its runners-up, each with a link to its estimate.

    The best and the runners-up stand where playing their pipelines out put them, the others by
    closed form; the best has the interval of its step.

    Parameters
    ----------
    plan
        A training plan.
    against
        What is traded for time.
    asked
        The query of the page, which the links keep; None takes the plan's own records.
    """
    rows = _points(plan, against, asked)
    time = unit_for([row["time"] for row in rows], "s")
    limit = plan.best.memory_limit if against == "memory" else None
    most = [row["other"] for row in rows] + ([] if limit is None else [limit])
    other = unit_for(most, "B") if against == "memory" else WORK
    for row in rows:
        row |= {"x": time.of(row.pop("time")), "y": other.of(row.pop("other"))}
        row |= {end: time.of(row[end]) for end in ("low", "high") if end in row}
    title = {
        "memory": "memory of the fullest stage",
        "work": "accelerator time of a billion tokens",
    }
    y_title = other.titled(title[against])
    return picture(
        rows,
        height=300,
        description=_sentence(plan, rows),
        layer=[
            _stairs(rows),
            *([] if limit is None else _limit(other.of(limit), other)),
            _interval(),
            _dots(
                rows,
                x_title=time.titled("time of a step"),
                y_title=y_title,
                limited=limit is not None,
            ),
            _named(),
        ],
    )


def _points(plan: TrainingPlan, against: Against, asked: Asked | None) -> list[Row]:
    """Rows of the front, runners-up and the best, none of them twice."""
    count = max([plan.best.accelerators, *(point.accelerators for point in plan.front)])
    tokens = plan.best.tokens_per_step
    low, high = plan.best.step_time_interval

    def row(kind: str, strategy: Strategy, time: float, memory: float) -> Row:
        used = strategy.accelerators
        work = time * used / tokens * HOURS_OF_BILLION
        return {
            "kind": kind,
            "time": time,
            "other": memory if against == "memory" else work,
            "strategy": strategy_words(strategy),
            "step": format_time(time),
            "memory": f"{gigabytes(memory)} GiB",
            "work": f"{work:,.0f} h",
            "used": f"{used:,}",
            "href": training_link(plan.question, strategy, asked),
        }

    best = row(BEST, plan.best.strategy, plan.best.step_time, plan.best.memory_bytes)
    rows = {plan.best.strategy: best | {"low": low, "high": high}}
    for one in plan.alternatives:
        found = one.estimate
        rows.setdefault(
            found.strategy, row(OTHER, found.strategy, found.step_time, found.memory_bytes)
        )
    for point in plan.front:
        kind = FRONT if point.accelerators >= count else LESS
        rows.setdefault(
            point.strategy, row(kind, point.strategy, point.step_time, point.memory_bytes)
        )
    # The fastest are drawn last and the best after all, on top of what lies near it.
    return sorted(rows.values(), key=lambda found: (found["kind"] == BEST, -found["time"]))


def _stairs(rows: Sequence[Row]) -> Row:
    """The line that no point lies below and left of."""
    steps: list[Row] = []
    for row in sorted(rows, key=lambda row: (row["x"], row["y"])):
        if not steps or row["y"] < steps[-1]["y"]:
            steps.append({"x": row["x"], "y": row["y"]})
    return {
        "data": {"values": steps},
        "mark": style("quiet", "line", interpolate="step-after", strokeWidth=1.5, tooltip=False),
        "encoding": {
            "x": {"field": "x", "type": "quantitative"},
            "y": {"field": "y", "type": "quantitative"},
        },
    }


def _limit(limit: float, unit: Unit) -> list[Row]:
    at = {"y": {"datum": limit, "type": "quantitative"}}
    return [
        {"data": {"values": [{}]}, "mark": style("limit", "rule", tooltip=False), "encoding": at},
        {
            "data": {"values": [{"text": f"limit {limit:.1f} {unit.name}"}]},
            "mark": style("bad", "text", align="right", baseline="bottom", dy=-3),
            "encoding": {**at, "x": {"value": "width"}, "text": {"field": "text"}},
        },
    ]


def _interval() -> Row:
    return {
        "transform": [{"filter": {"field": "kind", "equal": BEST}}],
        "mark": style("interval", "rule", strokeWidth=1, tooltip=False),
        "encoding": {
            "x": {"field": "low", "type": "quantitative"},
            "x2": {"field": "high"},
            "y": {"field": "y", "type": "quantitative"},
        },
    }


def _dots(rows: Sequence[Row], *, x_title: str, y_title: str, limited: bool) -> Row:
    titles = {
        "strategy": "strategy",
        "step": "step",
        "memory": "memory",
        "work": "a billion tokens",
        "used": "accelerators",
        "kind": "which is",
    }
    axis = {"type": "quantitative"}
    return {
        "mark": {"type": "point", "size": 90, "opacity": 1, "cursor": "pointer"},
        "encoding": {
            "x": {**axis, "field": "x", "title": x_title, "scale": {"zero": False}},
            "y": {**axis, "field": "y", "title": y_title, "scale": {"zero": limited}},
            "color": _kinds(rows),
            "href": {"field": "href"},
            "tooltip": tooltip(titles),
        },
    }


def _kinds(rows: Sequence[Row]) -> Row:
    """Each kind has its colour whether or not others are there."""
    kinds = (BEST, FRONT, LESS, OTHER)
    seen = [kind for kind in kinds if any(row["kind"] == kind for row in rows)]
    return {
        "field": "kind",
        "type": "nominal",
        "scale": {"domain": kinds},
        "legend": {"columns": 2, "symbolType": "circle", "values": seen},
    }


def _named() -> Row:
    """The word beside the best."""
    return {
        "transform": [{"filter": {"field": "kind", "equal": BEST}}],
        "mark": style("strong", "text", align="right", baseline="top", dx=-7, dy=5, text=BEST),
        "encoding": {
            "x": {"field": "x", "type": "quantitative"},
            "y": {"field": "y", "type": "quantitative"},
        },
    }


def _sentence(plan: TrainingPlan, rows: Iterable[Row]) -> str:
    """Say what is seen."""
    count = len(list(rows))
    leanest = min(plan.front, key=lambda point: point.memory_bytes, default=None)
    best = plan.best
    said = (
        f"{count} strategies to pick from; the best takes {format_time(best.step_time)} a step and "
        f"{gigabytes(best.memory_bytes)} GiB"
    )
    if leanest is not None:
        said += (
            f", the leanest of the front {format_time(leanest.step_time)} and "
            f"{gigabytes(leanest.memory_bytes)} GiB"
        )
    if best.closed_form_time is None:
        return f"{said}."
    return f"{said}. The pipelines of the best and the runners-up are played out, others are not."


def serving_front(plan: ServingPlan, *, asked: Asked | None = None) -> Spec | None:
    """Draw what users and accelerators get of one replica, and where the plan's best stands.

    Parameters
    ----------
    plan
        A serving plan.
    asked
        The query of the page, which the links keep; without it points have none.
    """
    if not plan.front:
        return None
    points = sorted(plan.front, key=lambda point: point.user_rate)
    rows = [_serving_row(point, plan.question.workload.output, asked) for point in points]
    cuts = list(dict.fromkeys(row["cut"] for row in rows))
    promise = plan.question.workload.tpot
    layers = [_replicas(rows, cuts)]
    if promise:
        layers = [*_promise(1.0 / promise, promise), *layers]
    layers += _planned(plan)
    return picture(rows, height=300, description=_serving_sentence(points), layer=layers)


def _serving_row(point: ServingPoint, output: float, asked: Asked | None) -> Row:
    """A point, and the page that plays one replica at the point's own load."""
    one = point.deployment
    rate = point.accelerator_rate * one.accelerators / output
    linked = {} if asked is None else {"href": serving_link(one, 1, asked, rate=rate)}
    return {
        "x": point.user_rate,
        "y": point.accelerator_rate,
        "cut": deployment_words(one),
        "user": f"{point.user_rate:,.1f} tokens/s",
        "accelerator": f"{format_count(point.accelerator_rate)} tokens/s",
        "sequences": f"{point.sequences:,.0f}",
        **linked,
    }


def _replicas(rows: Sequence[Row], cuts: Sequence[str]) -> Row:
    titles = {
        "cut": "replica",
        "user": "a user",
        "accelerator": "an accelerator",
        "sequences": "at once",
    }
    linked = {"href": {"field": "href"}} if "href" in rows[0] else {}
    axis = {"type": "quantitative", "scale": {"zero": True}}
    colour = {
        "field": "cut",
        "type": "nominal",
        "scale": {"domain": cuts},
        # Cuts differ in their last words: none is cut short.
        "legend": {
            "columns": 2 if max(map(len, cuts)) <= SHORT else 1,
            "labelLimit": 0,
            "symbolType": "circle",
        },
    }
    return {
        "mark": {"type": "line", "point": {"size": 45, "filled": True}, "strokeWidth": 1},
        "encoding": {
            "x": {**axis, "field": "x", "title": "tokens a second of a user [1/s]"},
            "y": {**axis, "field": "y", "title": "tokens a second of an accelerator [1/s]"},
            "color": colour,
            "order": {"field": "x"},
            "tooltip": tooltip(titles),
            **linked,
        },
    }


def _planned(plan: ServingPlan) -> list[Row]:
    """Where the best deployment stands under the load asked for, played out."""
    best = plan.best
    at = {
        "x": {"datum": best.user_rate, "type": "quantitative"},
        "y": {"datum": best.output_rate / best.accelerators, "type": "quantitative"},
    }
    alone = {"data": {"values": [{"text": "the plan at its load"}]}}
    return [
        {**alone, "mark": style("ring", "point", size=120, tooltip=False), "encoding": at},
        {
            **alone,
            "mark": style("words", "text", align="left", dx=9, tooltip=False),
            "encoding": {**at, "text": {"field": "text"}},
        },
    ]


def _promise(rate: float, time: float) -> list[Row]:
    """What users were promised at least."""
    at = {"x": {"datum": rate, "type": "quantitative"}}
    return [
        {"data": {"values": [{}]}, "mark": style("limit", "rule", tooltip=False), "encoding": at},
        {
            "data": {"values": [{"text": f"promised: a token in {format_time(time)}"}]},
            "mark": style("bad", "text", align="left", baseline="top", dx=5),
            "encoding": {**at, "y": {"value": 2}, "text": {"field": "text"}},
        },
    ]


def _serving_sentence(points: Sequence[ServingPoint]) -> str:
    slow, fast = points[0], points[-1]
    return (
        f"One replica gives an accelerator {format_count(slow.accelerator_rate)} tokens a second "
        f"where a user gets {slow.user_rate:,.0f}, and {format_count(fast.accelerator_rate)} where "
        f"a user gets {fast.user_rate:,.0f}."
    )
