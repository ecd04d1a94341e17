"""Would we have chosen well? Our pick among measured strategies against the measured best.

Runs of one source that differ in nothing but the strategy are a contest. The predicted fastest of
them is our pick; its *regret* is how much longer it really took than the fastest. [1]
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from clusterwright.records import Record
from clusterwright.validation.scoring import Result

LEAST_ENTRANTS = 4
"""A contest has at least so many strategies. [1]"""


class Contest(Record, frozen=True, kw_only=True):
    """Runs of one source, model, machine, batch and precision, under different strategies.

    ``regret``: measured time of our pick over the best measured one, minus 1. [1]
    """

    source: str
    name: str
    entrants: int
    regret: float
    pick: str
    best: str


def contests_of(results: Iterable[Result]) -> tuple[Contest, ...]:
    """Return every contest among the predicted runs, the worst regret first."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if result.status == "ok" and result.job:
            groups.setdefault((result.source, result.job), []).append(result)
    found = [
        _contest(source, name, runs)
        for (source, name), runs in groups.items()
        if len(runs) >= LEAST_ENTRANTS
    ]
    return tuple(sorted(found, key=lambda c: (-c.regret, c.source, c.name)))


def as_lines(contests: Sequence[Contest]) -> list[str]:
    """Return how well we choose, by source; nothing where nobody swept strategies."""
    by_source: dict[str, list[Contest]] = {}
    for contest in contests:
        by_source.setdefault(contest.source, []).append(contest)
    lines = []
    for source, group in sorted(by_source.items()):
        regrets = [contest.regret for contest in group]
        entrants = sum(contest.entrants for contest in group)
        lines.append(
            f"Choosing among {entrants} measured strategies of {len(group)} "
            f"{'job' if len(group) == 1 else 'jobs'} ({source}): regret "
            f"{100 * statistics.median(regrets):.1f} % in the middle, "
            f"{100 * max(regrets):.1f} % at worst"
        )
    return lines


def _contest(source: str, name: str, runs: Sequence[Result]) -> Contest:
    """Hold our pick against the measured best; runs of one strategy count by their quickest."""
    pick = min(runs, key=lambda r: (r.predicted_time or 0.0, r.measured_time or 0.0))
    best = min(runs, key=lambda r: r.measured_time or 0.0)
    regret = (pick.measured_time or 0.0) / (best.measured_time or 1.0) - 1.0
    return Contest(
        source=source,
        name=name,
        entrants=len(runs),
        regret=regret,
        pick=pick.id,
        best=best.id,
    )
