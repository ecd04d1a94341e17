"""A replica under a load that stays: what each user gets, by how many are served at once.

A closed form for ranking: arrivals come evenly and nobody queues. What bursts and queues add is for
the request engine, which checks the best few.
"""

from __future__ import annotations

import math
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
    gained = output / kind.gain
    # As many prompts come as answers end: beyond one a step they share steps, as far as they fit.
    come = sequences / gained
    together = np.clip(come, 1.0, _most_prompts(kind, prompt, reused))
    own = prompt_time(kind, sequences, prompt, decode, reused, together=together)
    step = decode + come / together * own
    alone = prompt_time(kind, sequences, prompt, decode, reused)
    return Steady(
        sequences=sequences,
        step=step / kind.gain,
        rate=sequences / (gained * step),
        prompt_time=alone + decode * kind.mixed,
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
    nobody, most = np.zeros(1), _most_prompts(kind, prompt, reused)
    times = prompt_time(kind, nobody, prompt, nobody, reused, together=np.full(1, most))
    return most / float(times[0])


def decode_step(kind: ReplicaKind, sequences: Array, context: float) -> Array:
    """Time of a step that decodes so many sequences of a mean context. [s]"""
    times = kind.times
    attention = np.array([np.interp(context, times.context, line) for line in times.attention])
    return np.interp(sequences, times.rows, times.decode + attention)


def prompt_time(
    kind: ReplicaKind,
    sequences: Array,
    prompt: float,
    decode: Array,
    reused: float = 0.0,
    *,
    together: Array | None = None,
) -> Array:
    """What prompts add to the time of those that decode beside them. [s]

    ``together``: how many are worked on in the same steps, behind others; by default one alone,
    for which the stages of a pipeline must fill.
    """
    times = kind.times
    prompts = np.ones_like(sequences) if together is None else together
    steps, piece = _pieces(kind, prompt, reused)
    beside = sequences if kind.mixed else 0.0 * sequences
    chunk = min(piece, float(kind.budget)) if kind.chunked else piece
    busiest = np.maximum(chunk, prompts * piece / kind.lanes)
    turns = np.maximum(1.0, prompts * piece * kind.depth / (kind.lanes * busiest))
    passes = (turns + (kind.depth - 1.0 if together is None else 0.0)) / kind.depth
    passes = np.where(beside > 0.0, np.maximum(1.0, passes), passes)
    one = np.interp(prompt, times.length, times.prefill)
    if reused > 0.0:
        one = one - np.interp(reused, times.length, times.prefill)
    one = one / steps
    # Later pieces see more: of prompts somewhere on their way one is nearer its end than the mean.
    longest = one * (1.0 + (1.0 - 1.0 / steps) * (prompts - 1.0) / (prompts + 1.0))
    attention = np.maximum(
        longest / np.maximum(1.0, piece / busiest),
        prompts * one * kind.depth / (kind.lanes * turns),
    )
    width = beside * kind.width
    lane = np.interp(busiest + width / kind.lanes, times.tokens, times.lane)
    whole = np.interp(prompts * piece * kind.depth / turns + width, times.tokens, times.whole)
    head = np.interp(prompts + beside, times.rows, times.head)
    work = np.maximum((lane + whole + attention) * passes, kind.shortest)
    saved = np.where(beside > 0.0, np.interp(beside, times.rows, times.decode), 0.0 * decode)
    return np.maximum(0.0, steps * (work + head - saved))


def _pieces(kind: ReplicaKind, prompt: float, reused: float) -> tuple[float, float]:
    """Steps that a prompt takes, and its tokens in each of them."""
    computed = max(1.0, prompt - reused)
    steps = math.ceil(computed / (kind.budget * kind.depth)) if kind.chunked else 1
    return float(steps), computed / steps


def _most_prompts(kind: ReplicaKind, prompt: float, reused: float) -> float:
    """Prompts that share a step at most: all that its tokens, and the cache, have room for."""
    _, piece = _pieces(kind, prompt, reused)
    most = kind.lanes * kind.budget / piece
    room = (kind.blocks * kind.block - reused) / max(1.0, prompt - reused)
    return max(1.0, min(most if kind.chunked else math.floor(most), room, float(kind.most)))


def most_sequences(kind: ReplicaKind, prompt: float, output: float, reused: float = 0.0) -> float:
    """Sequences of mean lengths that a replica holds at once."""
    held = prompt - reused + (0.6 * output if kind.promise == 0.0 else output)
    return max(1.0, min(float(kind.most), (kind.blocks * kind.block - reused) / held))


def _grid(kind: ReplicaKind, prompt: float, output: float, reused: float) -> Array:
    """Sequences at once, from one to as many as fit."""
    most = most_sequences(kind, prompt, output, reused)
    grid = np.unique(np.round(np.geomspace(1.0, most, 40), 2))
    return np.append(grid[grid < most], most)
