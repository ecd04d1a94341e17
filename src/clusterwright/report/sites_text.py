"""A plan for several sites as text a person reads."""

from __future__ import annotations

from clusterwright.aligned import aligned
from clusterwright.asking_sites import bit_rate
from clusterwright.report.folding import fold
from clusterwright.swarm.things import Outcome, Replica, Site, SitesPlan
from clusterwright.uncertain import Interval
from clusterwright.units import format_count, format_quantity, format_time

DAY = 86_400.0
GOAL = 0.9
"""Share of computing below which the plan says what would help. [1]"""


def sites_text(plan: SitesPlan) -> str:
    """The sites, how they exchange, what comes of it, and what else was possible."""
    lines = _asked(plan)
    lines += ["", "Sites", *_sites(plan), *_peers(plan)]
    if _count(plan) > 1:
        lines += ["", "Exchanges", *_exchanges(plan)]
    lines += ["", "What comes of it", *_outcomes(plan)]
    lines += [*_churn(plan), *_held(plan), *_loss(plan)]
    return "\n".join(lines) + "\n"


def _asked(plan: SitesPlan) -> list[str]:
    count = sum(site.count for site in plan.sites)
    sites = "one site" if count == 1 else f"{count:,} sites"
    first = f"{plan.model} ({format_count(plan.parameters)} parameters) over {sites}"
    batch = (
        f"{plan.method.name}; {format_count(plan.tokens_per_step)} tokens per inner step of all, "
        f"in sequences of {plan.sequence_length:,}"
    )
    return [first, *fold(batch, 0), *fold("assumed: " + "; ".join(plan.assumed), 9)]


def _sites(plan: SitesPlan) -> list[str]:
    header = (
        "  site",
        "sites",
        "accelerators",
        "link",
        "round trip",
        "batch",
        "step",
        "waits",
        "memory",
    )
    rows = []
    for one in plan.replicas:
        site = plan.sites[one.site]
        rows.append(
            [
                f"  {_machine(site)}",
                f"{site.count:,}",
                _used(site, one),
                bit_rate(site.bandwidth),
                format_time(site.round_trip),
                f"{one.batch:,}",
                format_time(one.step_time),
                f"{1.0 - one.step_time / plan.step_time:.0%}",
                format_quantity(one.memory_bytes, "B"),
            ]
        )
    return aligned(header, rows, align="lrrrrrrrr")


def _used(site: Site, one: Replica) -> str:
    """Accelerators of a site, and how many of them are used where not all are."""
    owned = site.cluster.count
    used = f"{one.accelerators:,} of " if one.peers == 1 and one.accelerators < owned else ""
    return f"{used}{owned:,}"


def _count(plan: SitesPlan) -> int:
    """Replicas at work."""
    return sum(one.count for one in plan.replicas)


def _machine(site: Site) -> str:
    return site.cluster.accelerator.name if site.cluster.count == 1 else site.cluster.name


def _peers(plan: SitesPlan) -> list[str]:
    return [line for one in plan.replicas if one.peers > 1 for line in _sliced(plan, one)]


def _sliced(plan: SitesPlan, one: Replica) -> list[str]:
    site = plan.sites[one.site]
    pace = "their links" if one.relayed else "their chips"
    words = (
        f"  No {_machine(site)} holds a replica: {one.peers:,} share one, each with some of the "
        f"layers, and hand activations on; {pace} set the pace. That makes {one.count:,} replicas"
        + (f" and leaves {one.idle:,} idle" if one.idle else "")
        + ". "
        + (
            f"One alone holds {plan.smaller} at most, activations apart."
            if plan.smaller
            else "It is activations that do not fit: try a shorter --seq-len."
        )
    )
    return fold(words, 2)


