"""Requests drawn for a load: lengths, arrivals, common beginnings; the same for all deployments."""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.engines.requests.simulator import ReplicaKind, Traffic
from clusterwright.workload import ServingWorkload

Array = Any

TURNS = 20
"""Requests of each user who waits for answers."""
SEED = 7
TAIL = 3.0
"""Standard deviations above the mean at which drawn lengths end. [1]"""


def drawn(mean: float, spread: float, count: int, random: np.random.Generator) -> Array:
    """Whole lengths of a mean and a spread: all the same, or log-normal, none beyond `TAIL`."""
    if spread <= 0.0:
        return np.full(count, max(1, round(mean)))
    variance = np.log1p(spread**2)
    values = random.lognormal(np.log(mean) - 0.5 * variance, np.sqrt(variance), count)
    return np.clip(np.round(values), 1, mean * (1.0 + TAIL * spread)).astype(np.int64)


def traffic_of(
    job: ServingWorkload, count: int, rate: float, *, entry: float, block: int
) -> Traffic:
    """So many requests at a mean rate; the same seed, so that deployments face the same.

    ``block``: tokens of a block of the cache, to whole ones of which beginnings are shared.
    """
    random = np.random.default_rng(SEED)
    count = max(count, TURNS * job.users)
    gaps = random.exponential(1.0, count)
    own = job.prompt - job.prefix
    prompt = drawn(own, job.prompt_spread * job.prompt / own, count, random) + round(job.prefix)
    shared = block * int(job.prefix // block)
    return Traffic(
        arrival=0.0 * gaps if job.users else np.cumsum(gaps) / rate,
        prompt=prompt,
        output=drawn(job.output, job.output_spread, count, random),
        users=job.users,
        entry=entry,
        hash_start=np.arange(count + 1) if shared else None,
        hash_ids=np.zeros(count, dtype=np.int64) if shared else None,
        hash_tokens=shared,
    )


def longest(job: ServingWorkload) -> float:
    """Tokens of the longest request that is drawn, its answer included."""
    return job.prompt * (1.0 + TAIL * job.prompt_spread) + job.output * (
        1.0 + TAIL * job.output_spread
    )


def reused_tokens(kind: ReplicaKind, job: ServingWorkload) -> float:
    """Tokens of a prompt that a replica has from others."""
    return kind.block * (job.prefix // kind.block) if kind.reuse else 0.0
