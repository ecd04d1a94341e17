"""What users wait for: percentiles of each latency beside what was promised, and a step's parts."""

from __future__ import annotations

from typing import Final

from clusterwright.report.pictures.layers import (
    LABEL,
    TIMES,
    interval,
    log_ticks,
    name,
    number,
    there,
    tooltip,
    words,
)
from clusterwright.report.pictures.scales import unit_for
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.serving.plan import ServingEstimate
from clusterwright.units import format_time
from clusterwright.workload import ServingWorkload

LEAST_SHARE: Final = 5e-4
"""Parts of a step with a smaller share of it are left out, as of the text."""


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
    ends = [row[key] for row in values for key in ("p50", "p99", "low", "high", "promised")
            if row.get(key)]  # fmt: skip
    # Numbers stand in a column right of the marks.
    low, high = 0.7 * min(ends), 7.0 * max(ends)
    x = {
        "type": "quantitative",
        "title": "line: p50 to p99, dot: p90, shade: 80 % of runs alike",
        "scale": {"type": "log", "domain": [low, high], "nice": False},
        "axis": {**TIMES, "values": log_ticks(low, high)},
    }
    told = {"name": "latency", "p50 words": "p50", "p90 words": "p90", "p99 words": "p99",
            "alike": "p90 in 80 % of runs alike", "promise": "promised"}  # fmt: skip
    return picture(
        values,
        height={"step": 46},
        description=_said(values, job),
        encoding={
            "y": name("name", [row["name"] for row in values]),
            "x": x,
            "tooltip": tooltip(told),
        },  # fmt: skip
        layer=[
            there(values, "low", _alike()),
            interval("p50", "p99", strokeWidth=2),
            {
                "mark": style("accent", "point", size=90, opacity=1),
                "encoding": {"x": number("p90")},
            },
            words(
                "p90 words", look="strong", where={"x": {"value": "width"}}, align="right", dx=-2
            ),
            there(values, "promised", *_promises()),
        ],
    )


def _alike() -> Row:
    return {
        "mark": style("band", "bar", height=16),
        "encoding": {"x": number("low"), "x2": {"field": "high"}},
    }


def _promises() -> list[Row]:
    place = {"x": number("promised")}
    return [
        {"mark": style("limit", "tick", height=26, thickness=2), "encoding": place},
        words("promise", look="limit", where=place, dy=-20, strokeWidth=0),
    ]


def latency_rows(found: ServingEstimate, job: ServingWorkload) -> list[Row]:
    """Return one row for each latency that requests have. [s]"""
    alike = {one.sort.split()[0]: one for one in found.intervals}
    rows: list[Row] = []
    for called, latency, sort, promised in (
        ("first token", found.ttft, "TTFT", job.ttft),
        ("each token", found.tpot, "TPOT", job.tpot),
        ("gaps", found.itl, "", None),
        ("whole answer", found.latency, "", None),
    ):
        if latency.p50 <= 0.0:
            continue
        points = {key: getattr(latency, key) for key in ("p50", "p90", "p99")}
        row: Row = {"name": called, **points}
        row |= {f"{key} words": format_time(value) for key, value in points.items()}
        if sort in alike:
            row["low"], row["high"] = (
                latency.p90 * end for end in (alike[sort].low, alike[sort].high)
            )
            row["alike"] = f"{format_time(row['low'])} to {format_time(row['high'])}"
        if promised is not None:
            row["promised"], row["promise"] = promised, f"promised {format_time(promised)}"
        rows.append(row)
    return rows


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
    largest = max(row["time"] for row in values)
    least = min(0.0, *(row["time"] for row in values))
    x = {"type": "quantitative", "title": unit.titled("time in a step that decodes"),
         "scale": {"domain": [least, LABEL * largest], "nice": False}, "axis": {"tickCount": 4}}  # fmt: skip
    told = tooltip({"name": "part", "words": "time", "share": "of the step"})
    first = values[0]
    return picture(
        values,
        height={"step": 26},
        description=f"A step of decoding takes {format_time(total)}; {first['name']} is the longest "
        f"part with {first['words']} or {first['share']}.",
        encoding={
            "y": name("name", [row["name"] for row in values]),
            "x": {**x, "field": "time"},
            "tooltip": told,
        },  # fmt: skip
        layer=[
            {"mark": style("accent", "bar", height={"band": 0.7})},
            words("words", align="left", dx=6),
        ],
    )
