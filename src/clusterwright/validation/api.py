"""The door to validation: a table of runs in, results and a score out."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from clusterwright.catalogue.store import Catalogue
from clusterwright.records import Record
from clusterwright.training.api import estimate_training
from clusterwright.validation.lookup import Lookup
from clusterwright.validation.runs import default_runs_path, read_runs
from clusterwright.validation.scoring import Predict, Result, Score, Watch, score, score_runs


class Validation(Record, frozen=True, kw_only=True):
    """Every run with its prediction, and the score of those that are complete."""

    path: str
    results: tuple[Result, ...]
    score: Score


def validate(
    path: str | Path | None = None,
    *,
    catalogue: Catalogue | None = None,
    predict: Predict | None = None,
    watch: Watch | None = None,
) -> Validation:
    """Hold the cost model against measured runs.

    Parameters
    ----------
    path
        A table of runs (see `read_runs`); by default the published ones of the repository.
    catalogue
        Facts to use instead of the shipped ones.
    predict
        A cost model to use instead of `estimate_training`.
    watch
        Told how many runs are done, of how many.

    Raises
    ------
    TableError
        The table cannot be read as one.
    InputError
        There is no such file, or no default outside a checkout.
    """
    where = default_runs_path() if path is None else Path(path)
    facts = catalogue or Catalogue()
    model = predict or partial(estimate_training, catalogue=facts)
    results = score_runs(read_runs(where), Lookup(facts), model, watch)
    return Validation(path=str(where), results=tuple(results), score=score(results))
