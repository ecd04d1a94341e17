"""Intervals of answers side by side, in few words."""

from __future__ import annotations

from clusterwright.report.folding import fold
from clusterwright.uncertain import Interval
from clusterwright.units import format_quantity, format_time


def span(low: float, high: float, dimension: str) -> str:
    """Both ends of an interval; a unit that they share is said once.

    >>> span(2.75, 3.36, "s"), span(0.98, 1.21, "s"), span(230e3, 1.1e6, "USD")
    ('2.75 to 3.36 s', '980 ms to 1.21 s', '$230,000 to $1.1M')
    """
    ends = [_shown(low, dimension), _shown(high, dimension)]
    units = [end.partition(" ")[2] for end in ends]
    if units[0] == units[1]:
        ends[0] = ends[0].partition(" ")[0]
    return " to ".join(ends)


def _shown(value: float, dimension: str) -> str:
    return format_time(value) if dimension == "s" else format_quantity(value, dimension)


def overlap_lines(
    names: tuple[str, str], taken: tuple[Interval | None, Interval | None], what: str
) -> list[str]:
    """That the two that take the least are not told apart, where their intervals overlap.

    ``what``: they are compared by. An error that is in both, such as of a formula, makes both too
    long or both too short: the chance that they change places is less than the overlap looks like.

    >>> one, two = Interval(low=1, middle=2, high=3), Interval(low=4, middle=5, high=6)
    >>> overlap_lines(("a", "b"), (one, two), "step"), overlap_lines(("a", "b"), (one, None), "")
    ([], [])
    """
    first, second = taken
    if first is None or second is None or second.low > first.high:
        return []
    said = f"  Not surely told apart by {what}: {names[0]} and {names[1]}, as their 80 % intervals "
    return ["", *fold(f"{said}overlap; an error in both alike does not change their order", 4)]
