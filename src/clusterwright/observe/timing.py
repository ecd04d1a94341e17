"""Timers as Megatron-LM, GPT-NeoX and DeepSpeed print them."""

from __future__ import annotations

import re

from clusterwright.observe.building import Timers
from clusterwright.observe.telling import unstamped

_HEAD = re.compile(r"(?P<how>\(min, max\)|max|)\s*times? across ranks \(ms\):")
_ENTRY = re.compile(
    r"^\s+(?P<name>[A-Za-z][\w/-]*)\s*\.*\s*:\s*"
    r"(?:\((?P<low>[\d.]+),\s*(?P<high>[\d.]+)\)|(?P<one>[\d.]+))\s*$"
)
_GROUP = re.compile(r"^\s+(?P<name>[A-Za-z][\w/-]*):\s*$")
_RANK = re.compile(r"^\s+rank\s+\d+:\s*(?P<one>[\d.]+)\s*$")
_PIECE = re.compile(r"\s*(?P<name>[A-Za-z][\w /-]*?):\s*(?P<value>[\d.]+)\s*$")


class TimerBlock:
    """A heading of timers and the lines under it."""

    def __init__(self) -> None:
        self.open = False
        self._group = ""

    def take(self, text: str) -> Timers | None:
        """The timers that a line tells [s]; None: it is no line of a block."""
        if _HEAD.search(text):
            self.open = True
            return {}
        if not self.open:
            return None
        found = _ENTRY.match(text)
        if not found:
            text = unstamped(text)
            found = _ENTRY.match(text)
        if found:
            low = float(found["low"] or found["one"])
            return {found["name"]: (1e-3 * low, 1e-3 * float(found["high"] or found["one"]))}
        group = _GROUP.match(text)
        if group:
            self._group = group["name"]
            return {}
        rank = _RANK.match(text)
        if rank and self._group:
            return {self._group: (1e-3 * float(rank["one"]),) * 2}
        self.open = False
        return None


def merged(held: Timers, new: Timers) -> Timers:
    """Timers of a rank together with those of ranks before it."""
    return {
        **held,
        **{
            name: (min(held.get(name, pair)[0], pair[0]), max(held.get(name, pair)[1], pair[1]))
            for name, pair in new.items()
        },
    }


def timers_on_line(text: str) -> Timers:
    """Timers of ``time (ms) | name: value | …``, with one value for all ranks. [s]

    >>> timers_on_line("[Rank 0] rank=0 time (ms) | forward: 650.0 | step: 1172.0")
    {'forward': (0.65, 0.65), 'step': (1.172, 1.172)}
    """
    _, bar, rest = text.partition("time (ms) |")
    found: Timers = {}
    for piece in rest.split("|") if bar else ():
        said = _PIECE.match(piece)
        if said and said["value"].replace(".", "", 1).isdigit():
            value = 1e-3 * float(said["value"])
            found[said["name"].strip().replace(" ", "-").replace("_", "-")] = (value, value)
    return found
