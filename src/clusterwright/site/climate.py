"""Places: what their electricity emits and costs, and how warm they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from clusterwright.errors import InputError
from clusterwright.facts import input_of, usual
from clusterwright.records import Record
from clusterwright.uncertain import Input

if TYPE_CHECKING:
    from clusterwright.catalogue.figures import Entry, Figure
    from clusterwright.catalogue.store import Catalogue

RECENT = 3
"""Figures of that many years up to the one used make its range."""
_EARTH = 6371e3
_CLIMATE = ("mean_temperature", "coldest_month", "hottest_month")
_WORDS = {"grid_carbon": "emissions of electricity", "tariff": "price of electricity"}


class Region(Record, frozen=True, kw_only=True):
    """A place. What nobody published of it is None, or empty, and is not made up.

    ``grid_carbon``: location-based emissions of electricity [kg/J], ``tariff``: its price for
    industry [USD/J], each as of a year. ``climate``: inputs of `cooling.overhead_model`, empty
    where its temperatures are not known. ``assumed``: what stands in, or was taken from the
    country that it lies in.
    """

    id: str
    name: str
    country: str
    latitude: float | None = None
    longitude: float | None = None
    grid_carbon: Input | None = None
    grid_year: int | None = None
    tariff: Input | None = None
    tariff_year: int | None = None
    climate: dict[str, Input] = {}
    assumed: tuple[str, ...] = ()


def region_named(catalogue: Catalogue, name: str, *, year: int | None = None) -> Region:
    """A place by id, name or alias, with the latest figures up to a year.

    Emissions and prices may be those of what it lies in, up to its country; temperatures may not.

    Raises
    ------
    UnknownNameError
        If there is none of that name; offers the nearest.

    >>> from clusterwright.facts import shipped
    >>> place = region_named(shipped(), "Abilene")
    >>> place.country, place.grid_year, place.assumed[0]
    ('usa', 2025, 'emissions of electricity as in Texas (ERCOT)')
    """
    entry = catalogue.entry("regions", name)
    assumed: list[str] = []
    found: dict[str, tuple[int, Input] | tuple[None, None]] = {}
    for key, words in _WORDS.items():
        holder = _holder(catalogue, entry, key, home=True)
        found[key] = (None, None) if holder is None else _latest(holder, key, year)
        if holder is not None and holder.id != entry.id:
            assumed.append(f"{words} as in {holder.name}")
    climate = _climate(catalogue, entry, assumed)
    return Region(
        id=entry.id,
        name=entry.name,
        country=entry.text("country") or entry.id,
        latitude=entry.data.get("latitude"),
        longitude=entry.data.get("longitude"),
        grid_carbon=found["grid_carbon"][1],
        grid_year=found["grid_carbon"][0],
        tariff=found["tariff"][1],
        tariff_year=found["tariff"][0],
        climate=climate,
        assumed=tuple(assumed),
    )


def nearest_region(catalogue: Catalogue, name: str, key: str) -> str | None:
    """Id of the place to offer for one that lacks ``grid_carbon``, ``tariff`` or ``climate``.

    For electricity what it lies in comes first; then, as for temperatures, whatever is nearest.

    >>> from clusterwright.facts import shipped
    >>> nearest_region(shipped(), "ulanqab", "climate"), nearest_region(shipped(), "uae", "tariff")
    ('inner-mongolia', 'asia')
    """
    entry = catalogue.entry("regions", name)
    if key in _WORDS:
        holder = _holder(catalogue, entry, key, home=False)
        if holder is not None:
            return holder.id
    others = [
        (_distance(entry, other), other.id)
        for other in catalogue.entries("regions").values()
        if other.id != entry.id and _has(other, key)
    ]
    return min(others)[1] if others and math.isfinite(min(others)[0]) else None


def distance(catalogue: Catalogue, one: str, other: str) -> float:
    """How far two places are from each other, infinite where nobody says where they are. [m]"""
    return _distance(catalogue.entry("regions", one), catalogue.entry("regions", other))


def require_climate(catalogue: Catalogue, region: Region) -> dict[str, Input]:
    """The temperatures of a place.

    Raises
    ------
    InputError
        Nobody gave them; the nearest place that has them is offered.
    """
    if region.climate:
        return region.climate
    entry = catalogue.entry("regions", region.id)
    blank = [key.replace("_", " ") for key in _CLIMATE if entry.figure(key) is None]
    words = "temperatures" if len(blank) == len(_CLIMATE) else f"temperature ({', '.join(blank)})"
    raise InputError(_lacking(catalogue, region, "climate", words))


def require_grid(catalogue: Catalogue, region: Region) -> Input:
    """The emissions of a place's electricity.

    Raises
    ------
    InputError
        Nobody gave them; the nearest place that has them is offered.
    """
    if region.grid_carbon is not None:
        return region.grid_carbon
    raise InputError(_lacking(catalogue, region, "grid_carbon", _WORDS["grid_carbon"]))


def require_tariff(catalogue: Catalogue, region: Region) -> Input:
    """The price of a place's electricity.

    Raises
    ------
    InputError
        Nobody gave it; the nearest place that has one is offered.
    """
    if region.tariff is not None:
        return region.tariff
    raise InputError(_lacking(catalogue, region, "tariff", _WORDS["tariff"]))


def _lacking(catalogue: Catalogue, region: Region, key: str, words: str) -> str:
    other = nearest_region(catalogue, region.id, key)
    offer = f"the nearest place with a figure is {other!r}" if other else "no place nearby has any"
    option = {"grid_carbon": "--carbon", "tariff": "--tariff", "climate": "--pue"}[key]
    region_too = f"--region {other}, " if other else ""
    return (
        f"no {words} known for {region.name}: {offer}; give {region_too}{option}, or a TOML file "
        f"of your own"
    )


def _has(entry: Entry, key: str) -> bool:
    if key in _WORDS:
        return bool(entry.figures(key))
    return all(entry.figure(part) is not None for part in _CLIMATE)


def _holder(catalogue: Catalogue, entry: Entry, key: str, *, home: bool) -> Entry | None:
    """The place itself or the smallest that it lies in with a figure; ``home``: in its country."""
    country, passed = entry.text("country") or entry.id, {entry.id}
    place = entry
    while not _has(place, key):
        parent = place.text("parent")
        if not parent or (home and place.id == country):
            return None
        place = catalogue.entry("regions", parent)
        if place.id in passed:
            raise InputError(f"region {place.id!r} lies in itself: mend its `parent`")
        passed.add(place.id)
    return place


def _latest(entry: Entry, key: str, year: int | None) -> tuple[int, Input]:
    """The figure of the latest year up to ``year``; recent years and other sources range it."""
    figures = {int(word): figure for word, figure in entry.figures(key).items()}
    past = [one for one in figures if year is None or one <= year] or [min(figures)]
    latest = max(past)
    recent = [figures[one] for one in past if one > latest - RECENT]
    values = [value for figure in recent for value in _said(figure)]
    chosen = input_of(figures[latest], why=f"{entry.name}, {latest}: {figures[latest].source}")
    low, high = min(values), max(values)
    return latest, Input(
        value=chosen.value, low=low, high=high, dimension=chosen.dimension, why=chosen.why
    )


def _said(figure: Figure) -> list[float]:
    return [figure.value, *(other.value for other in figure.disagrees)]


def _distance(one: Entry, other: Entry) -> float:
    """Along the surface of the Earth. [m]"""
    keys = ("latitude", "longitude")
    if any(key not in entry.data for entry in (one, other) for key in keys):
        return math.inf
    degrees = [entry.data[key] for entry in (one, other) for key in keys]
    north, east, to_north, to_east = map(math.radians, degrees)
    half = math.sin((to_north - north) / 2) ** 2
    half += math.cos(north) * math.cos(to_north) * math.sin((to_east - east) / 2) ** 2
    return 2 * _EARTH * math.asin(math.sqrt(half))


def _climate(catalogue: Catalogue, entry: Entry, assumed: list[str]) -> dict[str, Input]:
    if not _has(entry, "climate"):
        return {}
    found = {key: _spoken(entry.require(key)) for key in _CLIMATE}
    found["weather_spread"] = usual(catalogue, "weather-spread")
    low, high = entry.value("mean_low"), entry.value("mean_high")
    if low is not None and high is not None:
        why = f"{entry.name}: mean extremes of a day"
        found["daily_range"] = Input(
            value=high - low, low=high - low, high=high - low, dimension="dK", why=why
        )
    else:
        found["daily_range"] = usual(catalogue, "daily-range")
        assumed.append(f"the temperature of a day ranges over {found['daily_range'].value:g} K")
    humidity = entry.figure("humidity")
    mean = usual(catalogue, "humidity") if humidity is None else _spoken(humidity)
    if humidity is None:
        assumed.append(f"relative humidity of {mean.value:.0%}")
    for key in ("humidity_coldest", "humidity_hottest"):
        figure = entry.figure(key)
        found[key] = mean if figure is None else _spoken(figure)
    found["humidity"] = mean
    _check(entry, found)
    return found


def _check(entry: Entry, climate: dict[str, Input]) -> None:
    if climate["coldest_month"].value > climate["hottest_month"].value:
        raise InputError(f"{entry.name}: its coldest month is warmer than its hottest: swap them")
    for key in ("humidity", "humidity_coldest", "humidity_hottest"):
        if not 0.0 < climate[key].value <= 1.0:
            raise InputError(
                f"{entry.name}: its {key.replace('_', ' ')} is {climate[key].value:g}: "
                f"write a share of 1, such as 65 %"
            )


def _spoken(figure: Figure) -> Input:
    """A figure whose range is what all its sources say."""
    values, chosen = _said(figure), input_of(figure)
    low, high = min([chosen.low, *values]), max([chosen.high, *values])
    return Input(value=chosen.value, low=low, high=high, dimension=chosen.dimension, why=chosen.why)