def _exchanges(plan: SitesPlan) -> list[str]:
    beside = min(plan.hidden_time, plan.sync_time)
    step, sync = format_time(plan.step_time), format_time(plan.sync_time)
    moved, daily = format_quantity(plan.moved, "B"), format_quantity(plan.daily, "B")
    hidden = f", {format_time(beside)} of it beside inner steps" if beside else ""
    steps = "step" if plan.inner_steps == 1 else f"{plan.inner_steps:,} inner steps"
    rows = [
        ("every", f"{steps} of {step}, by {plan.exchange}"),
        ("takes", f"{sync}{hidden}"),
        ("moves", f"{moved} from a site, {daily} a day"),
    ]
    if plan.method.id != plan.parallel.name:
        less = f"{plan.reduction:,.0f} times less than fp32 gradients in every step"
        claim = "; its vendor's claim" if plan.method.claim else ""
        rows.append(("traffic", f"{less}{claim}"))
    if plan.chosen.utilization < GOAL:
        rows.append((f"for {GOAL:.0%}", f"of computing: {_needed(plan)}"))
    return [f"  {name:<12} {words}" for name, words in rows]


def _needed(plan: SitesPlan) -> str:
    """What would keep replicas computing."""
    ways = [] if plan.method.every_step else [f"--inner-steps {plan.needed_steps:,}"]
    if plan.needed_bandwidth is not None:
        ways.append(f"links of {bit_rate(plan.needed_bandwidth)}")
    return ", or ".join(ways) or "sites that are nearer: messages take too long"


def _outcomes(plan: SitesPlan) -> list[str]:
    seldom = "" if plan.method.every_step else ", exchanging seldom"
    rows = [(f"these sites{seldom}", plan.chosen)]
    if _count(plan) == 1:
        rows = [("this site", plan.chosen)]
    elif plan.alone is not None:
        rows.append((f"{plan.alone.name.partition('@')[0]}: one site alone", plan.alone))
    if plan.method.id != plan.parallel.name and _count(plan) > 1:
        rows.append(("these sites, gradients in every step", plan.parallel))
    header = ["  way", "tokens/s", "80 % interval", "computing", "80 % interval"]
    if plan.tokens:
        header.append(format_count(plan.tokens) + " tokens in")
    return aligned(
        tuple(header),
        [_outcome(name, one) for name, one in rows],
        align="l" + "r" * (len(header) - 1),
    )


def _outcome(name: str, one: Outcome) -> list[str]:
    cells = [
        f"  {name}",
        format_count(one.rate),
        f"{format_count(one.rates.low)} to {format_count(one.rates.high)}",
        f"{one.utilization:.1%}",
        _shares(one.utilizations),
    ]
    return cells if one.duration is None else [*cells, format_time(one.duration)]


def _shares(interval: Interval) -> str:
    if interval.low == interval.high:
        return ""
    return f"{interval.low:.1%} to {interval.high:.1%}"


def _churn(plan: SitesPlan) -> list[str]:
    if plan.kept is None or plan.newcomers is None or plan.mean_stay is None:
        return []
    words = (
        f"Sites stay {format_time(plan.mean_stay)} on average: {plan.kept:.1%} of the work is kept "
        f"(counted above); a newcomer joins in {format_time(plan.join_time)}, and "
        f"{format_count(plan.newcomers * DAY)} a day keep all places filled."
    )
    return ["", *fold(words, 0)]


def _held(plan: SitesPlan) -> list[str]:
    one = plan.if_held
    if one is None:
        return []
    words = f"If each site could hold a replica: {format_count(one.rate)} tokens/s, "
    words += f"{one.utilization:.1%} computing"
    if one.duration is not None and plan.tokens:
        words += f", {format_count(plan.tokens)} tokens in {format_time(one.duration)}"
    return ["", *fold(f"{words}.", 0)]


def _loss(plan: SitesPlan) -> list[str]:
    loss = plan.loss
    if loss is None:
        return []
    replicas = _count(plan)
    run = (
        f"{loss.method}, {format_count(loss.parameters)} parameters, {loss.replicas} replicas, "
        f"{loss.inner_steps} inner steps; {loss.source}"
    )
    words = (
        f"Loss, not counted above: the nearest published run ({run}) ended {loss.excess:+.1%} from "
        f"data parallelism on as many tokens."
    )
    lines = ["", *fold(words, 0)]
    if replicas > 2 * loss.replicas:
        lines.append(f"{replicas:,} replicas are far beyond what was published.")
    return lines
