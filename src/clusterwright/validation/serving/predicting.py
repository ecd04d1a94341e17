"""What the model says of a published serving run, in the run's own metric and unit."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import msgspec
import numpy as np

from clusterwright.engines.compiled import has_numba
from clusterwright.engines.requests.simulator import Played, ReplicaKind, Traffic, play_requests
from clusterwright.errors import InputError
from clusterwright.serving.server import Pool, Server
from clusterwright.serving.steady import decode_step, prompt_time
from clusterwright.validation.serving.questions import ServeLookup, ServeQuestion
from clusterwright.validation.serving.rows import PER_TOKEN, PROMPT_METRICS, ServeRun
from clusterwright.validation.serving.traffic import burst, closed_loop, poisson

Array = Any

UNKNOWN_PROMPT = 250.0
"""Tokens of a prompt whose length was not published but is known to be short."""
WAVES = 10
SETTLING = 3
"""Rounds of users until a load has settled: one to spread them, two to be sure."""
OUTPUT_SPREAD = 0.7
"""Standard deviation of answers' lengths over their mean, where models reason: assumed. [1]"""
IN_FLIGHT = math.sqrt(4.0 / 3.0 * (1.0 + OUTPUT_SPREAD**2) - 1.0)
"""Standard deviation over the mean of what sequences at work have answered so far, at an even
place in answers that are log-normal and met in proportion to their length. [1]"""
MOST_PROMPTS = 1000
"""A larger batch of prompts alone counts tokens, not prompts."""
STEADY_METRICS = ("tpot_ms", "itl_ms", "decode_tokens_per_s", "output_tokens_per_s")
"""What a batch that stays as it is tells; the rest is played."""
MOST_REQUESTS = 20_000
ASKED = re.compile(r"(?:^|[;,:]) *(\d+) (?:random )?(?:prompts|requests)\b(?! per)")
"""Requests of a whole run, as notes say it."""
POISSON_REQUESTS = 1000
NODE = 8
TIGHT = 0.97
"""Share of the memory for deployments that would not fit by the engine's defaults. [1]"""
SPREAD = 0.2
"""Random lengths of InferenceX and ATOM: evenly from 0.8 of the nominal one to all of it."""


COMPILED = re.compile(r"context length (\d+)")
"""Context that a model was compiled for, in the notes of a run."""


DEPTH = re.compile(r"at context depth ([1-9]\d*) ")
"""Tokens that were in the cache before a prompt, in the notes of a run."""


class Predictor:
    """Predicts runs; what many rows share is built once."""

    def __init__(self, known: ServeLookup) -> None:
        self.known = known
        self._played: dict[tuple[Any, ...], Played] = {}

    def forget(self) -> None:
        """Forget what was played, which an engine that changed may not have again."""
        self._played.clear()

    def predict(self, run: ServeRun, question: ServeQuestion) -> float:
        """The run's metric, in its unit.

        Raises
        ------
        ClusterwrightError
            What stops the deployment: it does not fit, or a figure is missing.
        """
        prompt, output, _ = lengths = lengths_of(
            run,
            spread=question.spread,
            unknown=question.prompt or UNKNOWN_PROMPT,
            whole_context=question.engine.whole_context,
        )
        if "decode only" in run.scenario and run.measured_metric in PROMPT_METRICS:
            raise InputError("decoding alone says nothing of prompts")
        depth = DEPTH.search(run.notes)
        if depth and run.measured_metric == "prefill_tokens_per_s":
            return self._beyond(run, question, float(depth[1]))
        kinds = self.kinds(question, prompt + output)
        steady = "steady state" in run.scenario or "decode only" in run.scenario
        if steady and len(kinds) == 1 and run.measured_metric in STEADY_METRICS and run.batch:
            return _steady(run, kinds[0], prompt, output)
        if (
            "prefill only" in run.scenario
            and kinds[0].lanes > 1
            and (run.batch or 0) > MOST_PROMPTS
        ):
            return _prompts(run, kinds[0], prompt)
        asked = question.requests or asked_of(run)
        key = (
            question.model.name,
            question.cluster.accelerator.name,
            question.engine,
            str(question.pools),
            run.scenario,
            run.batch_or_concurrency,
            run.request_rate,
            lengths,
            asked,
        )
        if key not in self._played:
            traffic = traffic_of(run, kinds, lengths, question.engine.entry_time, asked)
            self._played[key] = play_requests(traffic, kinds, compile_loop=has_numba())
        played = self._played[key]
        if question.settled:
            return metric_of(run, *settled_part(played, run.batch or 1), prompt)
        return metric_of(run, played, played.duration, prompt)

    def _beyond(self, run: ServeRun, question: ServeQuestion, depth: float) -> float:
        """Rate at which a prompt is taken that goes on from where an earlier one ended. [1/s]"""
        prompt = run.input_len or 0.0
        early, late = (
            length
            / self.predict(msgspec.structs.replace(run, input_len=length, notes=""), question)
            for length in (depth, depth + prompt)
        )
        return prompt / (late - early)

    def kinds(self, question: ServeQuestion, tokens: float) -> list[ReplicaKind]:
        """The question's replicas for requests of so many tokens.

        Raises
        ------
        InfeasibleError
            The model does not fit.
        """
        server = Server(question.model, question.cluster, question.engine, self.known.serving)
        return [_replica(server, pool, tokens) for pool in question.pools]


