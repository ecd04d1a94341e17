"""What a phone or laptop adds to its chip: what an app may take, power, heat and a battery."""

from __future__ import annotations

from clusterwright.records import Record


class Span(Record, frozen=True, kw_only=True):
    """What lies somewhere between two values; one value where both are the same."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """Half-way between both."""
        return 0.5 * (self.low + self.high)


class Device(Record, frozen=True, kw_only=True):
    """A phone or laptop as its owner has it.

    ``accelerator``: the unit of its chip that runs models, by id. ``app_memory``: what one app may
    take. [B] ``power``: of the device while a model runs for minutes. [W] ``sustained_share``: rate
    when it is hot over that of the first minutes. [1] ``battery``: energy of a full one [J], None:
    not published. ``assumed``: figures that stand in for what nobody published.
    """

    id: str
    name: str
    accelerator: str
    app_memory: Span
    power: Span
    sustained_share: Span
    battery: float | None = None
    assumed: tuple[str, ...] = ()
