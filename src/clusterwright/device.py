"""What a phone, laptop or desktop adds to its chip: what an app may take, power, heat, battery."""

from __future__ import annotations

from typing import Literal

from clusterwright.records import Record

DeviceKind = Literal["phone", "laptop", "desktop"]
"""Sorts of devices: figures that nobody published are assumed by them."""

HELD = ("phone", "soc", "gpu-laptop")
"""Kinds of accelerators of which a device has one, and whose network is not theirs."""


class Span(Record, frozen=True, kw_only=True):
    """What lies somewhere between two values; one value where both are the same."""

    low: float
    high: float


class Device(Record, frozen=True, kw_only=True):
    """A phone, laptop or desktop as its owner has it.

    ``accelerator``: the unit of its chip that runs models, by id. ``app_memory``: what one app may
    take. [B] ``power``: of the device while a model runs for minutes. [W] ``sustained_share``: rate
    when it is hot over that of the first minutes. [1] ``battery``: energy of a full one [J], None:
    it has none, or nobody published it. ``assumed``: figures that stand in for those not published.
    """

    id: str
    name: str
    kind: DeviceKind
    accelerator: str
    app_memory: Span
    power: Span
    sustained_share: Span
    battery: float | None = None
    assumed: tuple[str, ...] = ()
