"""Why answers take longer than planned: each cause one function of what is known.

Times are seconds of one request: to its first token, and to all tokens that follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from clusterwright.observe.against_serving import (
    ServedAsRun,
    per_token,
    request_time,
    statistic,
)
from clusterwright.observe.findings import Finding, ranked
from clusterwright.observe.records import ServingRun
from clusterwright.records import Record
from clusterwright.serving.plan import ServingEstimate
from clusterwright.units import format_time

LEAST = 0.03
"""Differences of less than this share of a request's time are not named."""
OFTEN = 0.01
"""Share of requests from which preemptions count."""
FALLS_BEHIND = 0.95
"""Answered over offered requests, below which a queue grows."""


class ServingCase(Record, frozen=True, kw_only=True):
    """A run under load, with what is expected of it if there is a plan."""

    run: ServingRun
    target: ServedAsRun | None = None

    @property
    def scale(self) -> float:
        """What shares are of: a planned request, or a measured one. [s]"""
        if self.target is not None:
            return request_time(self.target)
        whole = self.run.latency.mean
        if math.isfinite(whole):
            return whole
        tokens = self.run.output if math.isfinite(self.run.output) else 1.0
        first = self.run.ttft.mean if math.isfinite(self.run.ttft.mean) else 0.0
        return first + max(0.0, tokens - 1.0) * per_token(self.run).mean

    @property
    def tokens(self) -> float:
        """Tokens of an answer after the first."""
        if self.target is not None:
            return max(0.0, self.target.workload.output - 1.0)
        return max(0.0, self.run.output - 1.0)

    @property
    def offered(self) -> float:
        """Requests a second, where they come at a rate; nan: users wait for their answers."""
        return self.run.rate if 0.0 < self.run.rate < 1e6 else math.nan

    @property
    def overloaded(self) -> bool:
        """Whether more requests come than are answered, or could be."""
        if self.run.served < FALLS_BEHIND * self.offered and not self.run.most_users < self.offered:
            return True
        if self.target is None:
            return False
        return self.offered > self.target.reuse.saturation

    @property
    def preempted(self) -> float:
        """Share of requests that were sent back for want of room. [1]"""
        share = self.run.preemptions / self.run.requests if self.run.requests > 0 else math.nan
        return share if math.isfinite(share) else 0.0


Cause = Callable[[ServingCase], Finding | None]


def causes_of(case: ServingCase) -> tuple[Finding, ...]:
    """All causes that something speaks for, largest first."""
    found = [one for one in (cause(case) for cause in CAUSES) if one is not None]
    return ranked([one for one in found if not math.isfinite(one.time) or one.share >= LEAST])


def _spent(one: ServingEstimate, tokens: float) -> float:
    """Time of a request by an estimate. [s]"""
    return one.ttft.mean + tokens * one.tpot.mean


def _finding(  # noqa: PLR0917 - causes read as rows of a table
    case: ServingCase, cause: str, title: str, time: float, evidence: str, advice: str, sure: str
) -> Finding:
    return Finding(
        cause=cause, title=title, time=time, share=time / case.scale, evidence=evidence,
        advice=advice, sure=sure,  # type: ignore[arg-type]
    )  # fmt: skip


def lengths(case: ServingCase) -> Finding | None:
    """Prompts or answers are longer than planned."""
    target = case.target
    if target is None:
        return None
    unlike = [said for said in target.unlike if said.startswith(("prompt", "output"))]
    before = request_time(target)
    more = _spent(target.lengths, case.tokens) - before
    if not unlike or more <= 0.0:
        return None
    return _finding(
        case, "lengths", "longer prompts or answers than planned", more,
        f"{' and '.join(unlike)}: {format_time(before + more)} a request is expected of that, and "
        f"{format_time(before)} was planned",
        "plan again with --input and --output as they are, or with a trace of real requests "
        "(--trace)", "strong",
    )  # fmt: skip


def prefix(case: ServingCase) -> Finding | None:
    """Less of the prompts is in the cache than planned."""
    target, run = case.target, case.run
    if target is None or target.reuse == target.lengths:
        return None
    more = _spent(target.reuse, case.tokens) - _spent(target.lengths, case.tokens)
    first, usual = statistic(run.ttft, target.lengths.ttft)
    if math.isfinite(first):
        more = max(more, min(first - usual, case.scale))
    return _finding(
        case, "prefix", "the prefix cache misses", more,
        f"{run.reused:.0%} of prompts' tokens were in a cache, {target.planned.reused:.0%} were "
        f"planned to be",
        "send requests that begin alike to the same replica (prefix-aware routing); put what "
        "varies, such as dates and names, at the end of the instructions; see that prefix caching "
        "is on", "strong",
    )  # fmt: skip


def queueing(case: ServingCase) -> Finding | None:
    """More requests come than are answered: they wait."""
    target, run = case.target, case.run
    waited = run.queue_time if math.isfinite(run.queue_time) else math.nan
    if not case.overloaded:
        small = not waited > LEAST * case.scale
        return None if small else _waiting(case, waited)
    first = run.ttft.mean if math.isfinite(run.ttft.mean) else run.ttft.p50
    usual = target.reuse.ttft.mean if target else 0.0
    more = waited if math.isfinite(waited) else first - usual
    evidence = f"{case.offered:,.3g} requests/s come"
    if math.isfinite(run.served):
        evidence += f", {run.served:,.3g} are answered"
    if target is not None:
        evidence += f"; queues grow beyond {target.reuse.saturation:,.3g}"
    if run.waiting > 0.0:
        evidence += f"; {run.waiting:,.0f} requests were waiting"
    return _finding(
        case, "queueing", "queueing: more requests than can be answered", more,
        f"{evidence}; the first token takes {format_time(first)}",
        "more replicas, or admit fewer requests; clusterwright plan serve --rate says how many "
        "replicas a rate takes", "strong",
    )  # fmt: skip


