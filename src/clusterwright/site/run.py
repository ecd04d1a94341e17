"""What a whole run takes: wall-clock time with failures, power, energy, carbon and money.

One function of named inputs, which may be arrays: those of `clusterwright.fleet.goodput` and of
`clusterwright.site.carbon.footprint`, and

``run_time``: of the run if nothing failed. [s] ``node_power``, ``idle_power``: of a node per
accelerator, rated and with nothing to do [W]; ``drawn_share``, ``peak_share``: of the rated power
while it trains, on average and at most. [1] ``other_power``: of network and storage per
accelerator. [W] ``pue``: facility over IT power. [1] ``speed``: under a power cap, over without.
[1] ``hour_price``: of an accelerator. [USD/s] Where a plan says what the step consists of, its
phases (`clusterwright.site.phases`) take the place of ``drawn_share``.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from clusterwright.errors import InputError
from clusterwright.fleet.goodput import (
    INPUTS,
    TIERS,
    checkpoints,
    goodput,
    intervals_for,
    simplest_tier,
)
from clusterwright.fleet.records import RunQuestion, Tier
from clusterwright.formulas.power import device_energy, part_load
from clusterwright.records import Record
from clusterwright.site.carbon import footprint
from clusterwright.site.phases import LEVELS, load_of
from clusterwright.uncertain import Floats, Input, Interval, draw, interval_of, known, likely

SITE_INPUTS = frozenset(
    (
        *("node_power", "idle_power", "drawn_share", "peak_share", "other_power", "pue", "speed"),
        *("grid_carbon", "contracted_share", "grid_water", "made_accelerator", "made_server"),
        *("node_size", "life", *LEVELS),
    )
)
"""What the account of a run counts on of its site; ``hour_price`` only where there is a price."""
Plan = tuple[float, float]
"""Work between checkpoints of a tier and of the storage behind it. [s]"""


class RunSite(Record, frozen=True, kw_only=True):
    """Where a run is made, as inputs of its account.

    ``failures``: the run as `clusterwright.fleet` asks for it. ``inputs``: as above, without the
    run's time and the step's phases. ``region``, ``priced``: where, and what the price is of, in
    words. ``cap``: on the power of an accelerator. [W]
    """

    failures: RunQuestion
    inputs: dict[str, Input]
    region: str
    priced: str
    cap: float | None = None
    assumed: tuple[str, ...] = ()


class RunAccount(Record, frozen=True, kw_only=True):
    """What a run takes, each with its interval.

    ``wall``: time with failures. [s] ``goodput``: share of it that stands. [1] ``between``: mean
    time between failures. [s] ``tier``, ``interval`` [s]: of its checkpoints. ``power``: of the
    site while it runs, on average, and ``peak``: at most. [W] ``energy`` [J], ``carbon``: of that
    energy, and ``made``: its share of making the machines. [kg] ``cost`` [USD], None: nobody
    published a price. ``speed``: under the site's power cap, over without. [1]
    """

    wall: Interval
    goodput: Interval
    between: Interval
    tier: Tier
    interval: float
    power: Interval
    peak: Interval
    energy: Interval
    carbon: Interval
    made: Interval
    cost: Interval | None
    region: str
    priced: str
    speed: float = 1.0

    @property
    def ends(self) -> bool:
        """Whether the run gets anywhere; where it does not, no time or price says anything."""
        return self.goodput.middle >= LEAST_GOODPUT


NEVER = 1e39
"""In place of no end, which a saved plan has no number for. [s, J, kg or USD]"""
LEAST_GOODPUT = 1e-3
"""Below it how long a run takes is a matter of chance. [1]"""


def check_complete(site: RunSite) -> None:
    """Refuse a site that was saved before all was counted that is counted now.

    Raises
    ------
    InputError
        An input is missing.
    """
    lacking = sorted((INPUTS - site.failures.inputs.keys()) | (SITE_INPUTS - site.inputs.keys()))
    if lacking:
        raise lacks(*lacking)


def lacks(*names: str) -> InputError:
    """What is said of a saved plan without inputs that an account rests on."""
    words = ", ".join(repr(name) for name in names)
    return InputError(
        f"the saved plan says nothing of {words}, which this version counts on: plan it anew with "
        f"--save"
    )


def account(
    site: RunSite, run_time: Input, count: int, shares: Mapping[str, float] | None = None
) -> RunAccount:
    """What a run takes on ``count`` accelerators, checkpoints kept the best way.

    Parameters
    ----------
    site
        Where it is made.
    run_time
        How long it would take if nothing failed. [s]
    count
        Accelerators that it works on.
    shares
        Of the step's time by what keeps them busy, from `shares_of`; None: not known.

    Raises
    ------
    InputError
        The site is from a plan saved by a version that counted on less.
    """
    check_complete(site)
    question = _resized(site.failures, count)
    phases = {name: known(share) for name, share in (shares or {}).items()}
    inputs = {**question.inputs, **site.inputs, **phases, "run_time": run_time}
    centre = likely(inputs)
    tier, plan = best_tier(question, centre)
    found = {
        name: interval_of(np.minimum(draws, NEVER))
        for name, draws in run_model(question, tier, plan, draw(inputs)).items()
    }
    return RunAccount(
        wall=found["wall"],
        goodput=found["goodput"],
        between=found["between"],
        tier=tier,
        interval=plan[0],
        power=found["power"],
        peak=found["peak"],
        energy=found["energy"],
        carbon=found["carbon"],
        made=found["made"],
        cost=found.get("cost"),
        region=site.region,
        priced=site.priced,
        speed=float(centre["speed"]),
    )


def run_model(
    question: RunQuestion, tier: Tier, plan: Plan, x: Mapping[str, Floats]
) -> dict[str, Floats]:
    """All that a run takes, by name, in SI; without goodput it never ends, and takes no end."""
    found = goodput(question, tier, plan, x)
    with np.errstate(divide="ignore"):
        wall = x["run_time"] / x["speed"] / found["goodput"]
    # While the job starts anew its nodes have little to do; what is lost is work all the same.
    again = x["detection"] + x["restart"] + checkpoints(question, tier, x).load
    busy = 1.0 - _at_most_one(found["failure_rate"] * again)
    drawn = part_load(x["idle_power"], _working(x), busy)
    power = question.accelerators * (drawn + x["other_power"]) * x["pue"]
    energy = device_energy(wall, power, 1.0)
    emitted = footprint(
        {
            **x,
            "energy": energy,
            "it_energy": 0.0,  # for its water alone, which no account has
            "wue": 0.0,
            "accelerators": question.accelerators,
            "duration": wall,
        }
    )
    results = {
        "wall": wall,
        "goodput": found["goodput"],
        "between": found["between"],
        "power": power,
        "peak": _peak(question.accelerators, x),
        "energy": energy,
        "carbon": emitted["location"],
        "made": emitted["made"],
    }
    if "hour_price" in x:
        results["cost"] = question.accelerators * wall * x["hour_price"]
    return results


def _working(x: Mapping[str, Floats]) -> Floats:
    """Power of a node per accelerator while the job works. [W]"""
    if "compute_share" not in x:
        return x["node_power"] * x["drawn_share"]
    return part_load(x["idle_power"], x["node_power"] * x["peak_share"], load_of(x))


def _peak(count: int, x: Mapping[str, Floats]) -> Floats:
    """The most that the site was seen to draw with such machines. [W]"""
    most = np.maximum(x["drawn_share"], x["peak_share"])
    return count * (x["node_power"] * most + x["other_power"]) * x["pue"]


def _resized(question: RunQuestion, count: int) -> RunQuestion:
    """The same question of another number of accelerators; shared storage stays what it is."""
    return msgspec.structs.replace(question, accelerators=count)


def best_tier(question: RunQuestion, centre: Mapping[str, Floats]) -> tuple[Tier, Plan]:
    """The way to keep checkpoints that `clusterwright.fleet` would choose, by closed form."""
    wanted = TIERS if question.tier is None else (question.tier,)
    plans: dict[Tier, Plan] = {tier: intervals_for(question, tier, centre) for tier in wanted}
    reached = {
        tier: float(goodput(question, tier, plan, centre)["goodput"])
        for tier, plan in plans.items()
    }
    best = simplest_tier(reached, question.tier)
    return best, plans[best]


def _at_most_one(share: Floats) -> Floats:
    return share / (1.0 + share)
