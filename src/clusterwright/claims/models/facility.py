"""Models of claims about what stands: builds, prices, fleets counted in H100."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from clusterwright.asking import whole_number
from clusterwright.asking_build import ask_build
from clusterwright.catalogue.store import Catalogue
from clusterwright.claims.given import Given
from clusterwright.claims.models.answer import Answer, Floats, drawn
from clusterwright.errors import InputError
from clusterwright.hardware import peak_rate
from clusterwright.planner_build import plan_build
from clusterwright.site.costs import server_price
from clusterwright.site.prices import construction_price_of, price_of
from clusterwright.uncertain import Input, Interval
from clusterwright.units import format_quantity

BUILD = ("path", "bridge", "clock", "power", "power_now", "bridge_power", "per_rack")
Words = tuple[tuple[str, str], ...]


def build(given: Given) -> Answer:
    """How long a cluster takes to build.

    ``then``: accelerators of an enlargement that follows. Results: ``time`` until all is accepted,
    ``all_up``, ``first`` tenth [s]; ``later``: of the enlargement from its own start [s]; ``pace``:
    accelerators a unit of time over the whole build [1/s].
    """
    words = given.texts("cluster", *BUILD, "shifts", "racks_per_day", "then", "task", "done")
    found = _built(given.catalogue, tuple(words.items()))
    finish, count = found["time"], found.pop("count")
    results: dict[str, Any] = dict(found)
    results["pace"] = Interval(
        low=count / finish.high, middle=count / finish.middle, high=count / finish.low
    )
    return Answer(results=results, assumed=found.pop("assumed", ()))


def prices(given: Given) -> Answer:
    """What so many accelerators cost on a day.

    Results: ``price`` of one, ``total``; where asked by ``basis`` (see ``site.prices``), a rent is
    by the time [USD/s]. ``basis = "servers"``: each with its part of a server.
    """
    name, day = given.text("accelerator"), given.text("day")
    basis = given.text("basis", "purchase")
    if basis == "servers":
        one = server_price(name, day=day, catalogue=given.catalogue)
    else:
        one = price_of(name, basis, day=day, catalogue=given.catalogue).as_input()
    x = drawn({"price": one, "count": given.quantity("accelerators", "1", "1")})
    results = {"price": x["price"], "total": x["price"] * x["count"]}
    return Answer(results=results, assumed=(one.why,))
