"""What users wait for: percentiles of each latency beside what was promised, and a step's parts."""

from __future__ import annotations

from typing import Final, Literal

from clusterwright.report.pictures.layers import (
    dots,
    interval,
    log_axis,
    name,
    number,
    ranked,
    there,
    told,
    tooltip,
    words,
)
from clusterwright.report.pictures.scales import unit_for
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.serving.plan import Latency, ServingEstimate
from clusterwright.units import format_time
from clusterwright.workload import ServingWorkload

LEAST_SHARE: Final = 5e-4
"""Parts of a step with a smaller share of it are left out."""
Which = Literal["ttft", "tpot"]
NAMES: Final[dict[Which, tuple[str, str]]] = {
    "ttft": ("time to the first token", "TTFT"),
    "tpot": ("time per further token", "TPOT"),
}
"""In words, and the sort of measured interval."""
PERCENTILES: Final = ("p50", "p90", "p99")


def latencies(found: ServingEstimate, job: ServingWorkload) -> Spec | None:
    """Draw each latency from its median to its 99th percentile, and what was promised.

    Parameters
    ----------
    found
        What a deployment does.
    job
        The load that it was asked about, with its promise.
    """
    values = latency_rows(found, job)
    if not values:
        return None
    ends = ("p50", "p99", "low", "high", "promised")
    times = [row[end] for row in values for end in ends if row.get(end)]
    title = "line: p50 to p99, dot: p90, shade: 80 % of runs alike"
    titles = {
        "name": "latency",
        **{f"{key} words": key for key in PERCENTILES},
        "alike": "p90 in 80 % of runs alike",
        "promise": "promise",
    }
    return picture(
        told(values, titles),
        height={"step": 46},
        description=_said(values, job),
        encoding={
            "y": name("name", [row["name"] for row in values]),
            # Numbers stand in a column right of the marks.
            "x": log_axis(title, 0.7 * min(times), 7.0 * max(times)),
            "tooltip": tooltip(titles),
        },
        layer=[
            there(told(values, titles), "low", _alike()),
            interval("p50", "p99"),
            dots("accent", {"x": number("p90")}),
            words("p90 words", {"x": {"value": "width"}}, look="strong", align="right", dx=-2),
            there(told(values, titles), "promised", *_promises()),
        ],
    )


def _alike() -> Row:
    place = {"x": number("low"), "x2": {"field": "high"}}
    return {"mark": style("band", "bar", height=16), "encoding": place}


def _promises() -> list[Row]:
    place = {"x": number("promised")}
    mark = style("limit", "tick", height=26, thickness=2)
    return [{"mark": mark, "encoding": place}, words("promise", place, look="limit", dy=-20)]


def latency_rows(found: ServingEstimate, job: ServingWorkload) -> list[Row]:
    """Return one row for each latency that requests have. [s]"""
    every = (
        ("first token", found.ttft, "TTFT", job.ttft),
        ("each token", found.tpot, "TPOT", job.tpot),
        ("gaps", found.itl, "", None),
        ("whole answer", found.latency, "", None),
    )
    alike = {one.sort.split()[0]: (one.low, one.high) for one in found.intervals}
    rows: list[Row] = []
    for called, latency, sort, promised in every:
        if latency.p50 <= 0.0:
            continue
        row: Row = {"name": called, **_points(latency)}
        if sort in alike:
            low, high = (latency.p90 * end for end in alike[sort])
            row |= {"low": low, "high": high, "alike": f"{format_time(low)} to {format_time(high)}"}
        if promised is not None:
            row |= {"promised": promised, "promise": f"promised {format_time(promised)}"}
        rows.append(row)
    return rows


def _points(latency: Latency) -> Row:
    found = {key: getattr(latency, key) for key in PERCENTILES}
    return {**found, **{f"{key} words": format_time(time) for key, time in found.items()}}


def _said(values: list[Row], job: ServingWorkload) -> str:
    parts = []
    for row in values:
        promise = f" ({row['promise']} for {job.percentile:g} %)" if "promise" in row else ""
        parts.append(f"{row['name']} {row['p90 words']}{promise}")
    return f"Latencies that nine in ten requests stay below: {', '.join(parts)}."


def step_parts(found: ServingEstimate) -> Spec | None:
    """Draw the parts of a step that decodes, the longest first.

    Parameters
    ----------
    found
        What a deployment does.
    """
    total = sum(part.time for part in found.parts)
    seen = [part for part in found.parts if abs(part.time) >= LEAST_SHARE * abs(total)]
    if not seen:
        return None
    unit = unit_for([part.time for part in seen], "s")
    values = [
        {
            "name": part.name.replace("_", " "),
            "time": unit.of(part.time),
            "words": format_time(part.time),
            "share": f"{part.time / total:.0%}",
        }
        for part in sorted(seen, key=lambda one: -one.time)
    ]
    first = values[0]
    return ranked(
        values,
        "time",
        title=unit.titled("time in a step that decodes"),
        told={"name": "part", "words": "time", "share": "of the step"},
        description=f"A step of decoding takes {format_time(total)}; {first['name']} is its "
        f"longest part with {first['words']} or {first['share']}.",
    )
