"""What a run takes as text: wall clock, energy, carbon, money."""

from __future__ import annotations

from clusterwright.report.folding import fold
from clusterwright.site.run import RunAccount, RunSite
from clusterwright.site.service import ServiceAccount
from clusterwright.uncertain import Interval
from clusterwright.units import format_quantity, format_time

TIERS = {
    "remote-sync": "shared storage, all waiting,",
    "remote": "shared storage",
    "local": "local disks",
    "memory": "another node's memory",
    "replica": "other replicas",
}
"""Where checkpoints go, in few words."""
NEARLY_ALL = 0.985


def account_lines(account: RunAccount, site: RunSite | None = None) -> list[str]:
    """The account of a run, after its totals; ``site``: what it rests on."""
    goodput = account.goodput
    if not account.ends:
        every = format_time(account.between.middle)
        return [
            f"  wall clock   never done: a failure every {every} leaves no progress",
            "               use fewer accelerators, or keep checkpoints on faster storage",
        ]
    kept = f"checkpoints to {TIERS[account.tier]} every {format_time(account.interval)}"
    lines = [
        (f"  wall clock   {_times(account.wall)}: goodput {_shares(goodput)}"),
        f"               a failure every {format_time(account.between.middle)}, {kept}",
        (
            f"  energy       {_spread(account.energy, 'J')}, {_short(account.power, 'W')} on "
            f"average, up to {_short(account.peak, 'W')}, with its site"
        ),
        (
            f"  carbon       {_spread(account.carbon, 'kg')} of CO2e in {account.region}, and "
            f"{_short(account.made, 'kg')} of making the machines"
        ),
    ]
    if account.cost is not None:
        lines += fold(f"  money        {_spread(account.cost, 'USD')}, {account.priced}", 15)
    if site is None:
        return lines
    if site.cap is not None:
        cap = format_quantity(site.cap, "W")
        words = f"{cap} an accelerator leaves {account.speed:.1%} of the speed, which is counted"
        lines.insert(0, f"  power cap    {words} below")
    if site.assumed:
        lines += fold(f"               assumed: {'; '.join(site.assumed)}", 15)
    return lines


def service_lines(account: ServiceAccount) -> list[str]:
    """The account of a service, after what it takes."""
    lines = [
        (
            f"  power        {_spread(account.power, 'W')} with its site, "
            f"{account.energy.middle:.3g} J ({account.energy.low:.3g} to "
            f"{account.energy.high:.3g}) a token out"
        ),
        (
            f"               {_spread(account.carbon, 'kg')} of CO2e a million tokens in "
            f"{account.region}"
        ),
    ]
    if account.cost is not None and account.year is not None:
        lines.append(
            f"  owned        {_dollars(account.cost, ' a million tokens out')}, "
            f"{_spread(account.year, 'USD')} a year"
        )
    return lines


def _dollars(one: Interval, per: str) -> str:
    return f"${one.middle:.3g}{per} ({one.low:.3g} to {one.high:.3g})"


def _shares(one: Interval) -> str:
    """Whole per cents, but where little is missing: there a tenth tells one run from another."""
    places = 1 if one.middle > NEARLY_ALL else 0
    return f"{one.middle:.{places}%} ({one.low:.{places}%} to {one.high:.{places}%})"


def _times(one: Interval) -> str:
    return f"{format_time(one.middle)} ({format_time(one.low)} to {format_time(one.high)})"


def _spread(one: Interval, dimension: str) -> str:
    low, high = (format_quantity(end, dimension) for end in (one.low, one.high))
    return f"{format_quantity(one.middle, dimension)} ({low} to {high})"


def _short(one: Interval, dimension: str) -> str:
    return format_quantity(one.middle, dimension)
