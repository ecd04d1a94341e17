"""``clusterwright scorecard``: accelerators in three layers, and fleets in H100s."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from clusterwright.asking import catalogue_with
from clusterwright.cli.answers import Answer
from clusterwright.cli.progress import tell
from clusterwright.errors import InputError
from clusterwright.planner_scorecard import score
from clusterwright.report.scorecard_text import scorecard_text


def scorecard(
    *names: str,
    baseline: str | None = None,
    scenario: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    weights: str = "usual",
    price: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    catalogue: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Evaluate accelerators by operators, by jobs and as a whole; count fleets in H100s.

    Parameters
    ----------
    names
        Accelerators, phones and laptops, fleets such as 100000xh100,50000xh200, and clusters.
    baseline
        The accelerator that scores 1 in everything [default: that of the weights, an H100].
    scenario
        A job of the second layer (may be repeated) [default: all that have a weight].
    weights
        A set of weights of the catalogue, or a file of one's own with one.
    price
        Dollars of an accelerator's hour, such as h100=2.10 (may be repeated).
    catalogue
        A catalogue file of one's own (may be repeated).
    json
        Print the scorecard as JSON.
    """
    card = score(
        *names,
        baseline=baseline,
        scenarios=scenario,
        weights=weights,
        prices=_prices(price),
        catalogue=catalogue_with(catalogue),
        tell=lambda chip: tell(f"evaluating {chip} ..."),
    )
    tell("")
    return Answer(card, lambda: scorecard_text(card), json=json)


def _prices(given: tuple[str, ...]) -> dict[str, str]:
    """Read each ``accelerator=price``."""
    found: dict[str, str] = {}
    for text in given:
        name, mark, price = text.partition("=")
        if not mark or not name.strip() or not price.strip():
            raise InputError(
                f"--price is {text!r}, but must be an accelerator and dollars an hour: h100=2.10"
            )
        found[name.strip()] = price.strip()
    return found
