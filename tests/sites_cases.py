"""What the tests of training over several sites share: published figures, and INTELLECT-1."""

from __future__ import annotations

from clusterwright.facts import shipped
from clusterwright.planner_sites import plan_sites

FACTS = shipped()
GLOBAL = ("usa", "usa-europe", "global")


def fact(name: str) -> float:
    return FACTS.figure("decentralised", name, "value").value


def span(name: str) -> tuple[float, float]:
    figure = FACTS.figure("decentralised", name, "value")
    return figure.low, figure.high


def intellect(link: str, **changes):
    """The run as it was made: 128 sequences a node, one at a time, activations computed again."""
    return plan_sites(
        "intellect-1",
        f"14x8xh100@{link}",
        **{
            "software": "prime",
            "pins": {"recompute": "full", "recompute_layers": 0, "micro_batch": 1},
            "batch_sequences": 14 * round(fact("intellect-1-batch")),
            "sequence_length": round(fact("intellect-1-sequence")),
            "tokens": "1T",
            **changes,
        },
    )
