"""Questions about training: the same calls as ``plan train`` and ``estimate train``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from clusterwright.asking import ask_training
from clusterwright.asking_account import accounted, upkeep_of
from clusterwright.asking_prices import AS_USUAL, SiteOptions
from clusterwright.asking_run import failures_of
from clusterwright.catalogue.store import Catalogue
from clusterwright.planner import estimate_question, plan_training, run_account
from clusterwright.planner_limits import ask_limits, plan_within
from clusterwright.site.run import RunAccount
from clusterwright.strategy import ContextScheme, Offload, Recompute, Schedule, Strategy
from clusterwright.sweep.kept import Kept, how, key_of, with_interval
from clusterwright.sweep.options import Option, picked
from clusterwright.training.estimate import TrainingEstimate
from clusterwright.training.pins import parse_pins
from clusterwright.training.plan import Objective, RunTotals, TrainingPlan, TrainingQuestion
from clusterwright.uncertain import Interval
from clusterwright.workload import Method, Optimizer, Precision

Values = Mapping[str, Any]
Found = tuple[dict[str, float], str]
"""The numbers of an answer, and what was chosen in words."""

JOB = {
    "model": Option("model"),
    "tokens": Option("count"),
    "seq_len": Option("count"),
    "batch_tokens": Option("count"),
    "batch_sequences": Option("count"),
    "precision": Option("words", get_args(Precision)),
    "optimizer": Option("words", get_args(Optimizer)),
    "optimizer_state": Option("words", ("fp32", "bf16", "8bit")),
    "method": Option("words", get_args(Method)),
    "lora_rank": Option("whole"),
}
PLACE = {
    "cluster": Option("name", "clusters"),
    "accelerator": Option("name", "accelerators"),
    "accelerators": Option("count"),
    "software": Option("name", "software"),
}
LOCATION = {
    "region": Option("text", changes="site"),
    "cooling": Option("name", "cooling", "site"),
    "pue": Option("quantity", "1", "site"),
    "tariff": Option("money", "USD/J", "site"),
    "carbon": Option("quantity", "kg/J", "site"),
    "contracts": Option("share", changes="site"),
    "duty": Option("share", changes="site"),
    "drawn": Option("share", changes="site"),
    "power_cap": Option("quantity", "W", "site"),
    "server_price": Option("money", "USD", "site"),
    "construction": Option("money", "USD/W", "site"),
    "rent": Option("money", "USD/s", "site"),
    "colocated": Option("flag", changes="site"),
    "day": Option("text", changes="site"),
}
LIMITS = {
    "budget": Option("quantity", "USD"),
    "deadline": Option("quantity", "s"),
    "power": Option("quantity", "W"),
    "sure": Option("flag"),
}
CHOICES = {"objective": Option("words", get_args(Objective)), "pin": Option("list")}
FAILURES = {"failure_rate": Option("quantity", "1/s", "run")}
CUT = {
    **dict.fromkeys(
        ("tp", "cp", "pp", "vpp", "dp", "ep", "etp", "micro_batch"), Option("whole")
    ),
    "zero": Option("words", (0, 1, 2, 3)),
    "shard_group": Option("whole"),
    "recompute": Option("words", get_args(Recompute)),
    "recompute_layers": Option("whole"),
    "context_scheme": Option("words", get_args(ContextScheme)),
    "offload": Option("words", get_args(Offload)),
    "sequence_parallel": Option("flag"),
    "schedule": Option("words", get_args(Schedule)),
}  # fmt: skip

ESTIMATED = {
    "step_time": "s",
    "tokens_per_second": "1/s",
    "mfu": "1",
    "hfu": "1",
    "memory": "B",
    "used": "1",
}
PLANNED = {
    **ESTIMATED,
    "run_time": "s",
    "accelerator_time": "s",
    "wall": "s",
    "goodput": "1",
    "between_failures": "s",
    "mean_power": "W",
    "peak_power": "W",
    "energy": "J",
    "emitted": "kg",
    "made": "kg",
    "cost": "USD",
}
"""Results and their dimensions. ``used``: accelerators that the strategy runs on. ``run_time``: of
the whole run if nothing failed, ``wall``: with failures; ``accelerator_time``: of all accelerators
together, failures left out. ``made``: carbon of making the machines, ``emitted``: of electricity.
"""
ESTIMATED_POINTS = ("tokens_per_second", "mfu", "hfu", "memory", "used")
PLANNED_POINTS = (*ESTIMATED_POINTS, "accelerator_time")
"""Results that come without an interval."""
RENAMED = {
    "seq_len": "sequence_length",
    "power_cap": "cap",
    "server_price": "price",
}
"""Options that the Python API calls otherwise."""
NAMED = {
    "wall": "wall",
    "goodput": "goodput",
    "between_failures": "between",
    "mean_power": "power",
    "peak_power": "peak",
    "energy": "energy",
    "emitted": "carbon",
    "made": "made",
    "cost": "cost",
}
"""Results and the fields of `RunAccount` that they are."""


def plan(values: Values, kept: Kept) -> Found:
    """The best plan for a row; `plan_training`, with what rows share worked out once."""
    question = _asked(values, kept)
    job = picked(values, {**JOB, **PLACE, **CHOICES})
    limits = ask_limits(**picked(values, LIMITS))
    full = _accounted(question, values, kept)
    if limits.any:
        best = plan_within(full, limits, catalogue_hash=kept.facts.hash).plan
        return _planned(best.best, best.totals, best.account)
    # Neither the site nor failures change the search, so it is of the bare question.
    found = kept(key_of("plan", job), lambda: _searched(question, kept.facts))
    return _planned(*found, run_account(full, *found))


def estimate(values: Values, kept: Kept) -> Found:
    """One given strategy for a row; `estimate_question`."""
    found = estimate_question(_asked(values, kept), **picked(values, CUT))
    return estimated(found), how(found.strategy, Strategy())


def site_options(values: Values, **network: Any) -> SiteOptions:  # noqa: ANN401 - a record
    """Where a row's machine stands, and its prices."""
    given = picked(values, LOCATION)
    return SiteOptions(**{RENAMED.get(name, name): one for name, one in given.items()}, **network)


