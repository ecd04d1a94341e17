"""A plan for serving as exporters need it: each pool's replicas on their hosts."""

from __future__ import annotations

import math
from importlib import import_module

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.inference import Deployment
from clusterwright.launch.job import DEVICES
from clusterwright.launch.records import Options, Part
from clusterwright.planner_serving import server_of
from clusterwright.records import Record
from clusterwright.serving.capacity import Memory
from clusterwright.serving.loads import longest
from clusterwright.serving.plan import ServingPlan, ServingQuestion
from clusterwright.serving.server import Pool, Server
from clusterwright.site.machine import host_size

BLOCK = 64
"""Tokens to whole ones of which the room for a request is rounded."""
SPREAD = 4.0
"""Standard deviations over the mean that the longest request is taken to be."""


class Replica(Record, frozen=True, kw_only=True):
    """One replica of a pool: how it is cut, over which hosts, what it must have room for.

    ``hosts`` of ``per_host`` accelerators. ``longest``: tokens of the longest request, prompt and
    answer. ``memory``: what each accelerator holds.
    """

    plan: ServingPlan
    pool: Pool
    hosts: int
    per_host: int
    longest: int
    memory: Memory

    @property
    def question(self) -> ServingQuestion:
        """What was asked."""
        return self.plan.question

    @property
    def deployment(self) -> Deployment:
        """How the model is cut and in which formats it runs."""
        return self.pool.deployment


def serving_parts(
    plan: ServingPlan, module: str, options: Options, catalogue: Catalogue
) -> tuple[Part, ...]:
    """One part for each pool of the plan's best.

    Raises
    ------
    InputError
        A replica does not fill its hosts, or the tool cannot run it.
    """
    program = import_module(module).program
    cluster = plan.question.cluster
    size = options.per_host or host_size(cluster, catalogue)
    server = server_of(plan.question, catalogue)
    parts = []
    for pool in plan.best.pools:
        count = pool.deployment.accelerators
        per_host = min(count, size)
        if count % per_host:
            raise InputError(
                f"a replica of {count} accelerators does not fill hosts of {per_host}: give "
                f"--per-host a divisor of {count}"
            )
        replica = replica_of(plan, pool, server, per_host=per_host)
        parts.append(
            Part(
                name="serve" if pool.role == "both" else pool.role,
                program=program(replica),
                hosts=replica.hosts,
                per_host=per_host,
                replicas=pool.count,
                device=DEVICES.get(cluster.accelerator.vendor, "gpu"),
                whole=per_host == size,
            )
        )
    return tuple(parts)


def replica_of(plan: ServingPlan, pool: Pool, server: Server, *, per_host: int) -> Replica:
    """One replica of a pool, with so many accelerators in each host."""
    memory = server.memory(pool.deployment, longest(plan.question.workload))
    return Replica(
        plan=plan,
        pool=pool,
        hosts=pool.deployment.accelerators // per_host,
        per_host=per_host,
        longest=longest_request(plan.question, memory.cache_tokens / pool.deployment.dp),
        memory=memory,
    )


def longest_request(question: ServingQuestion, room: float) -> int:
    """Tokens of the longest request to make room for.

    The next power of two beyond `SPREAD`, no more than the model takes, nor than there is room for
    in one rank's cache: engines refuse to start where their longest request would not fit.
    """
    load = question.workload
    prompt = load.prompt * (1.0 + SPREAD * load.prompt_spread)
    output = load.output * (1.0 + SPREAD * load.output_spread)
    wanted = int(2 ** math.ceil(math.log2(max(2.0, prompt + output))))
    roomy = max(math.ceil(longest(load)), min(wanted, math.floor(room / BLOCK) * BLOCK))
    return min(roomy, question.model.max_positions or roomy)
