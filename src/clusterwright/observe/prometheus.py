"""Prometheus text as vLLM and SGLang expose it at ``/metrics``: one scrape, or two subtracted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from clusterwright.errors import InputError
from clusterwright.observe.opening import Line
from clusterwright.observe.records import Percentiles, ServingRun

SAMPLE = re.compile(
    r"^(?P<name>[A-Za-z_][\w:]*)(?:\{(?P<labels>[^}]*)\})?\s+"
    r"(?P<value>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?|NaN|[-+]?Inf)"
    r"(?:\s+\d+)?\s*$"
)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
ENGINES = ("vllm", "sglang")


class Scrape(NamedTuple):
    """Samples summed over labels; ``buckets``: cumulative counts by upper edge [s]."""

    engine: str
    model: str
    values: dict[str, float]
    buckets: dict[str, dict[float, float]]
    notes: tuple[str, ...]
    path: str


def is_metrics(line: str) -> bool:
    """Whether a line is a sample of one of the engines."""
    found = SAMPLE.match(line)
    return found is not None and found["name"].startswith(tuple(f"{one}{sign}" for one in ENGINES
                                                                for sign in ":_"))  # fmt: skip


def scrape(lines: Iterable[Line], path: str) -> Scrape:
    """Add samples up over engines, models and finish reasons.

    Raises
    ------
    InputError
        No sample is of an engine that we know.
    """
    values: dict[str, float] = {}
    buckets: dict[str, dict[float, float]] = {}
    engine, model, broken = "", "", 0
    for line in lines:
        found = SAMPLE.match(line.text.strip())
        if not found:
            broken += not line.text.lstrip().startswith("#") and bool(line.text.strip())
            continue
        name = found["name"]
        owner = next((one for one in ENGINES if name.startswith((f"{one}:", f"{one}_"))), "")
        if not owner:
            continue
        labels = dict(_LABEL.findall(found["labels"] or ""))
        engine, model = owner, labels.get("model_name") or labels.get("model") or model
        short = name[len(owner) + 1 :]
        value = float(found["value"])
        if short.endswith("_bucket") and "le" in labels:
            held = buckets.setdefault(short.removesuffix("_bucket"), {})
            edge = _edge(labels["le"])
            held[edge] = held.get(edge, 0.0) + value
        elif math.isfinite(value):
            values[short] = values.get(short, 0.0) + value
    if not engine:
        raise InputError(f"{path!r} has Prometheus samples, but none of vLLM or SGLang")
    notes = (f"{broken} lines are no samples: passed over",) if broken else ()
    return Scrape(engine, model, values, buckets, notes, path)


def _edge(text: str) -> float:
    """The upper edge of a bucket; what is no number counts as none."""
    try:
        return float(text)
    except ValueError:
        return math.inf


def read(scrapes: Iterable[Scrape]) -> ServingRun:
    """What happened until a scrape, or between the first and the last of several."""
    first, *others = sorted(scrapes, key=_progress)
    last = others[-1] if others else first
    since = first if others else None
    values = {name: value - _before(since, name) for name, value in last.values.items()}
    return ServingRun(
        tool="Prometheus",
        paths=tuple(one.path for one in (first, *others)),
        model=last.model,
        engine=last.engine,
        requests=_first(values, "request_success_total", "num_requests_total",
                        "e2e_request_latency_seconds_count", "time_to_first_token_seconds_count"),
        prompt_tokens=_first(values, "prompt_tokens_total"),
        output_tokens=_first(values, "generation_tokens_total"),
        prompt=_mean(values, "request_prompt_tokens"),
        output=_mean(values, "request_generation_tokens"),
        ttft=_latency(values, last, since, "time_to_first_token_seconds"),
        tpot=_latency(values, last, since, "request_time_per_output_token_seconds",
                      "time_per_output_token_seconds", "inter_token_latency_seconds"),
        itl=_latency(values, last, since, "inter_token_latency_seconds"),
        latency=_latency(values, last, since, "e2e_request_latency_seconds"),
        cache_use=_gauge(last, "kv_cache_usage_perc", "gpu_cache_usage_perc", "token_usage"),
        reused=_reused(values, last),
        preemptions=_first(values, "num_preemptions_total", "num_retracted_requests_total"),
        waiting=_gauge(last, "num_requests_waiting", "num_queue_reqs"),
        running=_gauge(last, "num_requests_running", "num_running_reqs"),
        queue_time=_mean(values, "request_queue_time_seconds", "queue_time_seconds"),
        prefill_time=_mean(values, "request_prefill_time_seconds"),
        decode_time=_mean(values, "request_decode_time_seconds"),
        notes=last.notes if others else (*last.notes, "one scrape: all since the engine started"),
    )  # fmt: skip


def _progress(one: Scrape) -> float:
    return one.values.get("generation_tokens_total", 0.0) + one.values.get("prompt_tokens_total", 0)


def _before(since: Scrape | None, name: str) -> float:
    """What a counter stood at before; gauges are as they are."""
    counts = name.endswith(("_total", "_sum", "_count"))
    return since.values.get(name, 0.0) if since and counts else 0.0


def _first(values: Mapping[str, float], *names: str) -> float:
    return next((values[name] for name in names if name in values), math.nan)


def _gauge(last: Scrape, *names: str) -> float:
    return _first(last.values, *names)


def _mean(values: Mapping[str, float], *names: str) -> float:
    for name in names:
        count = values.get(f"{name}_count", 0.0)
        if count > 0.0 and f"{name}_sum" in values:
            return values[f"{name}_sum"] / count
    return math.nan


def _reused(values: Mapping[str, float], last: Scrape) -> float:
    """Share of prompts' tokens that the prefix cache had."""
    for hits, queries in (("prefix_cache_hits_total", "prefix_cache_queries_total"),
                          ("gpu_prefix_cache_hits_total", "gpu_prefix_cache_queries_total"),
                          ("cached_tokens_total", "prompt_tokens_total")):  # fmt: skip
        if values.get(queries, 0.0) > 0.0 and hits in values:
            return values[hits] / values[queries]
    return _gauge(last, "cache_hit_rate", "gpu_prefix_cache_hit_rate")


def _latency(
    values: Mapping[str, float], last: Scrape, since: Scrape | None, *names: str
) -> Percentiles:
    """Mean and percentiles of the first histogram that counted anything."""
    for name in names:
        edges = last.buckets.get(name, {})
        counts = {
            edge: count - (since.buckets.get(name, {}).get(edge, 0.0) if since else 0.0)
            for edge, count in edges.items()
        }
        mean = _mean(values, name)
        if math.isfinite(mean) or (counts and max(counts.values()) > 0.0):
            return Percentiles(
                mean=mean,
                **{f"p{p}": _percentile(counts, p / 100.0, name in last.values or
                                        f"{name}_count" in values) for p in (50, 90, 95, 99)},
            )  # fmt: skip
    return Percentiles()


def _percentile(counts: Mapping[float, float], share: float, whole: bool) -> float:
    """A percentile from cumulative counts, evenly spread within a bucket (as Prometheus does)."""
    edges = sorted(counts)
    if not edges or not whole or counts[edges[-1]] <= 0.0:
        return math.nan
    wanted = share * counts[edges[-1]]
    below, edge_below = 0.0, 0.0
    for edge in edges:
        if counts[edge] >= wanted:
            if not math.isfinite(edge):
                return edge_below
            inside = counts[edge] - below
            return edge_below + (edge - edge_below) * ((wanted - below) / inside if inside else 1.0)
        below, edge_below = counts[edge], edge
    return math.nan
