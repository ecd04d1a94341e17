"""How a run is likely to go: the best way to keep checkpoints, then runs played out with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.engines.failures import Trajectories
from clusterwright.errors import InfeasibleError
from clusterwright.fleet.goodput import (
    TIERS,
    X,
    checkpoints,
    failure_rate,
    goodput,
    intervals_for,
    restart_time,
)
from clusterwright.fleet.playing import play, spares_for
from clusterwright.fleet.records import CauseCount, LostTime, RunOutlook, RunQuestion, TierOutlook
from clusterwright.uncertain import (
    Floats,
    draw,
    influences,
    interval_of,
    likely,
    tornado,
)
from clusterwright.units import format_time

LEAST = 0.01
"""Goodput below which a run makes no progress to speak of."""
MEANINGS = {
    "useful": "work that stands",
    "checkpoints": "all wait while state is copied or written",
    "lost work": "done again after a failure",
    "detection": "until a failure is noticed",
    "restart": "nodes exchanged, job started, state loaded",
    "waiting": "no spare node left",
    "slowed": "replicas missing",
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
    tiers = sorted(
        (_tier(question, tier, centre, drawn) for tier in TIERS),
        key=lambda one: -one.goodput.middle,
    )
    chosen = next((one for one in tiers if question.tier in (None, one.tier)), tiers[0])
    played = play(question, chosen, centre)
    _check_progress(question, chosen, centre, float(np.mean(played.goodput)))
    plan = (chosen.interval, chosen.slow_interval)

    def model(x: X) -> dict[str, Floats]:
        return goodput(question, chosen.tier, plan, x)

    planned = 1.0 - float(_planned(question, chosen, centre))
    likely_goodput = float(model(centre)["goodput"])
    chance = _resampled(played.goodput * planned / likely_goodput, len(_column(drawn)))
    closed = np.asarray(model(drawn)["goodput"] + 0.0 * _column(drawn))
    useful = np.clip(closed * chance, 1e-9, 1.0)
    rates = failure_rate(question, drawn) + 0.0 * _column(drawn)
    work = question.work
    duration = work / useful if work else np.full_like(useful, question.horizon or 0.0)
    return RunOutlook(
        question=question,
        failure_rate=interval_of(rates),
        between=interval_of(1.0 / rates),
        chosen=chosen,
        tiers=tuple(tiers),
        closed_form=interval_of(closed),
        goodput=interval_of(useful),
        duration=interval_of(duration),
        interruptions=interval_of(rates * duration),
        lost=_lost(played, planned),
        causes=_counts(question, played),
        spares=spares_for(question, centre),
        waited=float(np.mean(played.waiting > 0.0)),
        swings=tuple(tornado(model, question.inputs, "goodput")) if depth else (),
        influences=tuple(influences(model, question.inputs, "goodput")) if depth else (),
    )


def best_tier(question: RunQuestion) -> TierOutlook:
    """The way to keep checkpoints that leaves most of the time, by closed form."""
    centre, drawn = likely(question.inputs), draw(question.inputs, seed=question.seed)
    return max(
        (_tier(question, tier, centre, drawn) for tier in TIERS),
        key=lambda one: one.goodput.middle,
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


def _check_progress(question: RunQuestion, chosen: TierOutlook, centre: X, reached: float) -> None:
    """Refuse a run that never gets on, and say what keeps it."""
    if reached >= LEAST:
        return
    kind = checkpoints(question, chosen.tier, centre)
    again = float(restart_time(centre, kind.load))
    safe = chosen.interval + chosen.stall + chosen.lag
    between = 1.0 / float(failure_rate(question, centre))
    raise InfeasibleError(
        f"no progress: a failure comes every {format_time(between)}, but starting again takes "
        f"{format_time(again)} and a checkpoint is safe only {format_time(safe)} after the last "
        f"({chosen.tier}); restart quicker (--restart, --detect), keep checkpoints in memory "
        f"(--tier memory), write to faster storage (--storage), or use fewer accelerators"
    )


def _planned(question: RunQuestion, chosen: TierOutlook, x: X) -> Floats:
    """Share of the time that planned interruptions take."""
    kind = checkpoints(question, chosen.tier, x)
    pause = x["planned_rate"] * question.accelerators / 8.0 * (x["restart"] + kind.load)
    return pause / (1.0 + pause)


def _column(drawn: X) -> Floats:
    """An array as long as the draws."""
    return next((one for one in drawn.values() if np.ndim(one)), np.zeros(1))


def _resampled(chance: Floats, count: int) -> Floats:
    """Quantiles of what chance makes of a run, in an order that goes with no input's."""
    places = (np.arange(count) + 0.5) / count
    return np.random.default_rng(1).permutation(np.quantile(chance, places))


def _lost(played: Trajectories, planned: float) -> tuple[LostTime, ...]:
    wall = float(np.sum(played.wall))
    parts = {
        "useful": played.useful,
        "checkpoints": played.stalls,
        "lost work": played.lost,
        "detection": played.detection,
        "restart": played.restart,
        "waiting": played.waiting,
        "slowed": played.slowed,
    }
    shares = {name: float(np.sum(part)) / wall * planned for name, part in parts.items()}
    shares["planned"] = 1.0 - planned
    return tuple(
        LostTime(name=name, share=share, meaning=MEANINGS[name]) for name, share in shares.items()
    )


def _counts(question: RunQuestion, played: Trajectories) -> tuple[CauseCount, ...]:
    names = [
        cause.id for cause in question.causes for part in (cause.hard, 1.0 - cause.hard) if part > 0
    ]
    means = played.failures.mean(axis=0)
    found = []
    for cause in question.causes:
        count = sum(
            float(mean) for name, mean in zip(names, means, strict=True) if name == cause.id
        )
        hours = count * cause.hard * cause.nodes * cause.repair
        found.append(CauseCount(name=cause.name, group=cause.group, count=count, repair_time=hours))
    return tuple(sorted(found, key=lambda one: -one.count))
