"""The rules a strategy must obey, each with an id, a reason and a mend.

`explain_rule` gives a rule's page in one record; the search counts what each rule turned away.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from clusterwright.errors import UnknownNameError
from clusterwright.records import Record
from clusterwright.training.columns import GRID_AXES, SCHEDULES, Cuts, Runs

Array = Any

ZERO_BUBBLE, DUALPIPE = SCHEDULES.index("zero-bubble"), SCHEDULES.index("dualpipe")
GPIPE, PLAIN = SCHEDULES.index("gpipe"), SCHEDULES.index("1f1b")


class Rule(Record, frozen=True, kw_only=True):
    """One feasibility rule: what it checks, what is said of who breaks it, why, and what to do."""

    id: str
    checks: str
    broken: str
    why: str
    fix: str


RULES = {
    rule.id: rule
    for rule in (
        Rule(
            id="PAR001",
            checks="tp divides the attention heads",
            broken="tp does not divide the attention heads",
            why="each tensor-parallel rank computes whole heads",
            fix="choose a tp that divides the number of heads",
        ),
        Rule(
            id="PAR002",
            checks="cp divides the sequence",
            broken="cp does not divide the sequence",
            why="each context-parallel rank holds an equal part of every sequence",
            fix="choose a cp that divides the sequence length",
        ),
        Rule(
            id="PAR003",
            checks="there are no more pipeline stages than layers",
            broken="more pipeline stages than layers",
            why="a stage without a layer does no work",
            fix="lower pp",
        ),
        Rule(
            id="PAR004",
            checks="dp × micro-batch divides the global batch",
            broken="dp × micro-batch does not divide the global batch",
            why="every rank takes the same number of equal micro-batches",
            fix="change the batch, dp or the micro-batch",
        ),
        Rule(
            id="PAR005",
            checks="ep divides the experts, and ep × etp divides dp × cp × tp",
            broken="ep does not divide the experts, or ep × etp not dp × cp × tp",
            why="experts are spread evenly over the ranks that share a stage",
            fix="choose another ep or etp",
        ),
        Rule(
            id="PAR006",
            checks="tp × cp × pp is no more than the accelerators there are",
            broken="tp × cp × pp is more than the accelerators there are",
            why="every rank needs an accelerator of its own",
            fix="lower an axis",
        ),
        Rule(
            id="PAR007",
            checks="tensor-parallel groups fit into scale-up domains without straddling two",
            broken="a tensor-parallel group straddles two scale-up domains",
            why="a group over two domains runs at the pace of the network between them",
            fix="choose a tp that divides the scale-up domain, or leave some accelerators idle",
        ),
        Rule(
            id="SCH001",
            checks="with virtual stages, pp is above 1 and divides the micro-batches",
            broken="virtual stages with pp = 1, or a pp that does not divide the micro-batches",
            why="the interleaved schedule works in rounds of pp micro-batches",
            fix="lower vpp to 1, or change the micro-batch",
        ),
        Rule(
            id="SCH002",
            checks="DualPipe has an even pp, vpp 1, and 2·pp or more micro-batches, an even number",
            broken="DualPipe with an odd pp, vpp above 1, or micro-batches too few or odd",
            why="it feeds micro-batches from both ends of the pipeline",
            fix="choose an even pp of at least 4, or another schedule",
        ),
        Rule(
            id="SCH003",
            checks="zero-bubble schedules have a pipeline to fill",
            broken="a zero-bubble schedule without a pipeline to fill",
            why="with pp = 1 there is no bubble, and the schedule is 1F1B",
            fix="use 1f1b",
        ),
        Rule(
            id="SHD001",
            checks="zero 2 and 3 run without a pipeline",
            broken="zero 2 or 3 with a pipeline",
            why="sharded gradients or weights would move once per micro-batch and stage",
            fix="use zero 1 with pp > 1, or pp = 1",
        ),
        Rule(
            id="SHD002",
            checks="sharding has ranks to shard over, and groups that divide them",
            broken="nothing to shard over, or groups that do not divide the ranks",
            why="with dp × cp = 1 every zero stage is the same",
            fix="use zero 0",
        ),
        Rule(
            id="TIM001",
            checks="its lower bound is below twice the best step time found",
            broken="takes twice the best step time found or more, by its lower bound",
            why="what cannot come near the best is not worked out in full",
            fix="nothing to mend; pin the axis to see such a strategy anyway",
        ),
        Rule(
            id="TIM002",
            checks="it could be quicker for its axes, or smaller, or use fewer accelerators",
            broken="by its bounds no quicker, smaller or on fewer accelerators than what was found",
            why="what cannot be among the answers is not worked out in full",
            fix="nothing to mend; pin the axis to see such a strategy anyway",
        ),
        Rule(
            id="MEM001",
            checks="the fullest stage fits the accelerator's memory",
            broken="the fullest stage does not fit the accelerator's memory",
            why="a plan that runs out of memory is no plan",
            fix="recompute more, shard more, or use more accelerators",
        ),
        Rule(
            id="MEM002",
            checks="what is offloaded fits the host memory of one accelerator",
            broken="what is offloaded does not fit the host memory of one accelerator",
            why="states or activations must be kept somewhere",
            fix="offload less, shard more, or give the host more memory",
        ),
    )
}


def explain_rule(rule_id: str) -> Rule:
    """The page of one rule.

    Raises
    ------
    UnknownNameError
        When there is no such rule.
    """
    if rule_id.upper() not in RULES:
        raise UnknownNameError("rule", rule_id, RULES)
    return RULES[rule_id.upper()]


def rules_broken(cuts: Cuts, runs: Runs, num_micro_batches: Array) -> tuple[str, ...]:
    """Rules of schedules and sharding that one strategy breaks, by id."""
    _, broken = allowed_runs(cuts, runs, slice(0, 1), num_micro_batches)
    uneven = np.mod(np.ravel(num_micro_batches), cuts.pp) > 0
    if np.any((cuts.vpp > 1) & ((cuts.pp < 2) | uneven)):
        broken["SCH001"] += 1
    return tuple(sorted(rule for rule, count in broken.items() if count and rule != "SHD002"))


def allowed_runs(
    cuts: Cuts, runs: Runs, block: slice, num_micro_batches: Array
) -> tuple[Array, Counter[str]]:
    """Which crossings of a block obey the rules of schedules and sharding; counts of the others."""
    lift = (slice(None), *[None] * GRID_AXES)
    pp, vpp = cuts.pp[block][lift], cuts.vpp[block][lift]
    ranks = (cuts.dp * cuts.cp)[block][lift]
    schedule, zero = runs.schedule[None], runs.zero[None]
    dual = schedule == DUALPIPE
    unfit = (pp < 4) | (np.mod(pp, 2) > 0) | (vpp > 1)
    unfit = unfit | (num_micro_batches < 2 * pp) | (np.mod(num_micro_batches, 2) > 0)
    broken = {
        "SCH002": dual & unfit,
        "SCH003": (schedule == ZERO_BUBBLE) & (pp < 2),
        "SHD001": (zero >= 2) & (pp > 1),
        "SHD002": (zero >= 1) & (ranks < 2),
    }
    legal: Array = np.ones((1,) * (GRID_AXES + 1), dtype=bool)
    total = len(cuts.pp[block]) * len(runs)
    counts: Counter[str] = Counter()
    for rule, mask in broken.items():
        both = mask & legal
        counts[rule] = int(np.count_nonzero(both)) * (total // both.size)
        legal = legal & ~mask
    return legal, counts
