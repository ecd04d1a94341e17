"""What the energy and the making of a site emit, and the water of both.

One function of named inputs, which may be arrays: those of `carbon_inputs`, and

``energy``: at the meter, ``it_energy``: of the machines. [J] ``wue``: water of the hall over IT
energy. [L/J] ``accelerators``: how many. ``duration``: for which they are held. [s]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clusterwright.facts import usual
from clusterwright.formulas.carbon import (
    amortised_carbon,
    electricity_carbon,
    electricity_water,
    market_carbon,
)
from clusterwright.site.climate import Region, require_grid
from clusterwright.uncertain import Input, known

if TYPE_CHECKING:
    from clusterwright.catalogue.store import Catalogue

Floats = Any

_USUAL = {
    "made_accelerator": "embodied-accelerator",
    "made_server": "embodied-server",
    "life": "hardware-life",
    "grid_water": "grid-water",
}


def carbon_inputs(
    catalogue: Catalogue, region: Region, *, node_size: int, contracted: float = 0.0
) -> dict[str, Input]:
    """What a place's electricity and the making of machines emit.

    ``node_size``: accelerators of a server. ``contracted``: share of the electricity that is
    bought as free of emissions. [1]

    Raises
    ------
    InputError
        Nobody published what the place's electricity emits; the nearest that is known is offered.

    >>> from clusterwright.facts import shipped
    >>> from clusterwright.site.climate import region_named
    >>> inputs = carbon_inputs(shipped(), region_named(shipped(), "sweden"), node_size=8)
    >>> round(inputs["grid_carbon"].value * 3.6e6, 4)
    0.0407
    """
    found = {key: usual(catalogue, name) for key, name in _USUAL.items()}
    return found | {
        "grid_carbon": require_grid(catalogue, region),
        "contracted_share": known(contracted, why="asked for"),
        "node_size": known(float(node_size), why="the machine's"),
    }


def footprint(given: Mapping[str, Floats]) -> dict[str, Floats]:
    """Emissions of the electricity by ``location`` and ``market``, share of what was ``made``. [kg]

    ``water`` of the hall, and ``grid_water`` of the power plants. [L]
    """
    energy, grid = given["energy"], given["grid_carbon"]
    each = given["made_accelerator"] + given["made_server"] / given["node_size"]
    return {
        "location": electricity_carbon(energy, grid),
        "market": market_carbon(energy, grid, given["contracted_share"], 0.0),
        "made": amortised_carbon(
            given["accelerators"] * each, given["duration"], given["life"], 1.0
        ),
        "water": given["it_energy"] * given["wue"],
        "grid_water": electricity_water(energy, given["grid_water"]),
    }