def _asked(values: Values, kept: Kept) -> TrainingQuestion:
    """The question of a row without its site."""
    job = picked(values, {**JOB, **PLACE, **CHOICES})
    given = {RENAMED.get(name, name): one for name, one in job.items()}
    pins = str(given.pop("pin", "")).split()
    model = given.pop("model", "")

    def ask() -> TrainingQuestion:
        return ask_training(model, pins=parse_pins(pins), catalogue=kept.facts, **given)

    return kept(key_of("question", job), ask)


def _accounted(question: TrainingQuestion, values: Values, kept: Kept) -> TrainingQuestion:
    """`with_account`, its parts worked out once for rows that share them."""
    facts, options, rate = kept.facts, site_options(values), values.get("failure_rate")
    machine = picked(values, PLACE)
    failing = {**machine, "model": values.get("model"), "rate": rate}
    cluster, model = question.cluster, question.model
    return accounted(
        question,
        lambda: kept(
            key_of("upkeep", {**machine, "site": options}),
            lambda: upkeep_of(cluster, options=options, catalogue=facts),
        ),
        lambda: kept(
            key_of("failures", failing),
            lambda: failures_of(cluster, model, catalogue=facts, rate=rate),
        ),
        as_usual=(options, rate) == (AS_USUAL, None),
    )


def _searched(
    question: TrainingQuestion, facts: Catalogue
) -> tuple[TrainingEstimate, RunTotals | None]:
    found: TrainingPlan = plan_training(question, catalogue_hash=facts.hash)
    return found.best, found.totals


def _planned(best: TrainingEstimate, totals: RunTotals | None, account: RunAccount | None) -> Found:
    numbers = estimated(best)
    if totals is not None:
        low, high = totals.duration_interval
        numbers |= with_interval("run_time", Interval(low=low, middle=totals.duration, high=high))
        numbers["accelerator_time"] = totals.accelerator_hours * 3600.0
    if account is not None:
        for name, field in NAMED.items():
            numbers |= with_interval(name, getattr(account, field))
    return numbers, how(best.strategy, Strategy())


def estimated(best: TrainingEstimate) -> dict[str, float]:
    """The numbers of one strategy."""
    low, high = best.step_time_interval
    return {
        **with_interval("step_time", Interval(low=low, middle=best.step_time, high=high)),
        "tokens_per_second": best.tokens_per_second,
        "mfu": best.mfu,
        "hfu": best.hfu,
        "memory": best.memory_bytes,
        "used": float(best.accelerators),
    }