def _waiting(case: ServingCase, waited: float) -> Finding | None:
    """Requests wait although the mean load is one that can be answered."""
    if case.preempted > OFTEN:
        return None
    return _finding(
        case, "queueing", "queueing: requests wait before they are begun", waited,
        f"a request waits {format_time(waited)} on average; {case.run.waiting:,.0f} were waiting "
        f"when the engine was asked",
        "see whether requests come in bursts or a limit (--max-num-seqs, --max-running-requests) "
        "is low; more replicas", "some",
    )  # fmt: skip


def load(case: ServingCase) -> Finding | None:
    """Another load than planned, which replicas still keep up with."""
    target = case.target
    if target is None or case.overloaded or target.expected == target.reuse:
        return None
    unlike = [said for said in target.unlike if said.startswith(tuple("0123456789"))]
    more = _spent(target.expected, case.tokens) - _spent(target.reuse, case.tokens)
    if more <= 0.0:
        return None
    return _finding(
        case, "load", "another load than planned", more,
        f"{' and '.join(unlike)}: that alone takes {format_time(more)} a request more",
        "plan for the load that there is (--rate), or measure at the planned one "
        "(--request-rate)", "strong",
    )  # fmt: skip


def preemptions(case: ServingCase) -> Finding | None:
    """The cache is full: requests are sent back and begun again."""
    target, run = case.target, case.run
    usual = target.planned.preempted if target else 0.0
    if case.preempted - usual <= OFTEN:
        return None
    more = _decode_excess(case)
    full = f"; the cache is {run.cache_use:.0%} full" if math.isfinite(run.cache_use) else ""
    return _finding(
        case, "preemptions", "the cache is full, requests are preempted",
        more if more > 0.0 else math.nan,
        f"{run.preemptions:,.0f} preemptions for {run.requests:,.0f} requests{full}",
        "a larger share of memory for the cache (--gpu-memory-utilization), fewer sequences "
        "at once (--max-num-seqs), an fp8 cache, or more accelerators a replica",
        "some",
    )  # fmt: skip


def _decode_excess(case: ServingCase) -> float:
    """Seconds of a request that tokens take beyond what is expected of the load; nan: no plan."""
    if case.target is None:
        return math.nan
    measured, usual = statistic(per_token(case.run), case.target.expected.tpot)
    return case.tokens * (measured - usual)


def decode(case: ServingCase) -> Finding | None:
    """Each token takes longer than the load explains."""
    target = case.target
    more = _decode_excess(case)
    if target is None or not more > 0.0 or case.preempted - target.planned.preempted > OFTEN:
        return None
    measured, usual = statistic(per_token(case.run), target.expected.tpot)
    high = next((one.high for one in target.expected.intervals if one.sort.startswith("TPOT")), 1.0)
    unsure = measured < usual * high
    within = "; the plan is no surer than that" if unsure else ""
    return _finding(
        case, "decode", "slow decoding steps", more,
        f"a token takes {format_time(measured)}, {format_time(usual)} is expected of this load"
        f"{within}",
        "see that CUDA graphs are on (no --enforce-eager), which attention backend and which "
        "format of weights runs; compare clocks and power limit; a trace of the PyTorch profiler "
        "shows the kernels", "little" if unsure else "strong",
    )  # fmt: skip


def prefill(case: ServingCase) -> Finding | None:
    """The first token takes longer than load and queue explain."""
    target, run = case.target, case.run
    if target is None or case.overloaded or target.reuse != target.lengths:
        return None
    measured, usual = statistic(run.ttft, target.expected.ttft)
    waited = run.queue_time if math.isfinite(run.queue_time) else 0.0
    more = measured - usual - max(0.0, waited)
    high = next((one.high for one in target.expected.intervals if one.sort == "TTFT"), 1.0)
    unsure = measured < usual * high
    if not more > 0.0:
        return None
    return _finding(
        case, "prefill", "slow first token", more,
        f"the first token takes {format_time(measured)}, {format_time(usual)} is expected of this "
        f"load" + ("; the plan is no surer than that" if unsure else ""),
        "see whether requests come in bursts, how many tokens a step may hold "
        "(--max-num-batched-tokens), and what the front end takes (tokenizer, templates)",
        "little" if unsure else "some",
    )  # fmt: skip


def failed(case: ServingCase) -> Finding | None:
    """Requests that were not answered."""
    if not case.run.failed > 0.0:
        return None
    return _finding(
        case, "failed", "requests failed", math.nan,
        f"{case.run.failed:,.0f} requests failed, {case.run.requests:,.0f} were answered",
        "the engine's log says why: timeouts, prompts beyond the longest, memory", "strong",
    )  # fmt: skip


CAUSES: tuple[Cause, ...] = (
    lengths, prefix, queueing, load, preemptions, decode, prefill, failed,
)  # fmt: skip
