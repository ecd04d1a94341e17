"""Questions about long runs and sites: the same calls as ``fleet`` and ``site``."""

from __future__ import annotations

from typing import get_args

from clusterwright.asking import whole_number
from clusterwright.asking_run import ask_run
from clusterwright.asking_site import ask_site
from clusterwright.fleet.outlook import look_ahead
from clusterwright.fleet.records import Tier
from clusterwright.site.fabric import NetworkOptions
from clusterwright.site.outlook import look_at_site
from clusterwright.sweep.kept import Kept, with_interval
from clusterwright.sweep.options import Option, picked
from clusterwright.sweep.training import LOCATION, Found, Values, site_options

MACHINE = {
    "target": Option("text"),
    "accelerator": Option("name", "accelerators"),
    "accelerators": Option("count"),
}
TIME = Option("quantity", "s")
FLEET = {
    **MACHINE,
    "model": Option("model"),
    "parameters": Option("count"),
    "days": TIME,
    "work": TIME,
    "rate": Option("quantity", "1/s"),
    "tier": Option("words", ("auto", *get_args(Tier))),
    "interval": TIME,
    "storage": Option("quantity", "B/s"),
    "detect": TIME,
    "restart": TIME,
    "exchange": TIME,
    "regroup": TIME,
    "pause": TIME,
    "spares": Option("whole"),
    "replica": Option("count"),
    "elastic": Option("flag"),
    "stragglers": Option("share"),
    "draws": Option("count"),
    "seed": Option("whole"),
}
FLEET_RESULTS = {
    "goodput": "1",
    "closed_form": "1",
    "duration": "s",
    "interruptions": "1",
    "failures": "1/s",
    "between_failures": "s",
    "checkpoint_every": "s",
    "standby": "1",
    "waited": "1",
}
"""Results and their dimensions. ``closed_form``: goodput without what chance makes of it;
``standby``: spare nodes; ``waited``: share of runs that ever wait for one."""
FLEET_POINTS = ("checkpoint_every", "standby", "waited")
"""Results that come without an interval."""
FABRIC = {
    "switch": Option("text", changes="site"),
    "tiers": Option("count", changes="site"),
    "oversubscription": Option("number", changes="site"),
    "rails": Option("count", changes="site"),
    "copper": Option("flag", changes="site"),
}
SITE = {**MACHINE, **LOCATION, **FABRIC}
SITE_RESULTS = {
    **dict.fromkeys(("nameplate", "expected", "observed_peak", "idle"), "W"),
    **dict.fromkeys(("it_nameplate", "it_expected", "network_watts", "storage_watts"), "W"),
    "pue_found": "1",
    "wue": "L/J",
    "energy": "J",
    "bill": "USD",
    **dict.fromkeys(("emitted", "emitted_market", "made"), "kg"),
    **dict.fromkeys(("water", "grid_water"), "L"),
    "network_dollars": "USD",
    "racks": "1",
    "capex": "USD",
    "cost": "USD",
    **dict.fromkeys(("hour", "used_hour"), "USD/s"),
}
"""Results and their dimensions, as `site_model` has them."""
CALLED = {
    "pue": "pue_found",
    "carbon": "emitted",
    "carbon_market": "emitted_market",
    "carbon_made": "made",
    "used": "used_hour",
}
"""Results that go by another name here, since an option has theirs or a neighbour does."""


def fleet(values: Values, kept: Kept) -> Found:
    """How a row's run is likely to go; `look_ahead`."""
    given = picked(values, FLEET)
    found = look_ahead(
        ask_run(given.pop("target", None), catalogue=kept.facts, **given), depth=False
    )
    numbers = {
        **with_interval("goodput", found.goodput),
        **with_interval("closed_form", found.closed_form),
        **with_interval("duration", found.duration),
        **with_interval("interruptions", found.interruptions),
        **with_interval("failures", found.failure_rate),
        **with_interval("between_failures", found.between),
        "checkpoint_every": found.chosen.interval,
        "standby": float(found.spares),
        "waited": found.waited,
    }
    return numbers, f"tier={found.chosen.tier}"


def site(values: Values, kept: Kept) -> Found:
    """What a row's site takes; `look_at_site`."""
    machine, fabric = picked(values, MACHINE), picked(values, FABRIC)
    for name in ("tiers", "rails"):
        if name in fabric:
            fabric[name] = whole_number(fabric[name], f"--{name}")
    question = ask_site(
        machine.pop("target", None),
        options=site_options(values, network=NetworkOptions(**fabric)),
        catalogue=kept.facts,
        **machine,
    )
    outlook = look_at_site(question, depth=False)
    numbers: dict[str, float] = {}
    for name, likely in outlook.likely.items():
        called = CALLED.get(name, name)
        if called in SITE_RESULTS:
            numbers |= with_interval(called, outlook.results[name]) | {called: likely}
    return numbers, "" if question.cooling is None else f"cooling={question.cooling.id}"
