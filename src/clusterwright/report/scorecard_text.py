"""A scorecard as text a person reads: the three scores first, then what each is made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from clusterwright.aligned import aligned
from clusterwright.report.deployment_text import pools_words
from clusterwright.report.folding import WIDTH, fold
from clusterwright.report.intervals import span
from clusterwright.report.text import strategy_words
from clusterwright.scorecard.records import (
    Bought,
    ChipScore,
    Equivalents,
    Layer,
    OperatorResult,
    Part,
    ScenarioResult,
    Scorecard,
)
from clusterwright.units import format_count, format_quantity

BAR = 5
"""Signs of a bar for a ratio of 1."""
LONGEST = 10
SIDE_BY_SIDE = 6
"""Chips in one table at most."""
MOST_NAMED = 2
"""Sources of a price that are named in its line; ``--json`` has all."""
BLANK = "-"


def scorecard_text(card: Scorecard) -> str:
    """One chip as a page, several side by side; then fleets."""
    first, *others = card.chips
    lines = [f"{first.name} ({first.id}) = 1.00; weights: {card.weights.name}"]
    if others or not card.fleets:
        lines += ["", *_summary(card.chips)]
        many = len(others) > 1
        lines += _tables(card) if many else _page(card, first, others[0] if others else first)
        lines += _prices(card.chips)
        lines += _left_out(others or [first])
    for fleet in card.fleets:
        lines += ["", *_fleet(fleet, card)]
    return "\n".join(lines) + "\n"


def ratio_words(ratio: float | None) -> str:
    """A ratio to two digits, a blank as a dash.

    >>> ratio_words(1.189), ratio_words(0.00286), ratio_words(None)
    ('1.19', '0.0029', '-')
    """
    if ratio is None:
        return BLANK
    return f"{ratio:.2f}" if ratio >= 0.095 else f"{ratio:.2g}"


def bar(ratio: float | None) -> str:
    """A ratio as a bar of five signs for 1, cut at twice that.

    >>> bar(0.62), bar(7.0)
    ('###', '#########>')
    """
    length = round(BAR * (ratio or 0.0))
    return "#" * length if length <= LONGEST else "#" * (LONGEST - 1) + ">"


def _summary(chips: Sequence[ChipScore]) -> list[str]:
    """The three scores of each chip."""
    rows = []
    for chip in chips:
        cells = [_score(layer) for layer in (chip.performance, chip.scenario, chip.comprehensive)]
        rows.append([chip.id, *cells, bar(chip.comprehensive.score)])
    return aligned(
        ("accelerator", "performance", "scenario", "comprehensive", ""), rows, align="lrrrl"
    )


def _score(layer: Layer) -> str:
    """A score, with the share of the weight that it rests on where that is not all."""
    if layer.score is None or layer.covered > 1.0 - 1e-9:
        return ratio_words(layer.score)
    return f"{ratio_words(layer.score)} (of {layer.covered:.0%})"


def _page(card: Scorecard, first: ChipScore, chip: ChipScore) -> list[str]:
    """All that is known of one chip, beside the baseline."""
    weights = card.weights
    lines = [
        "",
        "Performance: kernels and collectives of short runs",
        *_operators(first, chip, card),
    ]
    lines += ["", "Scenario: tokens a second of one accelerator, planned"]
    rows = [
        [
            f"  {own.id}",
            f"{weights.scenarios[own.id]:.0%}",
            _rate(base),
            _rate(own),
            f"{own.accelerators:,}" if own.accelerators else "",
            ratio_words(own.ratio),
            bar(own.ratio),
            _how(own),
        ]
        for base, own in zip(first.scenarios, chip.scenarios, strict=True)
    ]
    header = ("  job", "weight", first.id, chip.id, "take", "ratio", "", "how")
    lines += _cut(aligned(header, rows, align="lrrrrrll"))
    lines += ["", "Comprehensive"]
    rows = [
        [f"  {one.id}", f"{one.weight:.0%}", ratio_words(one.ratio), bar(one.ratio),
         one.why or one.note]
        for one in chip.parts
    ]  # fmt: skip
    return [*lines, *_cut(aligned(("  part", "weight", "ratio", "", ""), rows, align="lrrll"))]


def _operators(first: ChipScore, chip: ChipScore, card: Scorecard) -> list[str]:
    rows = [
        [
            f"  {own.id}",
            f"{card.weights.performance[own.id]:.0%}",
            _achieved(base),
            _achieved(own),
            f"{own.achieved / own.peak:.0%}" if own.achieved and own.peak else "",
            ratio_words(own.ratio),
            bar(own.ratio),
            own.ran,
            _rests(own),
        ]
        for base, own in zip(first.operators, chip.operators, strict=True)
    ]
    header = (
        "  operator", "weight", first.id, chip.id, "of peak", "ratio", "", "run in", "rests on",
    )  # fmt: skip
    return _cut(aligned(header, rows, align="lrrrrrlll"))


def _achieved(result: OperatorResult) -> str:
    return BLANK if result.achieved is None else format_quantity(result.achieved, result.unit)


def _rests(result: OperatorResult) -> str:
    """What an achieved rate rests on, or why there is none."""
    if result.basis is None:
        return result.why
    return {
        "measured": f"measured ({result.rows:,} rows)",
        "anchored": "best rate measured on it",
        "borrowed": f"borrowed: {result.source}",
    }[result.basis]


def _rate(result: ScenarioResult) -> str:
    return BLANK if result.rate is None else format_count(result.rate)


def _how(result: ScenarioResult) -> str:
    """How a job is cut, or why it is not done."""
    if result.why:
        return {"cannot": "no: ", "unknown": "?: "}.get(result.outcome, "") + result.why
    if result.strategy is not None:
        return strategy_words(result.strategy)
    return pools_words(result.pools)


def _cut(lines: Sequence[str]) -> list[str]:
    """Lines that fit a terminal: the words at the end of a row are cut, and say so."""
    return [line if len(line) <= WIDTH else line[: WIDTH - 2].rstrip() + " …" for line in lines]


Cell = Callable[[ChipScore], Mapping[str, float | None]]


def _tables(card: Scorecard) -> list[str]:
    """Several chips side by side: ratios, layer by layer."""
    weights = card.weights
    layers: list[tuple[str, Cell, Mapping[str, float]]] = [
        ("Performance: achieved rates over the baseline's",
         lambda chip: {one.id: one.ratio for one in chip.operators}, weights.performance),
        ("Scenario: tokens a second of one accelerator over the baseline's",
         lambda chip: {one.id: one.ratio for one in chip.scenarios}, weights.scenarios),
        ("Comprehensive",
         lambda chip: {one.id: one.ratio for one in chip.parts}, weights.comprehensive),
    ]  # fmt: skip
    lines = []
    for title, ratios, weighed in layers:
        for start in range(1, len(card.chips), SIDE_BY_SIDE):
            chips = card.chips[start : start + SIDE_BY_SIDE]
            found = [ratios(chip) for chip in chips]
            rows = [
                [f"  {name}", f"{weighed[name]:.0%}", *(ratio_words(one[name]) for one in found)]
                for name in found[0]
            ]
            header = ("", "weight", *(chip.id for chip in chips))
            lines += ["", title, *aligned(header, rows)]
    return lines


def _prices(chips: Sequence[ChipScore]) -> list[str]:
    """What each chip costs, and who says so: the part of the cost rests on it."""
    rows = []
    for chip in chips:
        known = [[one.basis, *_asked(one), _says(one.sources)] for one in chip.prices]
        if chip.price_hour is not None:
            known.append(["an hour", f"${chip.price_hour:,.2f}", "", "", "as given"])
        rows += [[chip.id, *row] for row in known]
    if not rows:
        return []
    header = ("accelerator", "price", "", "year", "between", "who says so")
    title = "Prices: the newest that were published, or as given"
    return ["", title, *_cut(aligned(header, rows, align="llrlll"))]


def _asked(price: Bought) -> list[str]:
    """A price, its year, and how far apart those are who ask it."""
    ends = ""
    if price.low is not None and price.high is not None and price.low < price.high:
        ends = span(price.low, price.high, "USD")
    return [format_quantity(price.value, "USD"), price.year, ends]


def _says(sources: Sequence[str]) -> str:
    """Who says so: pages by their hosts, that of an archive's copy by its own.

    >>> _says(["The Verge", "https://archive.org/web/2025/https://www.shop.com/x", "a", "b"])
    'The Verge, shop.com and 2 others'
    """
    named = list(dict.fromkeys(map(_host, filter(None, sources)))) or [
        "the entry of the accelerator"
    ]
    more = len(named) - MOST_NAMED
    said = ", ".join(named[:MOST_NAMED])
    return said if more < 1 else f"{said} and {more} other{'s' if more > 1 else ''}"


def _host(source: str) -> str:
    *_, address = re.split(r"(?=https?://)", source)
    return (urlsplit(address).hostname or source).removeprefix("www.")


def _left_out(chips: Sequence[ChipScore]) -> list[str]:
    """What is blank, and why: its weight is spread over the rest."""
    lines: list[str] = []
    for chip in chips:
        whys: dict[str, list[str]] = {}
        every: list[OperatorResult | ScenarioResult | Part] = [*chip.operators]
        every += [*chip.scenarios, *chip.parts]
        for one in every:
            if one.ratio is None:
                whys.setdefault(_why(one.why), []).append(one.id)
        for why, names in whys.items():
            head = f"  {chip.id} has no {', '.join(names)}: {why}"
            lines += _cut(fold(head, 4))
    if not lines:
        return []
    return ["", "Left out, its weight spread over the rest", *lines]


def _why(words: str) -> str:
    """The first sentence of a reason; what the baseline lacks has none of its own."""
    return words.partition(";")[0].partition(": ask ")[0] or "the baseline has none"


def _fleet(fleet: Equivalents, card: Scorecard) -> list[str]:
    """A fleet in accelerators of the baseline's kind, by peak and by work."""
    lines = [f"{fleet.name}: {fleet.count:,.0f} accelerators, in {card.baseline} equivalents"]
    jobs = "1 scenario" if len(card.scenarios) == 1 else f"{len(card.scenarios)} scenarios"
    rows = [
        [
            f"  {part.count:,.0f} x {part.accelerator}"
            + (", as its owner counts" if part.stated else ""),
            ratio_words(part.by_peak),
            ratio_words(part.by_work),
        ]
        for part in fleet.parts
    ]
    rows.append(["  in all", _equivalents(fleet.by_peak), _equivalents(fleet.by_work)])
    header = ("", "by peak (dense bf16)", f"by delivered work (mean of {jobs})")
    lines += aligned(header, rows)
    known = {name: value for name, value in fleet.by_scenario.items() if value is not None}
    if len(known) > 1:
        low, high = min(known, key=lambda n: known[n]), max(known, key=lambda n: known[n])
        if known[low] < known[high]:
            least, most = _equivalents(known[low]), _equivalents(known[high])
            lines += fold(f"  by one job: from {least} ({low}) to {most} ({high})", 4)
    missing = sorted({part.why for part in fleet.parts if part.why})
    return [*lines, *(f"  {why}" for why in missing)]


def _equivalents(value: float | None) -> str:
    return BLANK if value is None else f"{value:,.0f}"
