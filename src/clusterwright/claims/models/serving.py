"""Models of claims about serving: one machine, two side by side, a whole service."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from clusterwright.asking_serving import ask_serving
from clusterwright.catalogue.store import Catalogue
from clusterwright.claims.given import Given
from clusterwright.claims.models.answer import Answer, Floats, drawn, spread
from clusterwright.errors import InfeasibleError, InputError
from clusterwright.planner_serving import front_of, plan_serving, server_of
from clusterwright.planner_serving_fleet import ask_fleet, plan_fleet, plan_measured
from clusterwright.serving.estimating import intervals_for, limits_of
from clusterwright.serving.fleet import FleetPlan
from clusterwright.serving.plan import FrontPoint, ServingPlan
from clusterwright.site.prices import price_of
from clusterwright.uncertain import Interval
from clusterwright.units import format_count

YEAR = 365.0 * 86_400.0
"""As contracts and the press count it. [s]"""
PLACE = ("cluster", "accelerator", "accelerators", "weights", "engine")
LOAD = ("prompt", "output", "ttft", "tpot")
SERVICE = ("regions", "peak", "headroom")
MOST = str(10**8)
Words = tuple[tuple[str, str], ...]
"""Words by name, so that the same question is answered once."""


def serving(given: Given) -> Answer:
    """The plan of a service on one kind of machine.

    Results: ``accelerators`` [1], ``accelerator_rate`` and ``user_rate``: tokens a second of each
    accelerator and each user [1/s], ``energy`` of an output token at board power [J], ``ttft`` [s].
    """
    model = given.text("model")
    words = given.texts("rate", *PLACE, *LOAD)
    found = _plan(given.catalogue, model, tuple(words.items()))
    best = found.best
    results = {
        "accelerators": float(best.accelerators),
        "accelerator_rate": best.output_rate / best.accelerators,
        "user_rate": best.user_rate,
        "ttft": best.ttft.mean,
    }
    if best.energy is not None:
        results["energy"] = best.energy
    units = {
        "accelerators": "1",
        "accelerator_rate": "1/s",
        "user_rate": "1/s",
        "energy": "J",
        "ttft": "s",
    }
    return Answer(results=results, dimensions=units, assumed=found.question.assumed)


def serving_gain(given: Given) -> Answer:
    """How much more one machine serves than another, at the same speed for each user.

    ``user_rate``: tokens a second that a user sees. Results: ``gain`` in tokens a second of each
    accelerator, ``energy_gain`` in tokens for each joule at board power [1]; ``new_rate``,
    ``old_rate``: of each accelerator [1/s].
    """
    model = given.text("model")
    load = given.texts(*LOAD)
    sides = {
        side: {
            name: given.text(f"{side}_{name}")
            for name in ("accelerator", "accelerators", "weights", "engine")
            if given.has(f"{side}_{name}")
        }
        for side in ("new", "old")
    }
    seen = drawn({"user_rate": given.quantity("user_rate", "1/s")})["user_rate"]
    rates: dict[str, Floats] = {}
    powers: dict[str, float] = {}
    for side, place in sides.items():
        chip = given.catalogue.accelerator(place.get("accelerator", ""))
        if chip.board_power is None:
            raise InputError(f"nobody published the board power of {chip.id}")
        powers[side] = chip.board_power
        found, error = _front(given.catalogue, model, tuple({**place, **load}.items()))
        rates[side] = _rate_at(found, seen, chip.name) * spread(error, seed=len(rates) + 1)
    gain = rates["new"] / rates["old"]
    results = {
        "gain": gain,
        "energy_gain": gain * powers["old"] / powers["new"],
        "new_rate": rates["new"],
        "old_rate": rates["old"],
    }
    said = "tokens a second at closed form, the best cut of each machine at each speed"
    units = {"gain": "1", "energy_gain": "1", "new_rate": "1/s", "old_rate": "1/s"}
    return Answer(results=results, dimensions=units, assumed=(said,))


def serving_fleet(given: Given) -> Answer:
    """How many accelerators a whole service takes, by a plan or by a fleet that is known to serve.

    With ``model``: by a plan. Otherwise by what one accelerator was ``measured`` to do, or by
    ``users`` with so many ``answers`` a day whom ``served_by`` accelerators serve. ``price``: of
    an accelerator's hour, or ``rented``: the day whose rents count. Results: ``accelerators`` [1],
    ``rate`` of requests for each [1/s]; with a price ``cost`` of a year and ``request_cost``
    [USD]; ``power`` at board power [W].
    """
    rate = given.quantity("rate", "1/s").value
    service = given.texts(*SERVICE)
    found = (
        _by_model(given, rate, service) if given.has("model") else _measured(given, rate, service)
    )
    count = _spread(found)
    results: dict[str, Floats] = {"accelerators": count, "rate": rate / count}
    price = _price(given)
    if price is not None:
        results["cost"] = price * count * YEAR
        results["request_cost"] = price * count / rate
    if found.power is not None:
        results["power"] = found.power
    units = {"accelerators": "1", "rate": "1/s", "cost": "USD", "request_cost": "USD", "power": "W"}
    return Answer(results=results, dimensions=units, assumed=_fleet_words(found))


def _spread(found: FleetPlan) -> Floats:
    """Accelerators that a fleet takes, as uncertain as what its replicas are predicted to do."""
    if found.largest is None:
        return float(found.accelerators)
    best = found.largest.best
    low, high = (best.saturation / limit for limit in reversed(best.limits))
    ends = sorted((low, 1.0, high))
    one = Interval(low=ends[0], middle=1.0, high=ends[-1])
    return found.accelerators * spread(one, seed=1)


def _price(given: Given) -> Floats:
    """Of an accelerator and second [USD/s]; None: none is given."""
    if given.has("price"):
        return drawn({"price": given.quantity("price", "USD/s")})["price"]
    if not given.has("rented"):
        return None
    chip, day = given.text("accelerator"), given.text("rented")
    found = price_of(chip, "on-demand", day=day, catalogue=given.catalogue)
    return drawn({"price": found.as_input()})["price"]


def _by_model(given: Given, rate: float, service: Mapping[str, str]) -> FleetPlan:
    words = tuple(given.texts(*PLACE, *LOAD).items())
    return _fleet(given.catalogue, given.text("model"), rate, tuple(service.items()), words)


def _measured(given: Given, rate: float, service: Mapping[str, str]) -> FleetPlan:
    size = given.text("server", "8")
    power = None
    if given.has("accelerator"):
        power = given.catalogue.accelerator(given.text("accelerator")).board_power
    question = ask_fleet(rate, **_service(service))
    return plan_measured(question, _rate_measured(given), size=size, power=power)


def _rate_measured(given: Given) -> float:
    """Requests that one accelerator was seen to serve. [1/s]"""
    if given.has("measured"):
        return given.quantity("measured", "1/s").value
    users, answers = given.quantity("users", "1").value, given.quantity("answers", "1/s").value
    return users * answers / given.quantity("served_by", "1").value


def _service(words: Mapping[str, str]) -> dict[str, Any]:
    """The words of a service with numbers where numbers are due."""
    found: dict[str, Any] = dict(words)
    for name in ("peak", "headroom"):
        if name in words:
            try:
                found[name] = float(words[name])
            except ValueError:
                raise InputError(f"{name!r} is {words[name]!r}, but must be a number") from None
    return found


def _fleet_words(found: FleetPlan) -> tuple[str, ...]:
    if found.largest is None:
        return (f"{found.used:.0%} of what it is sized for is used on average",)
    best = found.largest.best
    each = format_count(best.saturation / best.accelerators)
    said = f"each takes {each} requests/s at most, by plan fleet"
    return (said, *found.largest.question.assumed)


def _rate_at(front: tuple[FrontPoint, ...], seen: Floats, name: str) -> Floats:
    """Tokens a second of an accelerator when each user sees so many. [1/s]"""
    users = np.array([point.user_rate for point in front])[::-1]
    each = np.array([point.accelerator_rate for point in front])[::-1]
    if np.max(seen) > users[-1]:
        raise InfeasibleError(
            f"{name} gives a user {users[-1]:.3g} tokens/s at most, not {float(np.max(seen)):.3g}: "
            f"lower 'user_rate'"
        )
    return np.interp(seen, users, each)


@lru_cache(maxsize=32)
def _plan(catalogue: Catalogue, model: str, words: Words) -> ServingPlan:
    asked: dict[str, Any] = dict(words)
    return plan_serving(ask_serving(model, catalogue=catalogue, **asked), catalogue=catalogue)


@lru_cache(maxsize=32)
def _front(
    catalogue: Catalogue, model: str, words: Words
) -> tuple[tuple[FrontPoint, ...], Interval]:
    """What users and accelerators get, and measured over predicted throughput of runs alike."""
    asked: dict[str, Any] = {"rate": "1/s", **dict(words)}
    question = ask_serving(model, catalogue=catalogue, **asked)
    low, high = limits_of(1.0, intervals_for(server_of(question, catalogue)))
    error = Interval(low=min(low, 1.0), middle=1.0, high=max(high, 1.0))
    return front_of(question, catalogue=catalogue), error


@lru_cache(maxsize=32)
def _fleet(
    catalogue: Catalogue, model: str, rate: float, service: Words, words: Words
) -> FleetPlan:
    asked: dict[str, Any] = {"rate": rate, "accelerators": MOST, **dict(words)}
    question = ask_serving(model, catalogue=catalogue, **asked)
    return plan_fleet(ask_fleet(rate, **_service(dict(service))), question, catalogue=catalogue)
