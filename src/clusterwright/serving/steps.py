"""Steps of a deployment as tables for the request engine, and the replica that takes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from clusterwright.engines.requests.simulator import ReplicaKind, StepTimes
from clusterwright.inference import Correction, InferenceEngine
from clusterwright.serving.capacity import Memory
from clusterwright.serving.layers import (
    Served,
    attention_costs,
    head_costs,
    lane_costs,
    prefill_costs,
    whole_costs,
)

Array = Any

TOKENS = np.array(
    [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048,
     3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 65536, 131072, 524288, 2097152],
    dtype=float,
)  # fmt: skip
MOST_SEQUENCES = 4096.0
CONTEXT = 2.0 ** np.arange(4, 19)
LENGTH = np.concatenate([[1.0], 2.0 ** np.arange(5, 19)])


@dataclass(frozen=True, eq=False)
class DeviceTimes:
    """What steps take on the device, before the host and what was fitted of an engine. [s]

    ``lane``, ``whole``: over `TOKENS`; ``rows``: grid of sequences; ``alone``: a step that only
    decodes, without attention; ``head``: last layer; ``attention``: (rows, `CONTEXT`);
    ``prefill``: over `LENGTH`. ``kernels``: launched in a pass. ``lanes``: parts of the batch.
    """

    lane: Array
    whole: Array
    rows: Array
    alone: Array
    head: Array
    attention: Array
    prefill: Array
    kernels: float
    lanes: int


def device_times(served: Served, drafter: Served | None = None) -> DeviceTimes:
    """Evaluate every kernel and collective of a deployment, over all grids at once.

    ``drafter``: what proposes tokens, one after another before each step, and sees all prompts.
    """
    deployment = served.deployment
    lanes = deployment.lanes
    width = 1 + deployment.drafted
    rows = _rows(lanes)
    lane, whole, head = (
        lane_costs(served, TOKENS),
        whole_costs(served, TOKENS),
        head_costs(served, rows),
    )
    alone = lane_costs(served, np.maximum(1.0, rows * width / lanes)).total
    alone = alone + whole_costs(served, rows * width).total
    alone = alone + (head_costs(served, rows * width).total if width > 1 else head.total)
    batch, context = np.meshgrid(rows, CONTEXT, indexing="ij")
    attention = attention_costs(served, batch.ravel(), context.ravel()).reshape(batch.shape)
    found = DeviceTimes(
        lane=lane.total,
        whole=whole.total,
        rows=rows,
        alone=alone,
        head=head.total,
        attention=attention,
        prefill=prefill_costs(served, LENGTH),
        kernels=lane.kernels + whole.kernels + head.kernels,
        lanes=lanes,
    )
    return found if drafter is None else _with_drafts(found, device_times(drafter), width - 1)


def _with_drafts(steps: DeviceTimes, drafts: DeviceTimes, drafted: int) -> DeviceTimes:
    """Steps before each of which a drafter decodes so many times."""
    return replace(
        steps,
        lane=steps.lane + drafts.lane,
        whole=steps.whole + drafts.whole,
        alone=steps.alone + drafted * drafts.alone,
        attention=steps.attention + drafted * drafts.attention,
        prefill=steps.prefill + drafts.prefill,
        kernels=steps.kernels + drafted * drafts.kernels,
    )


def step_times(device: DeviceTimes, engine: InferenceEngine, fitted: Correction) -> StepTimes:
    """Tables of steps as an engine takes them: corrected, launched, with its host's time. [s]"""
    launched = engine.launch_time * device.kernels
    decode, prompt = fitted.decode, fitted.prompt
    replayed = decode * device.alone
    eager = np.maximum(replayed, launched)
    in_graph = device.rows / device.lanes <= engine.graph_rows
    alone = np.where(in_graph, replayed, eager)
    attention = decode * device.attention
    if engine.graph_context:
        beyond = engine.graph_context < CONTEXT
        attention = attention + np.where(beyond, (eager - alone)[:, None], 0.0)
    host = engine.sequence_time * device.rows
    start = device.prefill[0]
    lane = np.maximum(prompt * (device.lane + start), launched) + engine.step_time
    return StepTimes(
        tokens=TOKENS,
        lane=lane,
        whole=prompt * device.whole,
        rows=device.rows,
        decode=alone + engine.step_time + host,
        head=prompt * device.head + host,
        context=CONTEXT,
        attention=attention,
        length=LENGTH,
        prefill=prompt * np.maximum(0.0, device.prefill - start),
    )


def replica_of(
    served: Served, device: DeviceTimes, memory: Memory, *, count: int = 1
) -> ReplicaKind:
    """A replica of the deployment for the request engine.

    Parameters
    ----------
    served
        Model, engine and deployment.
    device
        What its steps take on the device.
    memory
        What fits beside its weights.
    count
        How many there are.
    """
    deployment, engine = served.deployment, served.engine
    fitted = engine.correction(
        profile=served.kernels.profile.id,
        accelerator=served.kernels.accelerator.id,
        weights=served.expert_weights.id,
    )
    return ReplicaKind(
        times=step_times(device, engine, fitted),
        count=count,
        lanes=deployment.lanes,
        depth=deployment.pp,
        budget=deployment.budget or engine.budget,
        most=(deployment.most or engine.most) * deployment.dp,
        blocks=float(memory.blocks),
        block=engine.block,
        mixed=engine.mixed,
        chunked=engine.chunked,
        promise=engine.promise,
        reuse=engine.reuse,
        gain=1.0 + deployment.accepted,
        width=1 + deployment.drafted,
        poll=engine.poll_steps,
        patience=engine.wait_steps,
        enough=round(engine.wait_share * (deployment.budget or engine.budget)),
    )


def _rows(lanes: int) -> Array:
    grid = TOKENS[TOKENS <= MOST_SEQUENCES]
    if lanes == 1:
        return grid
    return np.unique(np.concatenate([[1.0], grid * lanes]))
