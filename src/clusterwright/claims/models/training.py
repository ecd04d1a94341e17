"""Models of claims about training: by an assumed MFU, by a plan, and what failures leave."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from clusterwright.asking import ask_training
from clusterwright.asking_run import ask_run
from clusterwright.catalogue.store import Catalogue
from clusterwright.claims.given import Given
from clusterwright.claims.models.answer import Answer, Floats, drawn, spread
from clusterwright.errors import InputError
from clusterwright.fleet.outlook import look_ahead
from clusterwright.fleet.records import RunOutlook
from clusterwright.hardware import peak_rate
from clusterwright.planner import plan_training
from clusterwright.training.plan import TrainingPlan
from clusterwright.uncertain import Interval
from clusterwright.units import format_quantity, format_time

MACHINE = ("cluster", "accelerator", "accelerators")
WORK = ("precision", "tokens", "sequence_length", "batch_tokens", "software")
RUN = ("model", "parameters", "days", "work", "tier", "storage")
Words = tuple[tuple[str, str], ...]
"""Words by name, so that the same question is answered once."""


def training_time(given: Given) -> Answer:
    """Time of a run: compute over (accelerators, peak rate, MFU, goodput).

    ``goodput``: 100 % unless given; ``modelled``: what failures leave on so many accelerators.
    Results: ``time`` [s]; ``mfu`` [1] that a given ``time`` implies; ``compute`` [FLOP] that is
    done in it; ``energy`` [J] where ``power`` of one accelerator with all that goes with it is
    given.
    """
    name = given.text("accelerator")
    chip = given.catalogue.accelerator(name)
    precision = given.text("precision", "bf16")
    inputs = {
        "compute": given.quantity("compute", "FLOP"),
        "count": given.quantity("accelerators", "1"),
        "mfu": given.quantity("mfu", "1", "100%"),
    }
    for extra, dimension in (("time", "s"), ("power", "W")):
        if given.has(extra):
            inputs[extra] = given.quantity(extra, dimension)
    goodput, said = _goodput(given, name, inputs["count"].value)
    x = drawn(inputs)
    rate = x["count"] * peak_rate(chip, precision)
    time = x["compute"] / (rate * x["mfu"] * goodput)
    results: dict[str, Floats] = {"time": time}
    if "time" in x:
        results["mfu"] = x["compute"] / (rate * x["time"] * goodput)
        results["compute"] = rate * x["mfu"] * x["time"] * goodput
        time = x["time"]
    if "power" in x:
        results["energy"] = x["power"] * x["count"] * time
    peak = format_quantity(peak_rate(chip, precision), "FLOP/s", digits=4)
    units = {"time": "s", "mfu": "1", "compute": "FLOP", "energy": "J"}
    rests = (f"{chip.name} at {peak} ({precision}, dense)", *said)
    return Answer(results=results, dimensions=units, assumed=rests)


def _goodput(given: Given, accelerator: str, count: float) -> tuple[Floats, tuple[str, ...]]:
    if given.has("goodput") and given.text("goodput") == "modelled":
        words = {"accelerator": accelerator, "accelerators": f"{count:.0f}"}
        found = _outlook(given.catalogue, tuple(words.items()))
        between = format_time(found.between.middle)
        said = f"goodput {found.goodput.middle:.0%}, a failure every {between}"
        return spread(found.goodput, seed=1), (said,)
    return drawn({"goodput": given.quantity("goodput", "1", "100%")})["goodput"], ()


def training_plan(given: Given) -> Answer:
    """The plan of a run: a model of the catalogue on a cluster, the fastest strategy that fits.

    Results: ``time`` with failures, ``undisturbed`` without [s], ``mfu`` [1], ``goodput`` [1],
    ``accelerators`` used [1], ``compute`` [FLOP].
    """
    model = given.text("model")
    machine, words = given.texts(*MACHINE), given.texts(*WORK)
    if "tokens" not in words:
        raise InputError("the claim gives no 'tokens', which its model needs, such as 13T")
    plan = _plan(given.catalogue, model, tuple({**machine, **words}.items()))
    totals, best = plan.totals, plan.best
    assert totals is not None
    low, high = totals.duration_interval
    undisturbed = spread(Interval(low=low, middle=totals.duration, high=high), seed=1)
    run = {**machine, "accelerators": str(best.accelerators), "model": model}
    found = _outlook(given.catalogue, tuple({**run, "work": f"{totals.duration} s"}.items()))
    goodput = spread(found.goodput, seed=2)
    work = format_quantity(totals.training_flops, "FLOP")
    said = (
        f"by plan train: {work} at {best.mfu:.1%} MFU on {best.accelerators:,} accelerators",
        f"goodput {found.goodput.middle:.0%}, a failure every {format_time(found.between.middle)}",
        *plan.question.assumed,
    )
    results = {
        "time": undisturbed / goodput,
        "undisturbed": undisturbed,
        "mfu": best.mfu * totals.duration / undisturbed,
        "goodput": found.goodput,
        "accelerators": float(best.accelerators),
        "compute": totals.training_flops,
    }
    units = {"time": "s", "undisturbed": "s", "mfu": "1", "goodput": "1", "accelerators": "1"}
    return Answer(results=results, dimensions=units, assumed=said)


def fleet(given: Given) -> Answer:
    """What failures leave of a long run.

    Results: ``goodput`` [1], ``duration``, ``between`` failures [s], ``interruptions`` [1].
    """
    found = _outlook(given.catalogue, tuple(given.texts(*MACHINE, *RUN).items()))
    results = {
        "goodput": found.goodput,
        "duration": found.duration,
        "between": found.between,
        "interruptions": found.interruptions,
    }
    chosen = f"checkpoints: {found.chosen.tier}, every {format_time(found.chosen.interval)}"
    units = {"goodput": "1", "duration": "s", "between": "s", "interruptions": "1"}
    return Answer(results=results, dimensions=units, assumed=(chosen, *found.question.assumed))


@lru_cache(maxsize=32)
def _plan(catalogue: Catalogue, model: str, words: Words) -> TrainingPlan:
    asked: dict[str, Any] = dict(words)
    return plan_training(ask_training(model, catalogue=catalogue, **asked))


@lru_cache(maxsize=32)
def _outlook(catalogue: Catalogue, words: Words) -> RunOutlook:
    asked: dict[str, Any] = dict(words)
    target = asked.pop("cluster", None)
    return look_ahead(ask_run(target, catalogue=catalogue, **asked), depth=False)
