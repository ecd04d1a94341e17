"""The accuracy page: tables and pictures of predictions against measurements, and what they hide.

`renew_page` is the one door.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from clusterwright.calibrate.intervals import coverage_of, residuals_of
from clusterwright.catalogue.store import Catalogue
from clusterwright.hardware import Cluster
from clusterwright.model.records import Model
from clusterwright.report import accuracy_parts as parts
from clusterwright.report import accuracy_pictures as pictures
from clusterwright.report.gaps import read_reasons, unexplained
from clusterwright.report.written import RESULTS, Page
from clusterwright.software import Software, Stack
from clusterwright.strategy import Strategy
from clusterwright.training.api import estimate_training
from clusterwright.validation.api import Validation, validate
from clusterwright.validation.choosing import contests_of
from clusterwright.validation.lookup import Lookup
from clusterwright.validation.peers import Peers, peers_of
from clusterwright.validation.published import TRAINING, encode
from clusterwright.validation.runs import Run, read_runs
from clusterwright.validation.scoring import Predict, Prediction, Result, Watch, score_runs
from clusterwright.workload import TrainingWorkload

NAME = "accuracy"


class Remembered:
    """A cost model that answers the same question once."""

    def __init__(self, predict: Predict) -> None:
        self.predict = predict
        self.known: dict[bytes, Prediction] = {}

    def __call__(
        self,
        model: Model,
        cluster: Cluster,
        workload: TrainingWorkload,
        strategy: Strategy,
        *,
        software: Software,
    ) -> Prediction:
        """Estimate, or remember."""
        key = msgspec.json.encode((model, cluster, workload, strategy, software))
        if key not in self.known:
            self.known[key] = self.predict(model, cluster, workload, strategy, software=software)
        return self.known[key]


def renew_page(
    folder: Path,
    runs: str | Path | None = None,
    *,
    catalogue: Catalogue | None = None,
    predict: Predict | None = None,
    watch: Watch | None = None,
) -> Validation:
    """Hold the cost model against measured runs and write the accuracy page.

    Parameters
    ----------
    folder
        Where ``accuracy.md`` is written, or renewed if it is there. What is known of a source that
        is not explained is read from ``accuracy.toml`` beside it, and never written.
    runs, catalogue, predict, watch
        As for `validate`.
    """
    facts = catalogue or Catalogue()
    model = Remembered(predict or partial(estimate_training, catalogue=facts))
    found = validate(runs, catalogue=facts, predict=model, watch=watch)
    table = read_runs(found.path)
    peers = peers_of(facts)
    residuals = residuals_of(table, facts, model)
    page = accuracy_page(
        found,
        peers=peers,
        without_stacks=_without_stacks(table, peers, facts, model),
        coverage=coverage_of(residuals),
        reasons=read_reasons(folder / f"{NAME}.toml"),
    )
    page.write(folder)
    (folder / NAME / RESULTS).write_bytes(encode(found.results, TRAINING, catalogue=facts.hash))
    return found


def accuracy_page(
    found: Validation,
    *,
    peers: Peers,
    without_stacks: list[Result],
    coverage: Mapping[str, parts.Covered],
    reasons: Mapping[str, str],
) -> Page:
    """Make the parts and pictures of the page.

    Parameters
    ----------
    without_stacks
        The peers' data sets, predicted without what was fitted of the frameworks.
    coverage
        Shares of held-out runs inside their interval, by what they are of.
    reasons
        What a person wrote of sources that are not explained.
    """
    complete = [r for r in found.results if r.complete]
    return Page(
        name=NAME,
        title="Accuracy",
        heads=parts.TITLES,
        parts={
            "headline": parts.headline(complete, found.score),
            "sources": parts.sources(found.score),
            "chips": parts.chips(complete),
            "peers": parts.peers(peers, found.results, without_stacks),
            "choosing": parts.choosing(contests_of(found.results)),
            "coverage": parts.coverage(complete, coverage),
            "unexplained": parts.gaps(unexplained(complete, reasons)),
        },
        pictures=pictures.pictures(complete, found.score),
    )


def _without_stacks(
    table: list[Run], peers: Peers, facts: Catalogue, predict: Predict
) -> list[Result]:
    """Predict the peers' data sets as if nothing had been fitted of the frameworks."""

    def bare(
        model: Model,
        cluster: Cluster,
        workload: TrainingWorkload,
        strategy: Strategy,
        *,
        software: Software,
    ) -> Prediction:
        plain = msgspec.structs.replace(software, stack=Stack())
        return predict(model, cluster, workload, strategy, software=plain)

    wanted = tuple(prefix for one in peers.sets for prefix in one.prefixes)
    return score_runs([r for r in table if r.id.startswith(wanted)], Lookup(facts), bare)
