"""Requests of benchmarks and of users, made or drawn: lengths, arrivals, closed loops."""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.engines.requests.simulator import Traffic

Array = Any


def lengths(mean: float, count: int, *, spread: float, random: np.random.Generator) -> Array:
    """Whole lengths, evenly drawn from ``[(1 - spread) L, L]`` so that their mean is as asked.

    ``spread``: 0 gives all the same. [1]
    """
    if spread <= 0.0:
        return np.full(count, max(1, round(mean)))
    longest = mean / (1.0 - 0.5 * spread)
    drawn = random.uniform((1.0 - spread) * longest, longest, count)
    return np.maximum(1, np.round(drawn)).astype(np.int64)


def closed_loop(
    users: int,
    prompt: float,
    output: float,
    *,
    requests: int,
    spread: float = 0.0,
    entry: float = 0.0,
    seed: int = 0,
) -> Traffic:
    """Users that all start at once and send the next request when the last is answered."""
    random = np.random.default_rng(seed)
    return Traffic(
        arrival=np.zeros(requests),
        prompt=lengths(prompt, requests, spread=spread, random=random),
        output=lengths(output, requests, spread=spread, random=random),
        users=min(users, requests),
        entry=entry,
    )


def burst(requests: int, prompt: float, output: float, *, spread: float = 0.0) -> Traffic:
    """All requests at once, as offline benchmarks send them."""
    return closed_loop(0, prompt, output, requests=requests, spread=spread)


def poisson(
    rate: float,
    prompt: float,
    output: float,
    *,
    requests: int,
    spread: float = 0.0,
    entry: float = 0.0,
    seed: int = 0,
) -> Traffic:
    """Arrivals that know nothing of each other, at a mean rate. [1/s]"""
    random = np.random.default_rng(seed)
    return Traffic(
        arrival=np.cumsum(random.exponential(1.0 / rate, requests)),
        prompt=lengths(prompt, requests, spread=spread, random=random),
        output=lengths(output, requests, spread=spread, random=random),
        entry=entry,
    )
