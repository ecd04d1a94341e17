"""Times of a build on an axis: dates where its first day is known, else days from its start."""

from __future__ import annotations

import datetime as dt
from typing import Final

from clusterwright.asking_build import DAY, later
from clusterwright.buildout.plan import BuildQuestion
from clusterwright.report.pictures.layers import over
from clusterwright.report.pictures.theme import Row
from clusterwright.uncertain import Interval

RIGHT: Final = 0.02
"""Of the span that is drawn, what is left free behind it."""
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
        span = end - (begin or 0.0)
        self.end = end + RIGHT * span
        self.begin = 0.0 if begin is None else max(0.0, begin - LEFT * span)

    def at(self, time: float) -> float:
        """A time as rows have it [s]: days, or milliseconds since 1970 as Vega counts dates."""
        shown = min(time, self.end)
        if not self.start:
            return shown / DAY
        first = dt.datetime.fromisoformat(self.start).replace(tzinfo=dt.UTC)
        return 1e3 * round(first.timestamp() + shown)

    def words(self, time: float) -> str:
        """A time as the text says it. [s]"""
        return later(self.start, time) or f"day {time / DAY:,.0f}"

    def spread(self, one: Interval) -> str:
        """The ends of an interval in words."""
        return f"{self.words(one.low)} to {self.words(one.high)}"

    def field(self, field: str) -> Row:
        """An encoding by a field of such times."""
        return {"field": field, "type": "temporal" if self.start else "quantitative"}

    def frame(self) -> Row:
        """A layer that nobody sees and that holds the axis from its first time to its last.

        Said as a domain, dates would be read in two ways where a mark has two ends in time, and
        the two would be said to conflict.
        """
        rows: list[Row] = [{"edge": self.at(self.begin)}, {"edge": self.at(self.end)}]
        scale: Row = {"nice": False, "zero": False}
        title: str | None = "days from the start"
        axis: Row = {}
        if self.start:
            months = self.end - self.begin > MONTHS
            # Days are those of the build's place, whatever the time zone of who looks.
            scale, title = {"nice": False, "type": "utc"}, None
            axis = {"format": "%b %Y" if months else "%d %b", "tickCount": 4}
        edge = {**self.field("edge"), "title": title, "scale": scale, "axis": axis}
        mark = {"type": "point", "opacity": 0, "aria": False}
        return over(rows, {"mark": mark, "encoding": {"x": edge, "y": None, "tooltip": None}})
