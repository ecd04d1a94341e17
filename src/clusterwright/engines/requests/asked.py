"""What the engine is asked, and what comes back: plain columns and numbers, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from clusterwright.engines.requests.gaps import LEAST, WIDTH
from clusterwright.engines.requests.things import BOTH, Array


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """How long steps of one kind of replica take, on grids that rise. [s]

    See `Kind` for what each is; ``attention`` is an array of (rows, context).
    """

    tokens: Array
    lane: Array
    whole: Array
    rows: Array
    decode: Array
    head: Array
    context: Array
    attention: Array
    length: Array
    prefill: Array


@dataclass(frozen=True, kw_only=True)
class ReplicaKind:
    """One kind of replica: what it may hold and do, and how long its steps take.

    See `Kind` for what the numbers mean. ``count``: how many there are, with a ``target`` at most.
    ``reuse``: whether prompts' blocks are kept for others.
    """

    times: StepTimes
    count: int = 1
    role: int = BOTH
    lanes: int = 1
    depth: int = 1
    budget: int = 8192
    most: int = 256
    blocks: float = 1e12
    block: int = 16
    mixed: bool = True
    chunked: bool = True
    promise: float = 0.0
    gain: float = 1.0
    width: int = 1
    tail: float = 0.0
    tail_token: float = 0.0
    poll: int = 1
    patience: int = 0
    enough: int = 0
    shortest: float = 0.0
    reuse: bool = True
    target: float = 0.0
    least: int = 1
    period: float = 15.0
    calm: float = 300.0
    load_time: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What is asked. (requests,)

    ``arrival``: sorted [s]; only the first ``users`` count in a closed loop, whose users send the
    next question ``think`` after an answer [s]. ``entry``: from a client to the first queue [s].
    ``hash_ids``: what prompts are made of, a number for each block of ``hash_tokens`` tokens and
    all before it; those of request ``i`` are ``hash_ids[hash_start[i]:hash_start[i + 1]]``.
    """

    arrival: Array
    prompt: Array
    output: Array
    priority: Array | None = None
    users: int = 0
    think: float = 0.0
    entry: float = 0.0
    hash_start: Array | None = None
    hash_ids: Array | None = None
    hash_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Outages:
    """Failures of replicas, sorted: when [s], of which, how long until it serves again [s]."""

    at: Array
    replica: Array
    lasts: Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Played:
    """What came of it: times of requests (requests,) [s], and totals of replicas (replicas,).

    ``reused``: tokens of prompts found in a cache. ``worked``: sequences times steps. ``paid``:
    time that a replica was up, loading or down, but not switched off. [s] ``lost``: requests that
    failures sent back. ``gaps``: times between tokens by class, see `itl`.
    """

    sent: Array
    first: Array
    finish: Array
    replica: Array
    prompt: Array
    output: Array
    reused: Array
    busy: Array
    steps: Array
    worked: Array
    preempted: Array
    lost: Array
    paid: Array
    gaps: Array
    happened: int

    @property
    def ttft(self) -> Array:
        """Time to first token of each request. [s]"""
        return self.first - self.sent

    @property
    def tpot(self) -> Array:
        """Time per output token after the first; not a number where there is but one. [s]"""
        more = np.where(self.output > 1, self.output - 1.0, np.nan)
        return (self.finish - self.first) / more

    @property
    def duration(self) -> float:
        """From the first request to the last token. [s]"""
        return float(self.finish.max() - self.sent.min())

    @cached_property
    def _below(self) -> Array:
        return np.cumsum(self.gaps)

    @property
    def mean_itl(self) -> float:
        """Mean time between two tokens. [s]"""
        middle = LEAST * np.exp((np.arange(len(self.gaps)) + 0.5) * WIDTH)
        return float(np.dot(self.gaps, middle) / max(1, int(self._below[-1])))

    def itl(self, percentile: float) -> float:
        """Time between two tokens, over all tokens; to 1 %. 0 if nobody got two. [s]

        What a preemption or a failure interrupts is not counted as one gap.
        """
        if not len(self.gaps) or self._below[-1] <= 0:
            return 0.0
        wanted = percentile / 100.0 * self._below[-1]
        place = int(np.searchsorted(self._below, wanted))
        return float(LEAST * np.exp((place + 0.5) * WIDTH))
