"""A trace: requests in the order in which they arrive, as columns."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from clusterwright.errors import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Trace:
    """Requests by time of arrival, one element of each column a request.

    Parameters
    ----------
    name
        Of the file, without its endings.
    arrival
        When each request comes, rising from 0. [s]
    prompt, output
        Lengths, at least 1. [tokens]
    priority
        Less goes first; 0 where the format has none.
    hash_start, hash_ids
        Blocks of prompts: those of request ``i`` are ``hash_ids[hash_start[i]:hash_start[i + 1]]``.
        A block's number stands for its tokens and for all tokens before them: prompts that begin
        with the same numbers begin with the same tokens. Numbers run from 0 in the order in which
        blocks first arrive.
    hash_tokens
        Tokens of a block; a prompt's last one may have fewer. 0: nothing is known of prefixes.
    dropped
        One sentence for each reason why lines of the file are no requests by its format, with
        their count and the first of them.
    num_dropped
        How many those are.
    """

    name: str
    arrival: Floats
    prompt: Ints
    output: Ints
    priority: Ints
    hash_start: Ints
    hash_ids: Ints
    hash_tokens: int = 0
    dropped: tuple[str, ...] = ()
    num_dropped: int = 0

    def __len__(self) -> int:
        return len(self.arrival)

    @property
    def duration(self) -> float:
        """From the first arrival to the last. [s]"""
        return float(self.arrival[-1] - self.arrival[0])

    @property
    def mean_rate(self) -> float:
        """Gaps between arrivals per time, infinite if all requests come at once. [1/s]"""
        return (len(self) - 1) / self.duration if self.duration > 0.0 else math.inf

    @property
    def mean_prompt(self) -> float:
        """Mean length of a prompt. [tokens]"""
        return float(self.prompt.mean())

    @property
    def p99_prompt(self) -> float:
        """Length that 99 % of the prompts do not exceed. [tokens]"""
        return float(np.percentile(self.prompt, 99.0))

    @property
    def mean_output(self) -> float:
        """Mean length of an answer. [tokens]"""
        return float(self.output.mean())

    @property
    def p99_output(self) -> float:
        """Length that 99 % of the answers do not exceed. [tokens]"""
        return float(np.percentile(self.output, 99.0))

    @property
    def repeated_tokens(self) -> Ints:
        """Tokens at the beginning of each prompt that an earlier one began with. [tokens]

        What a cache that forgets nothing could save: a block counts if any request before it in
        the trace had it, answered by then or not. All 0 where nothing is known of prefixes.
        """
        count = np.diff(self.hash_start)
        owner = np.repeat(np.arange(len(self)), count)
        first = np.full(int(self.hash_ids.max(initial=-1)) + 1, len(self))
        np.minimum.at(first, self.hash_ids, owner)
        new = np.flatnonzero(first[self.hash_ids] >= owner)
        known = count.copy()
        np.minimum.at(known, owner[new], new - self.hash_start[owner[new]])
        tokens: Ints = np.minimum(known * self.hash_tokens, self.prompt)
        return tokens

    @property
    def repeated_share(self) -> float | None:
        """Share of all prompt tokens that are `repeated_tokens`; ``None``: not known. [1]"""
        if self.hash_tokens == 0:
            return None
        return float(self.repeated_tokens.sum() / self.prompt.sum())

    def slice(self, *, seconds: float | None = None, count: int | None = None) -> Self:
        """Keep the beginning of a trace; ``dropped`` goes on to tell of the whole file.

        Parameters
        ----------
        seconds
            Keep what arrives before this time. [s]
        count
            Keep so many requests, or all if there are fewer.

        Raises
        ------
        InputError
            Neither or both are given, or one that keeps nothing.
        """
        if (seconds is None) == (count is None):
            raise InputError("a slice of a trace needs either seconds or a count")
        if count is not None:
            keep, asked = min(count, len(self)), f"{count} requests"
        else:
            keep, asked = int(np.searchsorted(self.arrival, seconds or 0.0)), f"{seconds} s"
        if keep < 1 or (seconds is not None and not seconds > 0.0):
            raise InputError(f"{asked} of trace {self.name!r} is no slice; ask for more than 0")
        columns = {name: getattr(self, name)[:keep] for name in _COLUMNS}
        hash_start = self.hash_start[: keep + 1]
        return replace(
            self, **columns, hash_start=hash_start, hash_ids=self.hash_ids[: hash_start[-1]]
        )

    def rescaled(self, rate: float) -> Self:
        """Stretch or squeeze time, all gaps alike, so that `mean_rate` is as asked.

        Parameters
        ----------
        rate
            Requests per time. [1/s]

        Raises
        ------
        InputError
            The rate is not a positive number, or all requests come at once: there is no gap.
        """
        if not (math.isfinite(rate) and rate > 0.0):
            raise InputError(f"a rate of {rate} requests/s is impossible; it must be above 0")
        if math.isinf(self.mean_rate):
            raise InputError(
                f"trace {self.name!r} has no times to rescale, all its requests come at once; draw "
                "arrivals for them, or use a trace that has times"
            )
        return replace(self, arrival=self.arrival * (self.mean_rate / rate))


_COLUMNS = ("arrival", "prompt", "output", "priority")
