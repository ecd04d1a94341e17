"""What readers have in common: requests that pile up, what is dropped, what is broken."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from clusterwright.errors import TableError
from clusterwright.traces.trace import Ints, Trace

SHOWN = 10
"""Lines that a message names."""
MOST = 2**31 - 1
"""The largest count of tokens, and priority, that is taken for one."""
_LONGEST = 20
"""Digits that are read of a number: more than any that is taken."""


class UnfitError(ValueError):
    """One line cannot be a request; the text says what is wrong with it."""


def whole(value: str | float, name: str, *, least: int = 1) -> int:
    """Return a whole number of tokens, requests or the like.

    Raises
    ------
    UnfitError
        It is none, or out of bounds.
    """
    if isinstance(value, str) and value.isdecimal():
        number = int(value[:_LONGEST])
    else:
        number = _parsed(value, name)
    if not least <= number <= MOST:
        bound = f"at least {least}" if number < least else f"at most {MOST}"
        raise UnfitError(f"{name} is {clipped(value)}, but must be {bound}")
    return number


def _parsed(value: str | float, name: str) -> int:
    """Return the whole number that is written with a sign or a point."""
    try:
        number = math.nan if isinstance(value, bool) or "_" in str(value) else float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not number.is_integer():
        raise UnfitError(f"{name} is {clipped(value)}, but must be a whole number")
    return int(number)


def moment(value: str | float, name: str) -> float:
    """Return a time from 0, in the unit in which it is given.

    Raises
    ------
    UnfitError
        It is no number, not finite or negative.
    """
    try:
        number = math.nan if isinstance(value, bool) or "_" in str(value) else float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and number >= 0.0):
        kind = "a number" if math.isnan(number) else "finite and not negative"
        raise UnfitError(f"{name} is {clipped(value)}, but must be {kind}")
    return number


def clipped(value: object) -> str:
    """Return what was written, for a message: not all of it if it is long."""
    text = repr(value)
    return "blank" if value in ("", None) else text if len(text) <= 40 else f"{text[:36]}…"


class Gathered:
    """Requests of one file as they are read.

    Parameters
    ----------
    path
        The file, for messages.
    unit
        What its records are called: ``line`` or ``entry``.
    """

    def __init__(self, path: Path, unit: str = "line") -> None:
        self.path = path
        self.unit = unit
        self._seconds = array("d")
        self._prompt = array("q")
        self._output = array("q")
        self._priority = array("q")
        self._num_hashes = array("q")
        self._hashes = array("q")
        self._number_of: dict[int, int] = {}
        self._dropped: dict[str, list[int]] = {}
        self._broken: dict[str, list[int]] = {}
        self._num_broken = 0

    def add(
        self,
        seconds: float,
        prompt: int,
        output: int,
        *,
        priority: int = 0,
        hashes: Iterable[int] = (),
    ) -> None:
        """Add a request: its time [s], lengths [tokens], priority, and hashes of its blocks."""
        self._seconds.append(seconds)
        self._prompt.append(prompt)
        self._output.append(output)
        self._priority.append(priority)
        number_of = self._number_of
        numbers = [number_of.setdefault(one, len(number_of)) for one in hashes]
        self._hashes.extend(numbers)
        self._num_hashes.append(len(numbers))

    def drop(self, line: int, why: str) -> None:
        """Leave out a line that is no request by its format."""
        self._dropped.setdefault(why, []).append(line)

    def refuse(self, line: int, what: str) -> None:
        """Remember a broken line; the first few are named in the end."""
        self._num_broken += 1
        if self._num_broken <= SHOWN:
            self._broken.setdefault(what, []).append(line)

    def trace(self, *, hash_tokens: int = 0) -> Trace:
        """Return all requests, sorted by time and from 0.

        Requests of the same time stay in the order of the file.

        Raises
        ------
        TableError
            Lines are broken, or there are no requests.
        """
        self._check()
        seconds = np.array(self._seconds)
        order = np.argsort(seconds, kind="stable")
        num_hashes = np.array(self._num_hashes)
        starts = np.cumsum(num_hashes) - num_hashes
        hash_start = np.concatenate([[0], np.cumsum(num_hashes[order])])
        shift = np.repeat(starts[order] - hash_start[:-1], num_hashes[order])
        hashes = np.array(self._hashes)[np.arange(len(shift)) + shift]
        return Trace(
            name=self.path.name.removesuffix(".gz").rsplit(".", 1)[0],
            arrival=seconds[order] - seconds[order[0]],
            prompt=np.array(self._prompt)[order],
            output=np.array(self._output)[order],
            priority=np.array(self._priority)[order],
            hash_start=hash_start,
            hash_ids=_numbered(hashes),
            hash_tokens=hash_tokens,
            dropped=tuple(
                f"{why}: {len(lines)}, in {self._named(lines)}"
                for why, lines in self._dropped.items()
            ),
            num_dropped=sum(map(len, self._dropped.values())),
        )

    def _check(self) -> None:
        dropped = sum(map(len, self._dropped.values()))
        if self._num_broken:
            total = self._num_broken + len(self._seconds) + dropped
            parts = [f"{self._named(lines)}: {what}" for what, lines in self._broken.items()]
            if self._num_broken > SHOWN:
                parts.append(f"and {self._num_broken - SHOWN} more")
            these = f"this {self.unit}" if self._num_broken == 1 else f"these {self._plural}"
            raise TableError(
                f"{self.path}: {self._num_broken} of {total} {self._plural} cannot be read: "
                f"{'; '.join(parts)}; correct or delete {these}"
            )
        if not self._seconds and dropped:
            why = "; ".join(f"{why}: {len(lines)}" for why, lines in self._dropped.items())
            raise TableError(f"{self.path}: no requests are left ({why}); name another trace")
        if not self._seconds:
            raise TableError(f"{self.path}: there are no requests in it; is the file truncated?")

    @property
    def _plural(self) -> str:
        return "entries" if self.unit == "entry" else f"{self.unit}s"

    def _named(self, lines: list[int]) -> str:
        """Return ``lines 3, 4, 8``; those that are too many to be shown are counted."""
        shown = ", ".join(map(str, lines[:SHOWN]))
        more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
        return f"{self.unit if len(lines) == 1 else self._plural} {shown}{more}"


def _numbered(hashes: Ints) -> Ints:
    """Return numbers from 0 in the order in which they first occur."""
    _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[which]
