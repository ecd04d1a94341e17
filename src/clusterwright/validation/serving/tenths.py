"""Which published runs are fitted on, and which judge: tenths of each source, by a hash."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable

from clusterwright.validation.serving.rows import METRICS, ServeRun

PARTS = 10
"""One in so many runs is fitted on."""
FEWEST = 5
FACTORS = 0
"""The tenth that engines' factors are fitted on."""
INTERVALS = 1
"""The tenth that sets intervals."""

_METRIC = re.compile(r"\.(" + "|".join(METRICS) + r")(\..*)?$")


def run_key(run: ServeRun) -> str:
    """What identifies a run: its rows are on one side of the split together."""
    return run.source + _METRIC.sub("", run.id)


def fitted_keys(runs: Iterable[ServeRun], *, part: int = FACTORS) -> frozenset[str]:
    """Keys of the runs of one tenth of each source, by a hash.

    A source of fewer than `FEWEST` runs is not fitted on at all; others give at least one.
    """
    sources: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        if run.config_complete:
            sources[run.source].add(run_key(run))
    chosen: set[str] = set()
    for keys in sources.values():
        if len(keys) >= FEWEST:
            ordered = sorted(keys, key=lambda key: hashlib.sha256(key.encode()).digest())
            size = max(1, round(len(keys) / PARTS))
            chosen.update(ordered[part * size : (part + 1) * size])
    return frozenset(chosen)


def seen_keys(runs: Iterable[ServeRun]) -> frozenset[str]:
    """Keys of all runs that factors or intervals rest on; the others judge both."""
    every = list(runs)
    return fitted_keys(every, part=FACTORS) | fitted_keys(every, part=INTERVALS)
