"""How a run is likely to go: the best way to keep checkpoints, then runs played out with it."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from clusterwright.engines.failures import Trajectories
from clusterwright.errors import InfeasibleError
from clusterwright.fleet.goodput import (
    RATED_NODE,
    TIERS,
    X,
    checkpoints,
    failure_rate,
    goodput,
    intervals_for,
    planned_share,
    present_share,
    simplest_tier,
    stopped_time,
)
from clusterwright.fleet.playing import draws_for, play, spares_for
from clusterwright.fleet.records import CauseCount, LostTime, RunOutlook, RunQuestion, TierOutlook
from clusterwright.uncertain import (
    DRAWS,
    Floats,
    draw,
    influences,
    interval_of,
    likely,
    tornado,
)
from clusterwright.units import format_time

TINY = 1e-9
"""Goodput of a run that never ends, so that its time is a number."""
SOME = 1e-4
"""Goodput below which what is played says nothing about the closed form."""
TWENTIETHS = (np.arange(20) + 0.5) / 20
"""Places at which the spread of the goodput is told."""
LEAST = 0.01
"""Goodput below which a run makes no progress to speak of."""
HALF = 0.5
TEN_TIMES = 10.0
"""By which an interval between checkpoints may miss the best before it is what keeps a run."""
MEANINGS = {
    "useful": "work that stands",
    "checkpoints": "all wait while state is copied or written",
    "lost work": "done again after a failure",
    "detection": "until a failure is noticed",
    "restart": "nodes exchanged, job started, state loaded",
    "waiting": "no spare node left",
    "slowed": "replicas missing, or all wait for the slowest node",
    "planned": "interruptions that are planned",
}


def look_ahead(question: RunQuestion, *, depth: bool = True) -> RunOutlook:
    """Say how a run is likely to go.

    Parameters
    ----------
    question
        The run.
    depth
        Whether to find out what moves the answer, too.

    Raises
    ------
    InfeasibleError
        It makes no progress: failures come quicker than it can start again.
    """
    centre = likely(question.inputs)
    drawn = draw(question.inputs, seed=question.seed)
    wanted = TIERS if question.tier in (None, *TIERS) else (*TIERS, question.tier)
    tiers = [_tier(question, tier, centre, drawn) for tier in wanted]
    middles = {one.tier: one.goodput.middle for one in tiers}
    simplest = simplest_tier(middles, question.tier)
    chosen = next(one for one in tiers if one.tier == simplest)

    def model(x: X) -> dict[str, Floats]:
        return goodput(question, chosen.tier, (chosen.interval, chosen.slow_interval), x)

    closed, rates = (
        np.broadcast_to(one, (DRAWS,))
        for one in (model(drawn)["goodput"], model(drawn)["failure_rate"])
    )
    count = draws_for(question, centre)
    standby = spares_for(question, interval_of(rates).high)
    usual = np.full(count, float(failure_rate(question, centre)))
    some = np.quantile(rates, (np.arange(count) + 0.5) / count)
    played = play(question, chosen, centre, standby, np.concatenate([usual, some]))
    half = _stop_for_half(question, chosen, centre)
    parts = _lost(played, slice(count), float(planned_share(question, chosen.tier, centre)))
    # A run shorter than its checkpoints are apart is useful only until it is undone.
    lasting = min(parts[0].share, float(model(centre)["goodput"]))
    _check_progress(question, chosen, centre, half, lasting)
    chance = _chance(question, chosen, centre, some, played.goodput[count:])
    place = np.argsort(np.argsort(rates)) * count // DRAWS
    useful = np.clip(closed * chance[place], TINY, 1.0)
    work = question.work
    duration = work / useful if work else np.full(DRAWS, question.horizon or 0.0)
    return RunOutlook(
        question=question,
        failure_rate=interval_of(rates),
        between=interval_of(1.0 / rates),
        chosen=chosen,
        tiers=tuple(sorted(tiers, key=lambda one: -one.goodput.middle)),
        closed_form=interval_of(closed),
        goodput=interval_of(useful),
        duration=interval_of(duration),
        interruptions=interval_of(rates * duration),
        lost=parts,
        causes=_counts(question, played.failures[:count]),
        spares=standby,
        waited=float(np.mean(played.waiting[:count] > 0.0)),
        half=half,
        swings=tuple(tornado(model, question.inputs, "goodput")) if depth else (),
        influences=tuple(influences(model, question.inputs, "goodput")) if depth else (),
        spread=tuple(float(one) for one in np.quantile(useful, TWENTIETHS)),
    )


def _tier(question: RunQuestion, tier: Any, centre: X, drawn: X) -> TierOutlook:  # noqa: ANN401 - a literal
    plan = intervals_for(question, tier, centre)
    kind = checkpoints(question, tier, centre)
    return TierOutlook(
        tier=tier,
        interval=plan[0],
        slow_interval=plan[1],
        stall=float(kind.stall),
        lag=float(kind.lag),
        goodput=interval_of(goodput(question, tier, plan, drawn)["goodput"]),
    )


def _stop_for_half(question: RunQuestion, chosen: TierOutlook, x: X) -> float:
    """From a failure until work goes on, so that half of the time is work; 0: nothing would do.

    The goodput falls by e for each mean time between failures that a stop is longer.
    """
    kind = checkpoints(question, chosen.tier, x)
    stop = float(stopped_time(chosen.tier, kind, x))
    plan = (chosen.interval, chosen.slow_interval)
    at_once = {**x, **dict.fromkeys(("detection", "restart", "exchange", "regroup"), 0.0)}
    rest = float(stopped_time(chosen.tier, kind, at_once))
    reached = float(goodput(question, chosen.tier, plan, at_once)["goodput"])
    if reached <= HALF:
        return 0.0
    return min(stop, rest + math.log(reached / HALF) / float(failure_rate(question, x)))


def _check_progress(
    question: RunQuestion, chosen: TierOutlook, x: X, half: float, reached: float
) -> None:
    """Refuse a run that never gets on, and say what keeps it and what would help."""
    if reached >= LEAST:
        return
    stop = float(stopped_time(chosen.tier, checkpoints(question, chosen.tier, x), x))
    between = 1.0 / float(failure_rate(question, x))
    freely = msgspec.structs.replace(question, interval=None)
    best = intervals_for(freely, chosen.tier, x)[0]
    if not TEN_TIMES * chosen.interval > best > chosen.interval / TEN_TIMES:
        mend = f"take one every {format_time(best)} (--interval)"
    elif half > 0.0:
        mend = (
            f"with {format_time(half)} from a failure to work, half of the time would be work "
            "(--detect, --restart, --exchange); or use fewer accelerators"
        )
    else:
        mend = "use fewer accelerators, or faster storage (--storage)"
    slow = chosen.slow_interval
    behind = f", to storage every {format_time(slow)}," if slow else ""
    raise InfeasibleError(
        f"no progress: a failure comes every {format_time(between)}, starting again takes "
        f"{format_time(stop)}, and checkpoints ({chosen.tier}) come every "
        f"{format_time(chosen.interval)}{behind} and stop the work for "
        f"{format_time(chosen.stall)}: {mend}"
    )


def _chance(
    question: RunQuestion, chosen: TierOutlook, centre: X, rates: Floats, played: Floats
) -> Floats:
    """Goodput of runs played out over that of the closed form, one for each rate of failures. [1]

    Chance, and what the closed form leaves out, such as spares that run out: it depends on the rate
    far more than on any other input.
    """
    of_node = rates * (RATED_NODE / question.accelerators)
    x = {**centre, "large_rate": of_node, "small_rate": of_node}
    formula = goodput(question, chosen.tier, (chosen.interval, chosen.slow_interval), x)["goodput"]
    formula = formula / (1.0 - planned_share(question, chosen.tier, x))
    # The engine has one share of replicas for all rates.
    formula = formula * present_share(question, chosen.tier, centre)
    formula = formula / present_share(question, chosen.tier, x)
    return np.where(formula > SOME, played / np.maximum(formula, SOME), 1.0)


def _lost(played: Trajectories, runs: slice, planned: float) -> tuple[LostTime, ...]:
    """Where the time of some runs goes, what planned interruptions take of it included."""
    wall = float(np.sum(played.wall[runs]))
    parts = {
        "useful": played.useful,
        "checkpoints": played.stalls,
        "lost work": played.lost,
        "detection": played.detection,
        "restart": played.restart,
        "waiting": played.waiting,
        "slowed": played.slowed,
    }
    rest = 1.0 - planned
    shares = {name: float(np.sum(part[runs])) / wall * rest for name, part in parts.items()}
    shares["planned"] = planned
    return tuple(
        LostTime(name=name, share=share, meaning=MEANINGS[name]) for name, share in shares.items()
    )


def _counts(question: RunQuestion, failures: Floats) -> tuple[CauseCount, ...]:
    names = [
        cause.id for cause in question.causes for part in (cause.hard, 1.0 - cause.hard) if part > 0
    ]
    means = failures.mean(axis=0)
    found = []
    for cause in question.causes:
        count = sum(
            float(mean) for name, mean in zip(names, means, strict=True) if name == cause.id
        )
        hours = count * cause.hard * cause.nodes * cause.repair
        found.append(CauseCount(name=cause.name, group=cause.group, count=count, repair_time=hours))
    return tuple(sorted(found, key=lambda one: -one.count))
