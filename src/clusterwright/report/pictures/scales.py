"""Units of an axis: one for all of it, the one in which its largest value reads best."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from clusterwright.units import parse

LADDERS: Final[dict[str, tuple[str, ...]]] = {
    "s": ("ns", "us", "ms", "s", "min", "h", "days", "years"),
    "B": ("B", "KiB", "MiB", "GiB", "TiB", "PiB"),
    "B/s": ("B/s", "kB/s", "MB/s", "GB/s", "TB/s", "PB/s"),
    "FLOP/s": ("FLOP/s", "GFLOP/s", "TFLOP/s", "PFLOP/s", "EFLOP/s"),
    "W": ("mW", "W", "kW", "MW", "GW"),
    "J": ("Wh", "kWh", "MWh", "GWh", "TWh"),
    "USD": ("$", "k$", "M$", "B$"),
    "USD/s": ("$/h",),
    "kg": ("g", "kg", "t", "kt", "Mt"),
    "1": ("", "k", "M", "B", "T"),
}
"""Units by the SI unit of what they measure, rising."""
FROM: Final = {"min": 120.0, "h": 7200.0, "days": 2 * 86400.0, "years": 2 * 365.25 * 86400.0}
"""A time is shown in these only from so many seconds on, as `units.format_time` does."""
SHOWN: Final = {"us": "µs"}


class Unit(NamedTuple):
    """What values are divided by before they are drawn, and its name."""

    size: float
    name: str

    def of(self, value: float) -> float:
        """Return an SI value in this unit."""
        return value / self.size

    def titled(self, quantity: str) -> str:
        """Return the title of an axis.

        >>> Unit(1e-3, "ms").titled("time of a step")
        'time of a step [ms]'
        """
        return f"{quantity} [{self.name}]" if self.name else quantity


def unit_for(values: Iterable[float], dimension: str) -> Unit:
    """Return the unit in which the largest of some values is at least 1.

    >>> unit_for([0.2, 5.4], "s"), unit_for([3 * 86400.0], "s").name, unit_for([8e10], "B").name
    (Unit(size=1.0, name='s'), 'days', 'GiB')
    """
    largest = max((abs(value) for value in values), default=0.0)
    units = [Unit(parse(f"1 {name}".strip(), dimension), name) for name in LADDERS[dimension]]
    fits = [one for one in units if FROM.get(one.name, one.size) <= largest]
    found = fits[-1] if fits else units[0]
    return found._replace(name=SHOWN.get(found.name, found.name))
