"""What a service takes: power, energy, carbon and money of the accelerators that serve it."""

from __future__ import annotations

from clusterwright.records import Record
from clusterwright.site.money import YEAR
from clusterwright.site.outlook import SiteOutlook
from clusterwright.uncertain import Interval


class ServiceAccount(Record, frozen=True, kw_only=True):
    """What a service takes, with its site, at the rate that was asked for.

    ``power``: of the site. [W] ``energy``: of a token out [J], ``carbon``: of a million of them, by
    location [kg], ``cost``: of a million of them, owned [USD], ``year``: of all [USD]; None: nobody
    published what the machine costs.
    """

    power: Interval
    energy: Interval
    carbon: Interval
    cost: Interval | None
    year: Interval | None
    region: str


def service_account(site: SiteOutlook, output_rate: float) -> ServiceAccount:
    """The account of a service that makes ``output_rate`` tokens a second at a site. [1/s]"""
    tokens = output_rate * YEAR
    found = site.results
    year = found.get("cost")
    return ServiceAccount(
        power=found["expected"],
        energy=_over(found["energy"], tokens),
        carbon=_over(found["carbon"], tokens / 1e6),
        cost=None if year is None else _over(year, tokens / 1e6),
        year=year,
        region=site.question.region,
    )


def _over(one: Interval, factor: float) -> Interval:
    return Interval(low=one.low / factor, middle=one.middle / factor, high=one.high / factor)
