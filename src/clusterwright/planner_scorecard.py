"""From chips and fleets that a person names to a scorecard: the planners answer each scenario."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from clusterwright import __version__
from clusterwright.asking import ask_training
from clusterwright.asking_serving import ask_serving
from clusterwright.asking_serving import price_of as hour_of
from clusterwright.catalogue.store import Catalogue
from clusterwright.device import HELD, Device
from clusterwright.engines.requests.simulator import expect_many
from clusterwright.errors import InfeasibleError, InputError, UnknownNameError
from clusterwright.facts import device_named, shipped
from clusterwright.hardware import Accelerator
from clusterwright.planner import plan_training
from clusterwright.planner_serving import deployment_of, estimate_serving, plan_serving
from clusterwright.scorecard.asked import USUAL, operators_of, scenarios_of, weights_of
from clusterwright.scorecard.equivalents import Fleet, fleet_of, in_equivalents, looks_like_fleet
from clusterwright.scorecard.operators import bench_of, run_operator
from clusterwright.scorecard.records import (
    Bought,
    ChipScore,
    Equivalents,
    Scenario,
    ScenarioResult,
    Scorecard,
    Weights,
)
from clusterwright.scorecard.scoring import scored
from clusterwright.serving.server import Pool
from clusterwright.site.prices import BOUGHT, price_of
from clusterwright.strategy import Strategy

MOST_CHIPS = 32
"""Chips on one scorecard; more than this nobody reads side by side."""
NEWEST = dt.date(2100, 1, 1)
"""Later than any figure: the newest price counts."""
FEW = 4
"""Jobs from which loading the compiled request engine pays: each plays dozens of short loads."""


class Done(NamedTuple):
    """What a planner made of a scenario: tokens a second of all, accelerators, how it is cut."""

    tokens: float
    accelerators: int
    strategy: Strategy | None = None
    pools: tuple[Pool, ...] = ()


def score(
    *names: str,
    baseline: str | None = None,
    scenarios: Sequence[str] = (),
    weights: str = USUAL,
    prices: Mapping[str, str | float] | None = None,
    catalogue: Catalogue | None = None,
    tell: Callable[[str], None] | None = None,
) -> Scorecard:
    """Evaluate accelerators in three layers, and count fleets in accelerators of the baseline.

    Parameters
    ----------
    names
        Accelerators (``mi300x``), devices (``galaxy-s24``), fleets (``100000xh100,50000xh200``)
        and clusters, in any order.
    baseline
        The accelerator that scores 1 in everything; by default that of the weights, an H100.
    scenarios
        Of the second layer; by default all that have a weight.
    weights
        A set of weights of the catalogue, or the path of a file with one.
    prices
        Dollars of an accelerator's hour, by accelerator.
    tell
        Is told the id of each accelerator before it is evaluated.

    Raises
    ------
    InputError
        A name that nobody knows, weights that do not add up to 1, a fleet of nothing.

    Examples
    --------
    >>> card = score("a100", scenarios=["edge-1b"])
    >>> [chip.id for chip in card.chips]
    ['nv-h100-sxm', 'nv-a100-80-sxm']
    >>> round(card.chips[0].comprehensive.score, 9), card.chips[1].comprehensive.score < 1.0
    (1.0, True)
    """
    if not names:
        raise InputError("name an accelerator, such as mi300x, or a fleet: 100000xh100,50000xh200")
    facts = catalogue or shipped()
    weighed, facts = weights_of(weights, facts)
    asked = scenarios_of(weighed, facts, tuple(scenarios))
    first = facts.entry("accelerators", baseline or weighed.baseline).id
    chips, fleets = _sorted_out(names, facts)
    kinds = [part.accelerator for fleet in fleets for part in fleet.parts if part.accelerator]
    hours = {
        facts.entry("accelerators", name).id: hour_of(price)
        for name, price in (prices or {}).items()
    }
    wanted = list(dict.fromkeys([first, *chips, *kinds]))
    if len(wanted) > MOST_CHIPS:
        raise InputError(
            f"{len(wanted)} accelerators are too many for one scorecard: name {MOST_CHIPS} at most"
        )
    if len(wanted) * len(asked) > FEW:
        expect_many()
    sheets = {}
    for name in wanted:
        if tell is not None:
            tell(name)
        sheets[name] = _sheet(name, weighed, asked, hours.get(name), facts)
    return _card(weighed, sheets, fleets, shown=[first, *chips], catalogue=facts)


def _card(
    weights: Weights,
    sheets: dict[str, ChipScore],
    fleets: Sequence[Fleet],
    *,
    shown: Sequence[str],
    catalogue: Catalogue,
) -> Scorecard:
    """Compare every sheet with the first."""
    first, *_ = shown
    scores = {
        name: scored(sheet, sheets[first], weights, catalogue) for name, sheet in sheets.items()
    }
    found: list[Equivalents] = [in_equivalents(fleet, scores, first, catalogue) for fleet in fleets]
    return Scorecard(
        version=__version__,
        catalogue=catalogue.hash,
        weights=weights,
        baseline=first,
        scenarios=tuple(one.id for one in sheets[first].scenarios),
        chips=tuple(scores[name] for name in dict.fromkeys(shown)),
        fleets=tuple(found),
    )


def _sorted_out(names: Sequence[str], facts: Catalogue) -> tuple[list[str], list[Fleet]]:
    """Accelerators and devices by id, and fleets, of what a person named."""
    chips: list[str] = []
    fleets: list[Fleet] = []
    for name in names:
        if looks_like_fleet(name) or _known("clusters", name, facts):
            fleets.append(fleet_of(name, facts))
        else:
            device = _known("devices", name, facts)
            chips.append(device or facts.entry("accelerators", name).id)
    return list(dict.fromkeys(chips)), fleets


def _known(kind: str, name: str, facts: Catalogue) -> str | None:
    """Id of an entry that no accelerator is called like, if there is one."""
    for each in ("accelerators", kind):
        try:
            found = facts.entry(each, name)
        except UnknownNameError:
            continue
        return found.id if each == kind else None
    return None


def _sheet(
    name: str,
    weights: Weights,
    scenarios: Sequence[Scenario],
    hour: float | None,
    facts: Catalogue,
) -> ChipScore:
    """What an accelerator or a device does, compared with nothing yet."""
    device = device_named(facts, name) if _known("devices", name, facts) else None
    cluster = facts.any_cluster(device.accelerator if device else name, 1)
    chip = cluster.accelerator
    if device is not None:
        power = 0.5 * (device.power.low + device.power.high)
        chip = msgspec.structs.replace(chip, board_power=power)
    bench = bench_of(cluster, facts)
    return ChipScore(
        id=device.id if device else chip.id,
        name=device.name if device else chip.name,
        accelerator=chip.id,
        operators=tuple(run_operator(one, bench) for one in operators_of(weights, facts)),
        scenarios=tuple(
            run_scenario(one, chip, facts, device=device, hour=hour) for one in scenarios
        ),
        prices=() if device else _prices_of(chip, facts),
        price_hour=hour,
        assumed=(*(device.assumed if device else ()), *cluster.assumed),
    )


def _prices_of(chip: Accelerator, facts: Catalogue) -> tuple[Bought, ...]:
    """The newest published prices of an accelerator; estimates are no prices here."""
    found = []
    for basis in BOUGHT:
        try:
            price = price_of(chip.id, basis, day=NEWEST, catalogue=facts)
        except InputError:
            continue
        if price.basis == basis and not price.estimated:
            found.append(
                Bought(
                    basis=basis,
                    value=price.value,
                    year=price.date[:4],
                    low=price.low,
                    high=price.high,
                    sources=price.sources,
                )
            )
    if not found and chip.price:  # a chip of a person's own
        found.append(Bought(basis="retail", value=chip.price))
    return tuple(found)


def run_scenario(
    scenario: Scenario,
    chip: Accelerator,
    catalogue: Catalogue,
    *,
    device: Device | None = None,
    hour: float | None = None,
) -> ScenarioResult:
    """A job on an accelerator, planned; what does not fit says why, what is not known too.

    Parameters
    ----------
    scenario, chip, catalogue
        The job, where it runs, and the facts.
    device
        The phone, laptop or desktop that the accelerator is in.
    hour
        Price of the accelerator's hour. [USD]
    """
    blank = ScenarioResult(id=scenario.id, name=scenario.name, outcome="unknown")
    try:
        done = TASKS[scenario.task](scenario, chip, catalogue, device)
    except InfeasibleError as error:
        return msgspec.structs.replace(blank, outcome="cannot", why=str(error))
    except InputError as error:
        return msgspec.structs.replace(blank, why=str(error))
    rate = done.tokens / done.accelerators
    return msgspec.structs.replace(
        blank,
        outcome="done",
        rate=rate,
        accelerators=done.accelerators,
        strategy=done.strategy,
        pools=done.pools,
        per_watt=rate / chip.board_power if chip.board_power else None,
        per_dollar=rate * 3600.0 / hour if hour else None,
    )


def _train(
    scenario: Scenario, chip: Accelerator, catalogue: Catalogue, _device: Device | None
) -> Done:
    if chip.kind in HELD:
        raise InfeasibleError(f"{chip.id} is alone in its device")
    question = ask_training(
        scenario.model,
        accelerator=chip.id,
        accelerators=scenario.accelerators,
        method=scenario.method,
        sequence_length=scenario.sequence_length,
        batch_sequences=scenario.batch_sequences,
        catalogue=catalogue,
    )
    best = plan_training(question, catalogue_hash=catalogue.hash).best
    return Done(best.tokens_per_second, best.accelerators, best.strategy)


def _serve(
    scenario: Scenario, chip: Accelerator, catalogue: Catalogue, _device: Device | None
) -> Done:
    if chip.kind in HELD:
        raise InfeasibleError(f"{chip.id} is alone in its device")
    question = ask_serving(
        scenario.model,
        accelerator=chip.id,
        accelerators=scenario.accelerators,
        rate=scenario.rate,
        prompt=scenario.prompt,
        output=scenario.output,
        ttft=scenario.ttft,
        tpot=scenario.tpot,
        catalogue=catalogue,
    )
    best = plan_serving(question, catalogue=catalogue).best
    asked = question.workload
    return Done(asked.rate * asked.output, best.accelerators, pools=best.pools)


def _edge(
    scenario: Scenario, chip: Accelerator, catalogue: Catalogue, device: Device | None
) -> Done:
    """One user; a device is hot, as it is after the first minutes."""
    place = {"device": device.id} if device else {"accelerator": chip.id, "accelerators": 1}
    question = ask_serving(
        scenario.model,
        **place,
        users=1,
        prompt=scenario.prompt,
        output=scenario.output,
        catalogue=catalogue,
    )
    found = estimate_serving(question, deployment_of(question), catalogue=catalogue)
    kept = 0.5 * (device.sustained_share.low + device.sustained_share.high) if device else 1.0
    return Done(kept * found.output_rate, 1, pools=found.pools)


TASKS: dict[str, Callable[[Scenario, Accelerator, Catalogue, Device | None], Done]] = {
    "train": _train,
    "serve": _serve,
    "edge": _edge,
}
