"""What a phone, laptop or desktop does for its owner, as text a person reads."""

from __future__ import annotations

from clusterwright.device import Span
from clusterwright.report.deployment_text import format_words
from clusterwright.report.folding import fold
from clusterwright.report.text import gigabytes
from clusterwright.serving.handheld import Handheld, Offload
from clusterwright.serving.plan import ServingEstimate
from clusterwright.units import format_count, format_time


def handheld_lines(found: ServingEstimate, one: Handheld) -> list[str]:
    """What a phone, laptop or desktop does for its owner."""
    memory = found.memory
    least, most = (gigabytes(value) for value in (one.app_memory.low, one.app_memory.high))
    allowed = least if least == most else f"{least} to {most}"
    size = f"{gigabytes(memory.weights)} GiB"
    needed = memory.weights + memory.activations + memory.reserve
    sure = "fits" if needed <= one.app_memory.low else "fits IF THE SYSTEM LETS IT HAVE THE MOST of"
    room = f"room for {format_count(memory.cache_tokens)} tokens"
    lines = [
        f"  weights      {format_words(found.pools[0].deployment)}, {size}",
        f"  memory       {sure} the {allowed} GiB that an app may take; {room}",
        f"  first token  {format_time(found.ttft.mean)}",
        f"  prompt       {_rates(one.prompt_rate, one.hot_prompt_rate)}",
        f"  answer       {_rates(one.answer_rate, one.hot_answer_rate)}",
        f"  energy       {_span(one.energy)} J a token out{_when(one)}",
    ]
    if one.battery_share is not None:
        percent = Span(low=100.0 * one.battery_share.low, high=100.0 * one.battery_share.high)
        lines.append(f"  battery      {_span(percent)} % of a full one for 1,000 tokens out")
    return lines


def _rates(first: float, hot: Span) -> str:
    """A rate in the first minutes and after them; once, where heat takes nothing of it."""
    after = "" if hot.low == first else f" first, {_span(hot)} hot"
    return f"{_number(first)} tokens/s{after}"


def _when(one: Handheld) -> str:
    """That energy is of a hot device, where heat makes a difference."""
    return "" if one.hot_answer_rate.low == one.answer_rate else ", hot"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000.0 else f"{value:.3g}"


def _span(span: Span) -> str:
    low, high = _number(span.low), _number(span.high)
    return low if low == high else f"{low} to {high}"


def offload_lines(other: Offload) -> list[str]:
    """What sending the question to a cluster would take instead."""
    up, down = other.up / 1e3, other.down / 1e3
    sent = f"{up:,.1f} kB of text up, {down:,.1f} kB down; on the device all of it stays"
    first = f"{format_time(other.first)}, of which {format_time(other.round_trip)} on the way"
    radio, own = _span(other.radio_energy), _span(other.own_energy)
    lines = [
        f"Sent to {other.model} on {other.accelerators} instead, when others ask too:",
        f"  sent         {sent}",
        f"  first token  {first}; by the device {format_time(other.own_first)}",
        f"  whole answer {format_time(other.whole)}; by the device {format_time(other.own_whole)}",
        f"  energy       {radio} J of a phone's radio; {own} J if the device answers itself",
    ]
    if other.assumed:
        lines += fold("  assumed      " + "; ".join(other.assumed), 15)
    if other.energy is not None:
        lines.append(f"  cluster      {other.energy:,.3g} J an answer")
    if other.cost is not None:
        lines.append(f"  cost         ${1000.0 * other.cost:,.3g} a thousand answers")
    return lines
