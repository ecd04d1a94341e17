"""What a hall adds to the power of its machines, and what it drinks, by place and cooling."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import numpy as np
from msgspec import structs

from clusterwright.errors import InputError
from clusterwright.facts import input_of, usual
from clusterwright.formulas import cooling as physics
from clusterwright.records import Record
from clusterwright.uncertain import Input, Model, known

if TYPE_CHECKING:
    from clusterwright.catalogue.figures import Entry
    from clusterwright.catalogue.store import Catalogue

Floats = Any
Bulb = Literal["dry", "wet", "both"]
Backup = Literal["any", "central", "rack"]

_OWN = ("supply", "rise", "approach", "condenser_approach", "moving", "rejection")
_USUAL = {
    "wiring_loss": "wiring-loss",
    "lighting": "lighting",
    "carnot_share": "carnot-share",
    "least_lift": "least-lift",
    "evaporator_approach": "evaporator-approach",
    "exhaust_rise": "exhaust-rise",
    "sensible_ratio": "sensible-ratio",
    "cooler_effectiveness": "cooler-effectiveness",
    "cycles": "cooling-cycles",
    "latent_heat": "latent-heat",
}
_READ = (
    *("mean_temperature", "coldest_month", "hottest_month", "daily_range", "weather_spread"),
    *("humidity", "humidity_coldest", "humidity_hottest", "ups_efficiency"),
    *_USUAL,
)
"""Inputs that every way of cooling has."""
MOST_YEARS = 4
"""Years of halls that are remembered: one has some hundred kilobytes."""
_BACKUPS: dict[Backup, str] = {
    "any": "ups-efficiency",
    "central": "ups-efficiency-central",
    "rack": "ups-efficiency-rack",
}


class Cooling(Record, frozen=True, kw_only=True):
    """A way to carry heat out, which takes a share of it; ``rest`` takes what is left.

    ``medium``: what reaches the servers. ``bulb``: the outdoor temperature that it works against:
    ``both`` is dry, and evaporation where that is too warm. ``economiser``: whether it does without
    the chiller where it can. ``inputs``: its figures. ``server_fans``: share of the servers' power
    that their fans take. [1]
    """

    id: str
    name: str
    medium: str
    bulb: Bulb
    economiser: bool
    inputs: dict[str, Input]
    server_fans: Input | None = None
    rest: Cooling | None = None


def cooling_named(catalogue: Catalogue, name: str) -> Cooling:
    """A way of cooling by id, name or alias.

    Raises
    ------
    UnknownNameError
        If there is none of that name; offers the nearest.
    InputError
        It takes a share of the heat and nothing takes the rest.

    >>> from clusterwright.facts import shipped
    >>> way = cooling_named(shipped(), "liquid")
    >>> way.id, way.rest.id
    ('direct-liquid', 'air-economiser')
    """
    entry = catalogue.entry("cooling", name)
    rest = entry.text("rest")
    way = _built(entry)
    return structs.replace(way, rest=_built(catalogue.entry("cooling", rest))) if rest else way


def _built(entry: Entry) -> Cooling:
    fans = entry.figure("server_fans")
    return Cooling(
        id=entry.id,
        name=entry.name,
        medium=entry.text("medium"),
        bulb=entry.data["bulb"],
        economiser=entry.data["economiser"],
        inputs={key: _own(entry, key) for key in _OWN} | {"share": _share(entry)},
        server_fans=None if fans is None else input_of(fans),
    )


def _own(entry: Entry, key: str) -> Input:
    figure = entry.figure(key)
    return known(0.0, why=f"{entry.name}: none") if figure is None else input_of(figure)


def _share(entry: Entry) -> Input:
    figure = entry.figure("liquid_share")
    if figure is None:
        return known(1.0, why=f"{entry.name}: all heat")
    if not entry.text("rest"):
        raise InputError(f"{entry.name} takes a share of the heat: name the `rest` that takes more")
    if not 0.0 < figure.value <= 1.0:
        raise InputError(f"{entry.name}: its liquid share is {figure.value:g}: write 1 or less")
    return input_of(figure)


def overhead_inputs(
    catalogue: Catalogue, climate: Mapping[str, Input], cooling: Cooling, *, backup: Backup = "any"
) -> dict[str, Input]:
    """All that `overhead_model` needs to know of a place's climate and a way of cooling.

    ``backup``: what bridges a loss of power, one ``central`` supply that converts twice, batteries
    in the ``rack`` or a supply that stands by; ``any`` of them where that is not known.
    """
    found = {**climate, **{key: usual(catalogue, name) for key, name in _USUAL.items()}}
    found["ups_efficiency"] = usual(catalogue, _BACKUPS[backup])
    for way, prefix in _ways(cooling):
        found |= {f"{prefix}{key}": one for key, one in way.inputs.items()}
    return found


def overhead_model(cooling: Cooling) -> Model:
    """A function from the inputs of `overhead_inputs` to what a year of the hall looks like.

    It returns ``pue`` and ``wue`` [L/J] over IT energy, and of the IT energy what goes into
    ``distribution``, ``moving`` (fans and pumps) and ``chillers``; ``free_share`` is the share of
    the heat that needs no chiller. [1]
    """
    ways = tuple(_Way.of(way, prefix) for way, prefix in _ways(cooling))
    names = (*_READ, *(name for way in ways for _, name in way.inputs))

    def model(given: Mapping[str, Floats]) -> dict[str, Floats]:
        arrays = ((name, np.asarray(given[name], dtype=float)) for name in names)
        found = _overhead(ways, tuple((name, a.shape, a.tobytes()) for name, a in arrays))
        return dict(found)

    return model


def _ways(cooling: Cooling) -> list[tuple[Cooling, str]]:
    """A way and what takes the rest, with what precedes the names of their inputs."""
    if cooling.rest is None:
        return [(cooling, "")]
    return [(cooling, ""), (cooling.rest, "rest_")]


class _Way(NamedTuple):
    """What of a way of cooling decides, its figures apart; ``inputs``: own names and given ones."""

    bulb: Bulb
    economiser: bool
    inputs: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, way: Cooling, prefix: str) -> Self:
        return cls(way.bulb, way.economiser, tuple((key, f"{prefix}{key}") for key in way.inputs))


@lru_cache(maxsize=MOST_YEARS)
def _overhead(
    ways: tuple[_Way, ...], given: tuple[tuple[str, tuple[int, ...], bytes], ...]
) -> dict[str, Floats]:
    """A year of a hall; the same inputs come again and again where other things are asked."""
    x = {name: np.frombuffer(data).reshape(shape) for name, shape, data in given}
    year = _year(x)
    lost = physics.distribution_loss(x["ups_efficiency"], x["wiring_loss"], x["lighting"])
    total: dict[str, Floats] = dict.fromkeys(("cooling", "chillers", "free_share", "water"), 0.0)
    left: Floats = 1.0
    for place, way in enumerate(ways):
        own = {key: x[name] for key, name in way.inputs}
        share = left if place else own["share"]
        left = left - share
        for key, value in _plant(way, own, x, year).items():
            total[key] = total[key] + share * np.mean(value, axis=0)
    heat = 1.0 + lost
    return {
        "pue": physics.power_usage_effectiveness(lost, total["cooling"]),
        "wue": physics.water_usage_effectiveness(
            heat, total["water"], x["latent_heat"], x["cycles"]
        ),
        "distribution": lost,
        "moving": heat * (total["cooling"] - total["chillers"]),
        "chillers": heat * total["chillers"],
        "free_share": total["free_share"],
    }


def _year(given: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """Dry and wet bulb over a year; a wet bulb varies as its months do beside the dry one's."""
    cold, hot = given["coldest_month"], given["hottest_month"]
    spread = physics.climate_spread(cold, hot, given["daily_range"], given["weather_spread"])
    mean = given["mean_temperature"]
    wet_cold = physics.wet_bulb(cold, given["humidity_coldest"])
    wet_hot = physics.wet_bulb(hot, given["humidity_hottest"])
    # Where all months are alike the quotient says nothing: a wet bulb then moves as the dry one.
    season = hot - cold
    slope = np.where(season > 1.0, (wet_hot - wet_cold) / np.maximum(season, 1.0), 1.0)
    dry = physics.yearly_temperatures(mean, spread)
    wet = physics.yearly_temperatures(
        physics.wet_bulb(mean, given["humidity"]), spread * np.clip(slope, 0.0, 1.0)
    )
    return dry, np.minimum(wet, dry)