def _replica(server: Server, pool: Pool, tokens: float) -> ReplicaKind:
    memory = server.memory(pool.deployment, tokens)
    if not memory.fits or memory.cache_tokens < 2.0 * tokens:
        # Whoever ran it gave the engine more of the memory than it takes by default.
        tight = msgspec.structs.replace(pool.deployment, memory_share=TIGHT)
        pool = msgspec.structs.replace(pool, deployment=tight)
    return server.replica(pool, tokens)


def lengths_of(
    run: ServeRun,
    *,
    spread: float = 0.0,
    unknown: float = UNKNOWN_PROMPT,
    whole_context: bool = False,
) -> tuple[float, float, float]:
    """Mean prompt, mean output, and how far random lengths spread.

    The lengths of a row are the longest, unless it says that they are means.

    ``spread``, ``unknown``: the spread and the prompt where the row does not say them.
    ``whole_context``: steps attend to all that the model was compiled for, so that an unknown
    prompt is taken to fill it.
    """
    output = run.output_len if run.output_len is not None else 32.0
    compiled = COMPILED.search(run.notes) if whole_context else None
    unknown = float(compiled[1]) - output if compiled else unknown
    prompt = run.input_len if run.input_len is not None else unknown
    ratio = "[0.8" in run.notes or "range_ratio 0.8" in run.notes
    spread = SPREAD if ratio else spread
    middle = 1.0 if "are dataset means" in run.notes else 1.0 - 0.5 * spread
    return max(1.0, prompt * middle), max(1.0, output * middle), spread


def asked_of(run: ServeRun) -> int | None:
    """Requests that were sent in all, where it is said."""
    found = ASKED.search(run.notes)
    return int(found[1]) if found else None


def traffic_of(
    run: ServeRun,
    kinds: list[ReplicaKind],
    lengths: tuple[float, float, float],
    entry: float,
    asked: int | None,
) -> Traffic:
    """The load of a run's scenario; ``lengths`` as `lengths_of` has them, ``asked`` in all."""
    prompt, output, spread = lengths
    batch = run.batch or 1
    scenario = run.scenario
    if "closed-loop" in scenario or "steady state" in scenario:
        count = asked or int(min(max(WAVES * batch, 10), max(MOST_REQUESTS, 3 * batch)))
        return closed_loop(batch, prompt, output, requests=count, spread=spread, entry=entry)
    if "Poisson" in scenario:
        if not run.request_rate:
            raise InputError("an open loop without its rate")
        count = asked or POISSON_REQUESTS
        return poisson(run.request_rate, prompt, output, requests=count, spread=spread, entry=entry)
    if "max throughput" in scenario or "burst" in scenario:
        if run.batch is not None and run.batch > 1:
            return burst(max(asked or run.batch, 4), prompt, output)
        at_once = min(kinds[0].most, kinds[0].blocks * kinds[0].block / (prompt + output))
        count = int(np.clip(4.0 * at_once, 64, 6000)) * kinds[0].count
        return burst(count, prompt, output)
    if "prefill only" in scenario:
        return burst(batch, prompt, 1.0)
    if "single-stream" in scenario:
        return closed_loop(batch, prompt, output, requests=batch * 2, entry=entry * 0.2)
    return burst(batch, prompt, max(2.0, output))


def settled_part(played: Played, users: int) -> tuple[Played, float]:
    """What ended while all users were at work, the first rounds left out, and how long it took [s].

    Clients that measure in windows see no burst of first prompts, and nobody leaving.
    """
    end = float(played.sent.max())
    begin = float(np.sort(played.sent)[min(SETTLING * users, len(played.sent) - 2)])
    inside = (played.finish > begin) & (played.finish <= end)
    of_requests = ("sent", "first", "finish", "prompt", "output")
    parts = {name: getattr(played, name)[inside] for name in of_requests}
    return replace(played, **parts), end - begin


