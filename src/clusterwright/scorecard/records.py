"""What a scorecard asks, and what it says of an accelerator: plain records."""

from __future__ import annotations

from typing import Literal

from clusterwright.records import Record
from clusterwright.serving.server import Pool
from clusterwright.strategy import Strategy

Basis = Literal["measured", "anchored", "borrowed"]
"""What an achieved rate rests on: kernels measured on this generation of chips; another
generation's shape with the best rate measured on this very chip; another generation's alone."""


class Operator(Record, frozen=True, kw_only=True):
    """A kernel or collective to compare accelerators by; see the catalogue's kind ``operators``."""

    id: str
    name: str
    sort: Literal["matmul", "prefill", "decode", "stream", "all-reduce"]
    precision: str = "bf16"
    rows: int = 0
    columns: int = 0
    depth: int = 0
    batch: int = 1
    length: int = 0
    heads: int = 1
    kv_heads: int = 1
    head_size: int = 0
    size: float = 0.0
    accelerators: int = 1


class Scenario(Record, frozen=True, kw_only=True):
    """A job to compare accelerators by; see the catalogue's kind ``scenarios``."""

    id: str
    name: str
    task: Literal["train", "serve", "edge"]
    model: str
    accelerators: int | None = None
    method: Literal["full", "lora", "qlora"] = "full"
    sequence_length: int | None = None
    batch_sequences: int | None = None
    rate: float | None = None
    prompt: int | None = None
    output: int | None = None
    ttft: float | None = None
    tpot: float | None = None


class Weights(Record, frozen=True, kw_only=True):
    """How much each part of a layer weighs; each layer's weights add up to 1. [1]

    ``evidence``: worth of what a figure rests on, by basis and by confidence. [1]
    """

    id: str
    name: str
    baseline: str
    performance: dict[str, float]
    scenarios: dict[str, float]
    comprehensive: dict[str, float]
    evidence: dict[str, float]


class OperatorResult(Record, frozen=True, kw_only=True):
    """An operator on an accelerator.

    ``achieved``, ``peak``: in ``unit``, FLOP/s or B/s; None: ``why`` says why there is none.
    ``ran``: the precision, or the ranks of a collective, by so many in a domain. ``basis``,
    ``rows``, ``source``, ``confidence``: what the achieved rate rests on. ``ratio``: over the
    baseline's. [1]
    """

    id: str
    name: str
    unit: str
    achieved: float | None = None
    peak: float | None = None
    ran: str = ""
    basis: Basis | None = None
    rows: int = 0
    source: str = ""
    confidence: str = ""
    why: str = ""
    ratio: float | None = None


Outcome = Literal["done", "cannot", "unknown"]
"""The job is done; cannot be done, for want of room or of speed; or somebody left out a figure."""


class ScenarioResult(Record, frozen=True, kw_only=True):
    """A job on an accelerator.

    ``rate``: tokens of one accelerator, trained or answered. [1/s] ``accelerators``: that do the
    job, cut by ``strategy`` or in ``pools``. ``per_watt``: tokens for a joule at board power. [1/J]
    ``per_dollar``: tokens for a dollar of the accelerator's hours, as given. [1/USD] ``why``: it
    does not fit, or cannot be told.
    ``ratio``: of rates, over the baseline's. [1]
    """

    id: str
    name: str
    outcome: Outcome
    rate: float | None = None
    accelerators: int | None = None
    strategy: Strategy | None = None
    pools: tuple[Pool, ...] = ()
    per_watt: float | None = None
    per_dollar: float | None = None
    why: str = ""
    ratio: float | None = None


class Part(Record, frozen=True, kw_only=True):
    """One part of the third layer: ``ratio`` to the baseline [1], None: ``why`` says why."""

    id: str
    weight: float
    ratio: float | None = None
    note: str = ""
    why: str = ""


class Layer(Record, frozen=True, kw_only=True):
    """A layer's score over the baseline's [1], and the share of its weight that it rests on. [1]

    ``missing``: what is left out, its weight spread over the rest. ``score``: None where nothing
    is left.
    """

    score: float | None = None
    covered: float = 0.0
    missing: tuple[str, ...] = ()


class Bought(Record, frozen=True, kw_only=True):
    """What an accelerator costs [USD]: bought in volume or in shops, in which year.

    ``low``, ``high``: what is asked for it at least and at most [USD]; None: only its own entry
    has a price. ``sources``: who says so.
    """

    basis: str
    value: float
    year: str = ""
    low: float | None = None
    high: float | None = None
    sources: tuple[str, ...] = ()


class ChipScore(Record, frozen=True, kw_only=True):
    """An accelerator in three layers.

    ``prices``: of one that were published; ``price_hour``: of an hour, as given. [USD]

    ``accelerator``: its id, or that of a phone's, laptop's or desktop's, whose own id is ``id``.
    """

    id: str
    name: str
    accelerator: str
    operators: tuple[OperatorResult, ...]
    scenarios: tuple[ScenarioResult, ...]
    parts: tuple[Part, ...] = ()
    performance: Layer = Layer()
    scenario: Layer = Layer()
    comprehensive: Layer = Layer()
    prices: tuple[Bought, ...] = ()
    price_hour: float | None = None
    assumed: tuple[str, ...] = ()


class FleetPart(Record, frozen=True, kw_only=True):
    """So many accelerators of a kind; of the baseline's where none is named.

    ``stated``: they are others, which their owner counts in this kind. ``by_peak``, ``by_work``:
    what one does over what the baseline does, by the dense bf16 peak and by the mean of the
    scenarios [1]; None: not known.
    """

    count: float
    accelerator: str = ""
    stated: bool = False
    by_peak: float | None = None
    by_work: float | None = None
    why: str = ""


class Equivalents(Record, frozen=True, kw_only=True):
    """A fleet in accelerators of the baseline's kind.

    ``by_peak``: by the dense bf16 peak; ``by_work``: by the mean of ``scenarios``. [1]
    None: a part of the fleet is not known. ``by_scenario``: the same, job by job.
    """

    name: str
    count: float
    parts: tuple[FleetPart, ...]
    by_peak: float | None
    by_work: float | None
    by_scenario: dict[str, float | None]


class Scorecard(Record, frozen=True, kw_only=True):
    """Accelerators side by side, the baseline first, and fleets of them."""

    version: str
    catalogue: str
    weights: Weights
    baseline: str
    scenarios: tuple[str, ...]
    chips: tuple[ChipScore, ...]
    fleets: tuple[Equivalents, ...] = ()
