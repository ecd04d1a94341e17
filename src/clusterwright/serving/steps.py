"""Steps of a deployment as tables for the request engine, and the replica that takes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from clusterwright.engines.requests.simulator import ReplicaKind, StepTimes
from clusterwright.formulas.halves import halved_time
from clusterwright.inference import Correction, InferenceEngine
from clusterwright.serving.attending import attention_costs, prefill_costs
from clusterwright.serving.capacity import Memory, passed_bytes, sequence_bytes
from clusterwright.serving.layers import Served, head_costs, lane_costs, whole_costs

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
    ``read``, ``cached``: what reading the weights that all tokens pass, and the caches, takes at
    the memory's rate: no step that decodes is quicker, whatever was fitted.
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
    read: float
    cached: Array


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
    alone, attention = _decoding(served, rows, width)
    hidden = np.minimum(*_parted(served, TOKENS)) if served.overlapped else 0.0
    bandwidth = served.kernels.accelerator.memory_bandwidth or np.inf
    each = np.array([sequence_bytes(served, float(tokens)) for tokens in CONTEXT])
    found = DeviceTimes(
        lane=lane.total,
        whole=whole.total - hidden,
        rows=rows,
        alone=alone,
        head=head.total,
        attention=attention,
        prefill=prefill_costs(served, LENGTH),
        kernels=lane.kernels + whole.kernels + head.kernels,
        lanes=lanes,
        read=passed_bytes(served) / bandwidth,
        cached=np.outer(rows / lanes, each * deployment.pp / bandwidth),
    )
    return found if drafter is None else _with_drafts(found, device_times(drafter), width - 1)


def _decoding(served: Served, rows: Array, width: int) -> tuple[Array, Array]:
    """A step that only decodes, without attention (rows) and what that adds (rows, `CONTEXT`). [s]

    Where the engine works in two halves, it does so if that is quicker: small batches are not cut.
    """
    head = head_costs(served, rows * width).total
    kernels, traffic = _parted(served, rows * width)
    alone, attention = kernels + traffic + head, _attended(served, rows)
    if not served.overlapped:
        return alone, attention
    kernels, traffic = _parted(served, 0.5 * rows * width)
    apart = halved_time(kernels, traffic) + head
    seen = halved_time(kernels[:, None] + _attended(served, 0.5 * rows), traffic[:, None])
    whole = np.minimum(alone[:, None] + attention, seen + head[:, None])
    alone = np.minimum(alone, apart)
    return alone, whole - alone[:, None]


def _parted(served: Served, tokens: Array) -> tuple[Array, Array]:
    """Kernels, and traffic to the experts, of a pass of so many tokens without attention. [s]"""
    whole = whole_costs(served, tokens)
    traffic = whole.parts.get("exchange", 0.0 * tokens)
    lane = lane_costs(served, np.maximum(1.0, tokens / served.deployment.lanes)).total
    return lane + whole.total - traffic, traffic


def _attended(served: Served, rows: Array) -> Array:
    """Attention of so many sequences while decoding, (rows, `CONTEXT`). [s]"""
    batch, context = np.meshgrid(rows, CONTEXT, indexing="ij")
    return attention_costs(served, batch.ravel(), context.ravel()).reshape(batch.shape)


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
        read=steps.read + drafted * drafts.read,
        cached=steps.cached + drafted * drafts.cached,
    )


def step_times(device: DeviceTimes, engine: InferenceEngine, fitted: Correction) -> StepTimes:
    """Tables of steps as an engine takes them: corrected, launched, with its host's time. [s]"""
    launched = engine.launch_time * device.kernels
    decode, prompt = fitted.decode, fitted.prompt
    replayed = np.maximum(decode * device.alone, np.minimum(device.alone, device.read))
    eager = replayed + launched if engine.launches_itself else np.maximum(replayed, launched)
    in_graph = device.rows / device.lanes <= engine.graph_rows
    alone = np.where(in_graph, replayed, eager)
    attention = np.maximum(decode * device.attention, np.minimum(device.attention, device.cached))
    if engine.graph_context:
        beyond = engine.graph_context < CONTEXT
        attention = attention + np.where(beyond, (eager - alone)[:, None], 0.0)
    host = engine.sequence_time * device.rows
    start = device.prefill[0]
    return StepTimes(
        tokens=TOKENS,
        lane=prompt * (device.lane + start),
        whole=prompt * device.whole,
        rows=device.rows,
        decode=alone + engine.step_time + host,
        head=prompt * device.head + engine.step_time + host,
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
        shortest=engine.launch_time * device.kernels,
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