def metric_of(run: ServeRun, played: Played, duration: float, prompt: float) -> float:
    """A run's metric of what was played in a time [s], in its unit and per what it counts."""
    metric = run.measured_metric
    output = played.output.astype(float)
    if metric == "ttft_ms":
        return 1e3 * statistic(played.ttft, run.percentile)
    if metric == "tpot_ms":
        return 1e3 * statistic(played.tpot, run.percentile)
    if metric == "itl_ms":
        if run.percentile in ("", "mean"):
            return 1e3 * float((played.finish - played.first).sum() / (output - 1.0).sum())
        return 1e3 * statistic(played.tpot, run.percentile)
    if metric == "e2e_latency_ms":
        return 1e3 * statistic(played.finish - played.sent, run.percentile)
    if metric == "output_tokens_per_s":
        rate = output.sum() / duration
    elif metric == "total_tokens_per_s":
        rate = (output.sum() + prompt * len(output)) / duration
    elif metric == "requests_per_s":
        rate = len(output) / duration
    elif metric == "prefill_tokens_per_s":
        rate = prompt * len(output) / float(played.first.max() - played.sent.min())
    else:
        rate = (output - 1.0).sum() / decoding_time(played.first, played.finish)
    return shared(run, float(rate), len(output))


def decoding_time(first: Array, finish: Array) -> float:
    """Time in which some request was between its first token and its last. [s]

    >>> decoding_time(np.array([0.0, 1.0, 5.0]), np.array([2.0, 3.0, 6.0]))
    4.0
    """
    order = np.argsort(first)
    ends = np.maximum.accumulate(finish[order])
    starts = np.maximum(first[order], np.concatenate([[-np.inf], ends[:-1]]))
    return float(np.maximum(0.0, ends - starts).sum())


def shared(run: ServeRun, rate: float, batch: int) -> float:
    """A rate of the whole system as the row counts it."""
    if run.per == "accelerator":
        return rate / run.n_accel
    if run.per == "node":
        return rate / run.n_accel * NODE
    if run.per in ("user", "stream"):
        return rate / max(1, run.batch or batch)
    return rate


def statistic(values: Array, percentile: str) -> float:
    """A mean, or a percentile such as p99.

    Raises
    ------
    InputError
        There is no value: answers of one token have no time per token.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        raise InputError("answers of one token have no time per token after the first")
    if percentile == "median":
        return float(np.median(known))
    if percentile.startswith("p"):
        return float(np.percentile(known, float(percentile[1:])))
    return float(np.mean(known))


def _steady(run: ServeRun, kind: ReplicaKind, prompt: float, output: float) -> float:
    """A server whose batch stays as it is: steps of decoding, some with prompts among them."""
    batch = float(run.batch_or_concurrency) / kind.count
    only = "decode only" in run.scenario
    level = None if only else level_of(run.percentile)
    # Of the sequences at work the long ones are more: the mean context is above the half.
    mean = 0.5 * output * (1.0 if only else 1.0 + OUTPUT_SPREAD**2)
    spread = 0.0 if level is None else NormalDist().inv_cdf(level) * IN_FLIGHT / math.sqrt(batch)
    context = prompt + mean * (1.0 + spread)
    step = float(decode_step(kind, np.array(batch), context))
    if only:
        if run.measured_metric in PER_TOKEN:
            return 1e3 * step
        return shared(run, kind.count * batch / step, round(kind.count * batch))
    at_work = np.array([batch])
    prompts = float(prompt_time(kind, at_work, prompt, np.array([step]))[0])
    share = batch / output
    if run.measured_metric in PER_TOKEN:
        among = share if level is None else arrivals_at(share, level)
        return 1e3 * (step + among * prompts)
    rate = kind.count * batch / (step + share * prompts)
    return shared(run, rate, round(kind.count * batch))


def level_of(percentile: str) -> float | None:
    """The share of values below a percentile; none for a mean. [1]

    >>> level_of("p99"), level_of("median"), level_of("mean")
    (0.99, 0.5, None)
    """
    if percentile == "median":
        return 0.5
    return float(percentile[1:]) / 100.0 if percentile.startswith("p") else None


def arrivals_at(mean: float, level: float) -> int:
    """Prompts in a step at a level of all steps, where they come independently of each other.

    >>> [arrivals_at(0.5, level) for level in (0.5, 0.9, 0.99)]
    [0, 1, 3]
    """
    count, term = 0, math.exp(-mean)
    below = term
    while below < level:
        count += 1
        term *= mean / count
        below += term
    return count


def _prompts(run: ServeRun, kind: ReplicaKind, prompt: float) -> float:
    """Tokens of prompts a second where each rank is given so many tokens a step."""
    times = kind.times
    tokens = float(run.batch_or_concurrency)
    whole = np.interp(tokens * kind.lanes, times.tokens, times.whole)
    attention = tokens / prompt * np.interp(prompt, times.length, times.prefill)
    work = np.interp(tokens, times.tokens, times.lane) + whole + attention
    step = max(kind.shortest, work) + times.head[0]
    return shared(run, float(tokens * kind.lanes / step), kind.lanes)
