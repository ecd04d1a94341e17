"""Clusters whose costs others have published, put together from facts of the catalogue."""

from __future__ import annotations

from functools import cache

from clusterwright.facts import shipped
from clusterwright.site.bill import cost_inputs
from clusterwright.site.money import Ownership, own
from clusterwright.uncertain import Input, known, likely

FACTS = shipped()
HOUR = 3600.0
NETWORK_POWER = 1.10
"""Network and storage over nodes: 1.40 kW for an H100 of which its node is 1.275."""
PUE = known(FACTS.entry("prices", "cost-066-hyperscaler").require("value").value)

TARIFF = known(FACTS.entry("prices", "cost-075").require("value").value, "USD/J")
"""US industry in 2025."""


def fact(name: str) -> float:
    """A figure of the kind prices by id, of one accelerator where it is of several."""
    entry = FACTS.entry("prices", name)
    return entry.require("value").value / float(entry.data.get("size", 1))


def inputs_of(
    accelerator: str,
    count: int,
    node: str,
    size: int,
    *,
    server: str = "",
    day: str = "2025-08",
    **given: Input,
) -> dict[str, Input]:
    """Inputs of a cluster of nodes that the catalogue knows the power of."""
    entry = FACTS.entry("nodes", node)
    rated, drawn = (entry.require(key).value / size for key in ("max_power", "typical_power"))
    if server:
        given["server_price"] = known(fact(server), "USD", why=server)
    return cost_inputs(
        accelerator,
        count,
        nameplate_power=known(rated * NETWORK_POWER * count, "W"),
        mean_power=known(drawn * NETWORK_POWER * count, "W"),
        pue=PUE,
        energy_price=TARIFF,
        catalogue=FACTS,
        day=day,
        given=given,
    )


@cache
def usual_h100() -> dict[str, float]:
    """Likely values of 64 H100."""
    return likely(inputs_of("h100", 64, "dgx-h100", 8))


def h100(count: int = 1000, **given: Input) -> Ownership:
    """H100 as a hyperscaler buys them in 2025."""
    return own(inputs_of("h100", count, "dgx-h100", 8, server="cost-013-server", **given))


def gb200(count: int = 720, **given: Input) -> Ownership:
    """GB200 NVL72 as a hyperscaler buys them in 2025."""
    return own(inputs_of("gb200", count, "gb200-nvl72", 72, server="cost-018-rack", **given))
