"""What is not explained: sources that come out too fast or too slow as a whole, and long tails."""

from __future__ import annotations

import statistics
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from clusterwright.errors import InputError
from clusterwright.records import Record
from clusterwright.validation.scoring import Result, Summary, summarise

LEAST_BIAS = 0.08
"""A source's bias counts from here on; below, it is within the spread of measurements."""
ONE_SIDED = 0.5
"""A bias above this share of the median error means that something is missing for all runs."""
LONG_TAIL = 0.4
"""A source whose error at 90 % is above this has runs that nothing here explains."""
SHOWN_TERMS = 3
LEAST_ROWS, LEAST_RANK = 20, 0.5
"""From so many rows on a term is said to go with the error, if ranks agree to this degree."""

Kind = Literal["bias", "tail"]


class Gap(Record, frozen=True, kw_only=True):
    """A source that is not explained.

    ``terms``: the largest shares of the predicted time, the ideal apart; ``goes_with``: the term
    whose share goes with the error, and the rank correlation. ``far``: rows further off than
    `LONG_TAIL`. ``reason``: what a person wrote.
    """

    kind: Kind
    summary: Summary
    terms: tuple[tuple[str, float], ...]
    goes_with: tuple[str, float] | None
    far: int
    too_fast: int
    worst: str
    reason: str = ""


def unexplained(results: Sequence[Result], reasons: Mapping[str, str]) -> list[Gap]:
    """Return the sources whose error is one-sided, then those with a long tail, worst first.

    Parameters
    ----------
    reasons
        What is known of them, by source, or by source and metric (``"source: metric"``).
    """
    found: list[Gap] = []
    for summary in summarise(results, lambda r: (r.source, r.metric)):
        rows = [
            r
            for r in results
            if r.status == "ok" and (r.source, r.metric) == (summary.source, summary.metric)
        ]
        named = f"{summary.source}: {summary.metric}"
        reason = reasons.get(named) or reasons.get(summary.source, "")
        found += [_gap(kind, summary, rows, reason) for kind in _kinds(summary)]
    return sorted(found, key=lambda gap: gap.kind != "bias")


def read_reasons(path: Path) -> dict[str, str]:
    """Read what a person wrote of sources, ``[reasons]`` of a TOML; nothing where there is no file.

    Raises
    ------
    InputError
        It is no such file.
    """
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not readable as TOML: {error}") from None
    reasons = table.get("reasons", {})
    if set(table) - {"reasons"} or not all(isinstance(v, str) for v in reasons.values()):
        raise InputError(f'{path} must hold [reasons] alone, with lines such as "source" = "why"')
    return {source: " ".join(text.split()) for source, text in reasons.items()}


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Spearman's rank correlation, 0 where one of them does not vary. [1]

    >>> round(rank_correlation([1.0, 2.0, 3.0], [1.0, 4.0, 9.0]), 6)
    1.0
    """
    ranks = [_ranks(values) for values in (first, second)]
    if any(r.std() == 0.0 for r in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _kinds(summary: Summary) -> list[Kind]:
    """Return in which ways a source is not explained."""
    kinds: list[Kind] = []
    if abs(summary.bias) > max(LEAST_BIAS, ONE_SIDED * summary.median_abs_error):
        kinds.append("bias")
    if summary.p90_abs_error > LONG_TAIL:
        kinds.append("tail")
    return kinds


def _gap(kind: Kind, summary: Summary, rows: Sequence[Result], reason: str) -> Gap:
    names = list(dict.fromkeys(name for row in rows for name in row.terms))
    shares = {name: [row.terms.get(name, 0.0) for row in rows] for name in names}
    means = {name: statistics.fmean(values) for name, values in shares.items() if name != "ideal"}
    largest = sorted(means.items(), key=lambda item: (-item[1], item[0]))[:SHOWN_TERMS]
    errors = [row.error or 0.0 for row in rows]
    far = [error for error in errors if abs(error) > LONG_TAIL]
    return Gap(
        kind=kind,
        summary=summary,
        terms=tuple((name, share) for name, share in largest if share > 0.0),
        goes_with=_goes_with(shares, errors),
        far=len(far),
        too_fast=sum(error < 0.0 for error in far),
        worst=max(rows, key=lambda row: abs(row.error or 0.0)).id,
        reason=reason,
    )


def _goes_with(
    shares: Mapping[str, Sequence[float]], errors: Sequence[float]
) -> tuple[str, float] | None:
    """Return the term whose share of the time goes most with the signed error."""
    if len(errors) < LEAST_ROWS:
        return None
    found = {name: rank_correlation(values, errors) for name, values in shares.items()}
    if not found:
        return None
    name = max(found, key=lambda one: abs(found[one]))
    return (name, found[name]) if abs(found[name]) >= LEAST_RANK else None


def _ranks(values: Sequence[float]) -> np.ndarray:
    """Return the rank of each value; equal ones share theirs."""
    array = np.asarray(values, dtype=float)
    _, place, counts = np.unique(array, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2.0)[place]
    return ranks
