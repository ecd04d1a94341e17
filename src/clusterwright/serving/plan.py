"""What is asked of serving, and what comes back: plain records, saved as they are."""

from __future__ import annotations

from typing import Any, Literal

from clusterwright.device import Device
from clusterwright.hardware import Cluster
from clusterwright.inference import Deployment, InferenceEngine, Service
from clusterwright.model.records import Model
from clusterwright.records import Record, Shown
from clusterwright.serving.capacity import Memory
from clusterwright.serving.handheld import Handheld, Offload
from clusterwright.serving.intervals import ServingInterval
from clusterwright.serving.server import Pool
from clusterwright.site.outlook import SiteQuestion
from clusterwright.site.service import ServiceAccount
from clusterwright.workload import ServingWorkload

Objective = Literal["cost", "energy", "accelerators", "throughput"]
Split = Literal["auto", "no", "only"]
Verdict = Literal["keeps up", "unsure", "falls behind"]


class ServingQuestion(Record, frozen=True, kw_only=True):
    """A model to serve, where, and for whom.

    ``cluster``: its ``count`` is the most that may be used. ``formats``: of dense weights and of
    experts', to choose from; ``caches``: of the cache. ``split``: whether prompts and decoding may
    have replicas of their own. ``price``: of an accelerator and hour [USD], None: not known.
    ``device``: the phone, laptop or desktop that the accelerator is in. ``service``: how replicas
    are run. ``base``: what all deployments have in common: speculation, adapters, limits of the
    engine. ``draft``: a smaller model that proposes tokens. ``config``: the ``config.json`` that
    the model was read from, which launching needs (empty: made by hand).
    """

    model: Model
    cluster: Cluster
    engine: InferenceEngine
    workload: ServingWorkload
    formats: tuple[tuple[str, str], ...]
    caches: tuple[str, ...]
    objective: Objective = "accelerators"
    split: Split = "auto"
    price: float | None = None
    device: Device | None = None
    service: Service = Service()
    base: Deployment = Deployment()
    draft: Model | None = None
    assumed: tuple[str, ...] = ()
    config: dict[str, Any] = {}


class Latency(Record, frozen=True, kw_only=True):
    """One latency over requests: mean and percentiles. [s]"""

    mean: float
    p50: float
    p90: float
    p99: float


class Part(Record, frozen=True, kw_only=True):
    """One part of a step, and its time. [s]"""

    name: str
    time: float


class ServingEstimate(Shown, frozen=True, kw_only=True):
    """What a deployment does under a load.

    ``pools``: replicas and how each is cut. ``rate``: requests a second offered to all of them,
    and ``saturation``: what they could take at most, queues growing beyond it; ``limits``: what
    80 % of runs alike could take, for as much predicted. [1/s] ``verdict``: whether the rate is
    below both limits, between them, or above, where latencies are of a queue that grows.
    ``ttft``, ``tpot``, ``latency``: to the first token, per token after it, of the whole request;
    ``itl``: between two tokens, over all tokens.
    ``output_rate``: tokens a second of all. [1/s] ``user_rate``: tokens a second that one user
    sees. [1/s] ``concurrency``: requests at once on average. ``busy``: share of time that replicas
    work. [1] ``preempted``: share of requests sent back for want of room, ``lost``: by failures;
    ``reused``: of prompts' tokens that a cache had; ``up``: of replicas that are paid for. [1]
    ``cost``: of a million output tokens [USD], ``energy``: of one [J]. ``memory``: of the pool that
    decodes. ``parts``: of a step that decodes at the mean load. ``meets``: whether what was
    promised is kept. ``intervals``: of measured over predicted, in runs alike. ``handheld``: of a
    phone, laptop or desktop, ``offload``: what sending the question to a cluster would take
    instead.
    """

    pools: tuple[Pool, ...]
    accelerators: int
    rate: float
    saturation: float
    limits: tuple[float, float]
    verdict: Verdict
    ttft: Latency
    tpot: Latency
    itl: Latency
    latency: Latency
    output_rate: float
    user_rate: float
    concurrency: float
    busy: float
    preempted: float
    lost: float
    reused: float
    up: float
    cost: float | None
    energy: float | None
    memory: Memory
    parts: tuple[Part, ...]
    meets: bool
    intervals: tuple[ServingInterval, ...] = ()
    handheld: Handheld | None = None
    offload: Offload | None = None


class FrontPoint(Record, frozen=True, kw_only=True):
    """What users and accelerators get at one point: tokens a second of each. [1/s]"""

    user_rate: float
    accelerator_rate: float
    sequences: float
    deployment: Deployment


class ServingPlan(Shown, frozen=True, kw_only=True):
    """The best way found, others, and the trade between users and accelerators.

    ``evaluated``: deployments that fit; ``refused``: that do not; ``played``: runs of the engine.
    ``account``: what the service takes, and ``site``: all that this rests on, so that a saved plan
    can be computed again with its money; None: nobody published that.
    """

    version: str
    catalogue: str
    question: ServingQuestion
    best: ServingEstimate
    alternatives: tuple[ServingEstimate, ...]
    front: tuple[FrontPoint, ...]
    evaluated: int
    refused: int
    played: int
    account: ServiceAccount | None = None
    site: SiteQuestion | None = None
