"""What was read of a run, whichever tool wrote it: SI units, ``nan`` where a log does not say."""

from __future__ import annotations

import math
from typing import Literal

from clusterwright.records import Record

MarkKind = Literal[
    "checkpoint", "evaluation", "start", "load", "profile", "collection", "retry", "nan", "error"
]
"""What a log says beside its steps; ``start``: a process began, ``load``: from a checkpoint,
``collection``: of garbage, ``retry``: the allocator gave memory back and asked again."""


class Mark(Record, frozen=True, kw_only=True):
    """One thing that happened before row ``row`` of a run's columns.

    ``time``: how long it took [s], nan: not said. ``count``: how often, where one line says so.
    ``iteration``: the step it belongs to, -1: not said.
    """

    kind: MarkKind
    row: int
    said: str = ""
    time: float = math.nan
    count: float = 1.0
    iteration: int = -1


class RunSettings(Record, frozen=True, kw_only=True):
    """What a log says of how a job is run; ``None`` and ``""``: it does not say.

    The names are those of `Strategy` and `TrainingWorkload`. ``peak_flops``: what the tool itself
    divides by for its MFU. [FLOP/s] ``device_bytes``: memory of one accelerator. [B] ``shape``:
    what is printed of the model, by the column names of a table of runs.
    """

    world_size: int | None = None
    tp: int | None = None
    cp: int | None = None
    pp: int | None = None
    vpp: int | None = None
    dp: int | None = None
    ep: int | None = None
    etp: int | None = None
    zero: int | None = None
    micro_batch: int | None = None
    global_batch: int | None = None
    sequence_length: int | None = None
    precision: str = ""
    recompute: str = ""
    accelerator: str = ""
    model: str = ""
    peak_flops: float | None = None
    device_bytes: float | None = None
    shape: dict[str, int] = {}


class TrainingRun(Record, frozen=True, kw_only=True):
    """Columns of one training run, a row for each line that reports steps.

    ``iteration``: the last step of the row; ``steps``: how many it covers. ``clock``: when it was
    written, seconds since 1970 or nan. [s] ``step_time``: of one step. [s] ``device_rate``: tokens
    a second of one accelerator. [1/s] ``flops_rate``: model FLOPs a second of one accelerator, as
    the tool counts them. [FLOP/s] ``mfu``: as the tool prints it. [1] ``samples``: sequences a
    step; ``sample_rate``: a second, of the whole job. [1/s] ``power``: of one accelerator. [W]
    ``memory``: peak bytes of the fullest rank seen. [B] ``skipped``: steps without an update.
    ``input_time``: waiting for data, of a step. [s] ``timers``: by name, seconds a step of the
    fastest and of the slowest rank, nan where a row has none. [s] ``rank_times``: step time by rank
    and row, where several ranks wrote. [s]
    ``notes``: what a reader should know of how this was read.
    """

    tool: str
    paths: tuple[str, ...] = ()
    iteration: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()
    clock: tuple[float, ...] = ()
    step_time: tuple[float, ...] = ()
    loss: tuple[float, ...] = ()
    device_rate: tuple[float, ...] = ()
    flops_rate: tuple[float, ...] = ()
    mfu: tuple[float, ...] = ()
    samples: tuple[float, ...] = ()
    sample_rate: tuple[float, ...] = ()
    power: tuple[float, ...] = ()
    memory: tuple[float, ...] = ()
    skipped: tuple[float, ...] = ()
    input_time: tuple[float, ...] = ()
    timers: dict[str, tuple[tuple[float, float], ...]] = {}
    rank_times: dict[str, tuple[float, ...]] = {}
    settings: RunSettings = RunSettings()
    marks: tuple[Mark, ...] = ()
    notes: tuple[str, ...] = ()


class Percentiles(Record, frozen=True, kw_only=True):
    """One latency over requests, as far as a tool gives it; nan: it does not. [s]"""

    mean: float = math.nan
    p50: float = math.nan
    p90: float = math.nan
    p95: float = math.nan
    p99: float = math.nan


class ServingRun(Record, frozen=True, kw_only=True):
    """What one run of a load generator, or one scrape of an engine, says.

    ``rate``: requests a second that were offered (inf: all at once, nan: not said); ``served``:
    that were answered. [1/s] ``most_users``: requests at once that were allowed; ``concurrency``:
    that there were on average. ``prompt``, ``output``: mean tokens of a request;
    ``prompt_tokens``, ``output_tokens``: of all requests. ``output_rate``,
    ``total_rate``: tokens a second of all. [1/s] ``cache_use``: share of the cache that was taken;
    ``reused``: share of prompts' tokens that a cache had. [1] ``preemptions``: since the engine
    started. ``waiting``, ``running``: requests at the moment of the scrape. ``queue_time``,
    ``prefill_time``, ``decode_time``: mean of a request. [s]
    """

    tool: str
    paths: tuple[str, ...] = ()
    model: str = ""
    engine: str = ""
    requests: float = math.nan
    failed: float = math.nan
    duration: float = math.nan
    rate: float = math.nan
    served: float = math.nan
    most_users: float = math.nan
    concurrency: float = math.nan
    prompt: float = math.nan
    output: float = math.nan
    prompt_tokens: float = math.nan
    output_tokens: float = math.nan
    output_rate: float = math.nan
    total_rate: float = math.nan
    ttft: Percentiles = Percentiles()
    tpot: Percentiles = Percentiles()
    itl: Percentiles = Percentiles()
    latency: Percentiles = Percentiles()
    cache_use: float = math.nan
    reused: float = math.nan
    preemptions: float = math.nan
    waiting: float = math.nan
    running: float = math.nan
    queue_time: float = math.nan
    prefill_time: float = math.nan
    decode_time: float = math.nan
    notes: tuple[str, ...] = ()


class TraceSummary(Record, frozen=True, kw_only=True):
    """A profiler's trace of one rank, reduced to seconds of a step. [s]

    ``busy``: time in kernels by kind (they may overlap); ``traffic``: in collectives by name, and
    ``exposed``: the part of it during which no other kernel runs. ``computing``: at least one
    kernel that is no communication; ``idle``: no kernel at all. Of the idle time, ``starved`` is
    while the host has launched nothing that waits, and ``input_wait``, a part of that, while it
    waits for data. ``launches``: kernels a step. ``groups``: ranks of each collective's group, by
    its name. ``longest``: kernels by name, the longest first. ``whole``: false if the file ended
    early, and only what came before it was read.
    """

    path: str
    rank: int = -1
    world_size: int = -1
    device: str = ""
    has_device: bool = True
    step_times: tuple[float, ...] = ()
    steps_marked: bool = True
    busy: dict[str, float] = {}
    traffic: dict[str, float] = {}
    exposed: dict[str, float] = {}
    groups: dict[str, int] = {}
    computing: float = 0.0
    idle: float = 0.0
    starved: float = 0.0
    input_wait: float = 0.0
    launches: float = 0.0
    longest: tuple[tuple[str, float], ...] = ()
    events: int = 0
    whole: bool = True
    notes: tuple[str, ...] = ()


Reading = TrainingRun | ServingRun | TraceSummary
