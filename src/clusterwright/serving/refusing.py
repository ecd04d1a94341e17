"""Why a search finds nothing: what is reachable at best, and what binds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from clusterwright.errors import InfeasibleError
from clusterwright.inference import Deployment
from clusterwright.serving.loads import longest
from clusterwright.serving.plan import ServingQuestion
from clusterwright.serving.server import Pool, Server
from clusterwright.serving.steady import Steady
from clusterwright.units import format_time
from clusterwright.workload import ServingWorkload


def refuse_count(least: int, question: ServingQuestion, words: str) -> NoReturn:
    """Say that there are too few accelerators."""
    raise InfeasibleError(
        f"what keeps the promise takes {least:,} accelerators {words}, but there are "
        f"{question.cluster.count:,}: take more, or promise less"
    )


def refuse_size(question: ServingQuestion, server: Server, refused: Deployment | None) -> NoReturn:
    """Say that the model fits nowhere, by the largest deployment tried."""
    if refused is None:
        raise InfeasibleError(f"no way to cut {question.model.name} over this machine is known")
    pool = Pool(role="both", deployment=refused)
    server.replica(pool, longest(question.workload))
    raise InfeasibleError(f"{question.model.name} does not fit this machine")


def refuse_promise(
    points: Sequence[tuple[Deployment, Steady]], question: ServingQuestion, planned: ServingWorkload
) -> NoReturn:
    """Say what is the best that can be promised, and which promise binds."""
    job = question.workload
    quickest = min(float(np.min(state.step)) for _, state in points)
    first = min(float(np.min(state.prompt_time)) for _, state in points)
    if job.tpot and planned.tpot and quickest > planned.tpot:
        best = format_time(quickest * job.tpot / planned.tpot)
        raise InfeasibleError(
            f"no deployment gives a token every {format_time(job.tpot)}: the best reachable is "
            f"{best}, for one user alone{_room_words(job.tpot / planned.tpot)}; promise that, or "
            f"take narrower weights or a faster accelerator"
        )
    if job.ttft and planned.ttft and first > planned.ttft:
        best = format_time(first * job.ttft / planned.ttft)
        raise InfeasibleError(
            f"no deployment gives the first token within {format_time(job.ttft)}: a prompt of "
            f"{job.prompt:,.0f} tokens takes {best} at best{_room_words(job.ttft / planned.ttft)}; "
            f"promise that, or take a faster accelerator"
        )
    asked = {"a first token within": job.ttft, "one every": job.tpot}
    promises = [f"{name} {format_time(limit)}" for name, limit in asked.items() if limit]
    both = " (each can be kept alone)" if len(promises) > 1 else ""
    raise InfeasibleError(
        f"no deployment keeps {' and '.join(promises)} for {job.percentile:g} % of requests that "
        f"arrive at random{both}; promise it later, or to fewer"
    )


def _room_words(end: float) -> str:
    """That a time is not the predicted one but has room for its error."""
    return (
        f" (nine in ten runs alike keep it, {end:.2f} times the prediction)" if end != 1.0 else ""
    )
