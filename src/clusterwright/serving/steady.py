"""A replica under a load that stays: what each user gets, by how many are served at once.

A closed form for ranking: arrivals come evenly and nobody queues. What bursts and queues add is for
the request engine, which checks the best few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from clusterwright.engines.requests.simulator import ReplicaKind

Array = Any


@dataclass(frozen=True, eq=False)
class Steady:
    """One replica by the number of sequences that decode at once, (points,).

    ``sequences``: of the grid. ``step``: mean time of a step, its share of prompts' work included:
    the time per output token. [s] ``rate``: requests a second that this is. [1/s] ``prompt_time``:
    what the prompt of one request takes. [s] ``utilisation``: of those sequences that fit. [1]
    """

    sequences: Array
    step: Array
    rate: Array
    prompt_time: Array
    utilisation: Array

    def at(self, tpot: float) -> int:
        """The most loaded point whose time per token is within ``tpot``; -1: none is."""
        good = np.flatnonzero(self.step <= tpot)
        return int(good[np.argmax(self.rate[good])]) if len(good) else -1


def steady(kind: ReplicaKind, prompt: float, output: float, reused: float = 0.0) -> Steady:
    """Evaluate a replica that prefills and decodes.

    Parameters
    ----------
    kind
        The replica.
    prompt, output
        Mean tokens of a request.
    reused
        With which all prompts begin, so that they are in the cache once.
    """
    sequences = _grid(kind, prompt, output, reused)
    decode = decode_step(kind, sequences, prompt + 0.5 * output)
    own = prompt_time(kind, sequences, prompt, decode, reused)
    gained = output / kind.gain
    step = decode + sequences / gained * own
    return Steady(
        sequences=sequences,
        step=step / kind.gain,
        rate=sequences / (gained * step),
        prompt_time=own + decode * kind.mixed,
        utilisation=sequences / sequences[-1],
    )


def decoding(kind: ReplicaKind, prompt: float, output: float) -> Steady:
    """Evaluate a replica that only decodes."""
    sequences = _grid(kind, prompt, output, 0.0)
    step = decode_step(kind, sequences, prompt + 0.5 * output)
    return Steady(
        sequences=sequences,
        step=step / kind.gain,
        rate=sequences / (output / kind.gain * step),
        prompt_time=0.0 * step,
        utilisation=sequences / sequences[-1],
    )


def prefill_rate(kind: ReplicaKind, prompt: float, reused: float = 0.0) -> float:
    """Prompts a second that a replica works through when it does nothing else. [1/s]"""
    nobody = np.zeros(1)
    return float(kind.lanes / prompt_time(kind, nobody, prompt, nobody, reused)[0])


def decode_step(kind: ReplicaKind, sequences: Array, context: float) -> Array:
    """Time of a step that decodes so many sequences of a mean context. [s]"""
    times = kind.times
    attention = np.array([np.interp(context, times.context, line) for line in times.attention])
    return np.interp(sequences, times.rows, times.decode + attention)


def prompt_time(
    kind: ReplicaKind, sequences: Array, prompt: float, decode: Array, reused: float = 0.0
) -> Array:
    """What one prompt adds to the time of those that decode beside it. [s]"""
    times = kind.times
    computed = max(1.0, prompt - reused)
    chunk = min(computed, float(kind.budget)) if kind.chunked else computed
    steps = np.ceil(computed / chunk)
    lane = np.interp(
        chunk + (sequences / kind.lanes if kind.mixed else 0.0), times.tokens, times.lane
    )
    whole = np.interp(chunk + (sequences if kind.mixed else 0.0), times.tokens, times.whole)
    head = np.interp(1.0 + (sequences if kind.mixed else 0.0), times.rows, times.head)
    attention = np.interp(prompt, times.length, times.prefill)
    if reused > 0.0:
        attention = attention - np.interp(reused, times.length, times.prefill)
    alone = np.interp(sequences, times.rows, times.decode)
    beside = alone if kind.mixed else 0.0 * decode
    work = np.maximum(lane + whole + attention / steps, kind.shortest)
    return np.maximum(0.0, steps * (work + head - beside))


def most_sequences(kind: ReplicaKind, prompt: float, output: float, reused: float = 0.0) -> float:
    """Sequences of mean lengths that a replica holds at once."""
    held = prompt - reused + (0.6 * output if kind.promise == 0.0 else output)
    return max(1.0, min(float(kind.most), (kind.blocks * kind.block - reused) / held))


def _grid(kind: ReplicaKind, prompt: float, output: float, reused: float) -> Array:
    """Sequences at once, from one to as many as fit."""
    most = most_sequences(kind, prompt, output, reused)
    grid = np.unique(np.round(np.geomspace(1.0, most, 40), 2))
    return np.append(grid[grid < most], most)
