"""Times of a build on an axis: dates where its first day is known, else days from its start."""

from __future__ import annotations

import datetime as dt
from typing import Final

from clusterwright.asking_build import DAY, later
from clusterwright.buildout.plan import BuildQuestion
from clusterwright.report.pictures.theme import Row
from clusterwright.uncertain import Interval

MARGIN: Final = 1.02
"""End of the axis over the latest time that is drawn."""
LEFT: Final = 0.08
"""Of the span that is drawn, what is left free before it where it does not begin at the start."""
MONTHS: Final = 60 * DAY
"""Span from which ticks are months and not days. [s]"""


class Clock:
    """An axis of time.

    Parameters
    ----------
    question
        The build, with its first day or without.
    end
        The latest time that is drawn; what lasts longer is cut off. [s]
    begin
        The earliest, None: the start. [s]
    """

    def __init__(self, question: BuildQuestion, end: float, *, begin: float | None = None) -> None:
        self.start = question.start
        self.end = end * MARGIN
        self.begin = 0.0 if begin is None else max(0.0, begin - LEFT * (end - begin))

    def at(self, time: float) -> str | float:
        """A time as rows have it. [s]"""
        shown = min(time, self.end)
        if not self.start:
            return shown / DAY
        first = dt.datetime.fromisoformat(self.start)
        return (first + dt.timedelta(seconds=round(shown))).isoformat() + "Z"

    def words(self, time: float) -> str:
        """A time as the text says it. [s]"""
        return later(self.start, time) or f"day {time / DAY:,.0f}"

    def spread(self, one: Interval) -> str:
        """The ends of an interval in words."""
        return f"{self.words(one.low)} to {self.words(one.high)}"

    def field(self, field: str) -> Row:
        """An encoding by a field of such times."""
        return {"field": field, "type": "temporal" if self.start else "quantitative"}

    def axis(self) -> Row:
        """The encoding of the axis, which all layers share."""
        scale: Row = {"domain": [self.at(self.begin), self.at(self.end)], "nice": False}
        if not self.start:
            return {"type": "quantitative", "title": "days from the start", "scale": scale}
        months = self.end - self.begin > MONTHS
        ticks = {"format": "%b %Y" if months else "%d %b", "tickCount": 4}
        # Days are those of the build's place, whatever the time zone of who looks.
        return {"type": "temporal", "title": None, "scale": {"type": "utc", **scale}, "axis": ticks}
