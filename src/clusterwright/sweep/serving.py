"""Questions about serving: the same calls as ``plan serve``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from clusterwright.asking_load import make_base, make_service, rate_of
from clusterwright.asking_service import with_service_account
from clusterwright.asking_serving import ask_serving
from clusterwright.errors import InputError
from clusterwright.inference import Deployment
from clusterwright.planner_serving import load_of, plan_serving
from clusterwright.serving.plan import Latency, Objective, ServingPlan, Split
from clusterwright.site.service import ServiceAccount
from clusterwright.sweep.kept import Kept, how, key_of, with_interval
from clusterwright.sweep.options import Option, picked
from clusterwright.sweep.training import LOCATION, Found, Values, site_options
from clusterwright.traces import read_trace

LENGTHS = {
    "users": Option("count"),
    "input": Option("count"),
    "output": Option("count"),
    "spread": Option("share"),
    "prefix": Option("count"),
}
PROMISES = {
    "ttft": Option("quantity", "s"),
    "tpot": Option("quantity", "s"),
    "percentile": Option("number"),
}
LOAD = {"rate": Option("rate"), "trace": Option("text"), **LENGTHS, **PROMISES}
PLACE = {
    "model": Option("model"),
    "cluster": Option("name", "clusters"),
    "accelerator": Option("name", "accelerators"),
    "accelerators": Option("count"),
    "device": Option("text"),
    "engine": Option("text"),
    "weights": Option("text"),
    "cache": Option("words", ("bf16", "fp8")),
    "price": Option("hourly"),
}
TUNE = {
    "draft": Option("whole"),
    "acceptance": Option("share"),
    "drafter": Option("text"),
    "adapters": Option("whole"),
    "adapter_rank": Option("whole"),
    "budget": Option("whole"),
    "most": Option("whole"),
    "memory_share": Option("share"),
    "cache_tokens": Option("whole"),
    "overlap": Option("flag"),
}
CHOICES = {
    "objective": Option("words", get_args(Objective)),
    "split": Option("words", get_args(Split)),
    "router": Option("text"),
    "reuse": Option("flag"),
}
OPTIONS = {**PLACE, **LOAD, **TUNE, **CHOICES, **LOCATION}
TIMES = {
    f"{latency}_{at}": "s"
    for latency in ("ttft", "tpot", "latency")
    for at in ("p50", "p90", "p99")
}
RESULTS = {
    "used": "1",
    "replicas": "1",
    "saturation": "1/s",
    **TIMES,
    "output_rate": "1/s",
    "user_rate": "1/s",
    "concurrency": "1",
    "busy": "1",
    "million_at_price": "USD",
    "million_owned": "USD",
    "year": "USD",
    "mean_power": "W",
    "token_energy": "J",
    "million_emitted": "kg",
}
"""Results and their dimensions. ``million_…``: of a million tokens out: dollars at ``price``,
dollars where the machines are owned, carbon; ``token_energy``: of one, with the site."""
NAMED = {
    "million_owned": "cost",
    "year": "year",
    "mean_power": "power",
    "token_energy": "energy",
    "million_emitted": "carbon",
}
"""Results and the fields of `ServiceAccount` that they are."""
POINTS = tuple(name for name in RESULTS if name not in NAMED)
"""Results that come without an interval."""


def plan(values: Values, kept: Kept) -> Found:
    """The best deployment for a row; `plan_serving`, once for rows that differ in prices alone."""
    job = {name: one for name, one in values.items() if name not in LOCATION}
    found = kept(key_of("plan", job), lambda: _searched(job, kept))
    options = site_options(values)
    full = with_service_account(found, options=options, catalogue=kept.facts)
    return _numbers(full, full.account), " + ".join(
        f"{pool.count} x {how(pool.deployment, Deployment(weights=''))}" for pool in full.best.pools
    )


def _searched(job: Values, kept: Kept) -> ServingPlan:
    given = picked(job, {**PLACE, "objective": 0, "split": 0})
    tune = picked(job, TUNE)
    drafted, drafter = tune.pop("draft", 0), tune.get("drafter", "layer")
    question = ask_serving(
        given.pop("model", ""),
        base=make_base(drafted=drafted, **tune),
        draft=None if drafter in ("layer", "ngram") else drafter,
        service=make_service(router=job.get("router", ""), reuse=job.get("reuse", True)),
        catalogue=kept.facts,
        **given,
        **_load(job),
    )
    return plan_serving(question, catalogue=kept.facts)


def _load(job: Mapping[str, Any]) -> dict[str, Any]:
    """A row's load, as the keyword arguments of ``ask_serving``."""
    promise = picked(job, PROMISES)
    lengths = picked(job, LENGTHS)
    rate = job.get("rate")
    if "trace" not in job:
        prompt = lengths.pop("input", None)
        return {"rate": rate, "prompt": prompt, **lengths, **promise}
    if lengths:
        raise InputError(f"trace has lengths of its own: leave out {', '.join(lengths)}")
    trace = read_trace(Path(job["trace"]))
    return {**load_of(trace.rescaled(rate_of(rate)) if rate else trace), **promise}


def _numbers(found: ServingPlan, account: ServiceAccount | None) -> dict[str, float]:
    best = found.best
    numbers = {
        "used": float(best.accelerators),
        "replicas": float(sum(pool.count for pool in best.pools)),
        "saturation": best.saturation,
        **_times("ttft", best.ttft),
        **_times("tpot", best.tpot),
        **_times("latency", best.latency),
        "output_rate": best.output_rate,
        "user_rate": best.user_rate,
        "concurrency": best.concurrency,
        "busy": best.busy,
    }
    if best.cost is not None:
        numbers["million_at_price"] = best.cost
    if account is not None:
        for name, field in NAMED.items():
            numbers |= with_interval(name, getattr(account, field))
    return numbers


def _times(name: str, found: Latency) -> dict[str, float]:
    return {f"{name}_{at}": getattr(found, at) for at in ("p50", "p90", "p99")}