def _plant(
    way: _Way,
    own: Mapping[str, Floats],
    given: Mapping[str, Floats],
    year: tuple[Floats, Floats],
) -> dict[str, Floats]:
    """Powers and water of one plant over its heat, for each temperature of the year."""
    dry, wet = year
    inside = (own["supply"], own["rise"], own["approach"])
    cooled = dry - given["cooler_effectiveness"] * (dry - wet)
    outdoor = {"dry": dry, "wet": wet, "both": cooled}[way.bulb]
    free = physics.free_share(outdoor, *inside) if way.economiser else np.zeros_like(dry)
    performance = physics.chiller_cop(
        own["supply"] - given["evaporator_approach"],
        (wet if way.bulb == "wet" else dry) + own["condenser_approach"],
        given["carnot_share"],
        given["least_lift"],
    )
    chilled = (1.0 - free) / performance
    water: Floats = np.zeros_like(dry)
    if way.bulb == "wet":
        evaporated = physics.evaporative_heat(
            dry, wet, given["exhaust_rise"], given["sensible_ratio"]
        )
        water = np.maximum(evaporated, 0.0) * (1.0 + chilled)
    elif way.bulb == "both":
        water = physics.evaporated_share(dry, *inside) - physics.evaporated_share(cooled, *inside)
    return {
        "cooling": physics.cooling_power(own["moving"], own["rejection"], free, performance),
        "chillers": chilled,
        "free_share": free,
        "water": water,
    }
