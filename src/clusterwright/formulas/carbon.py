r"""What electricity and the making of hardware emit, and the water that electricity takes.

Masses are of carbon dioxide and what warms as much as it.

References
----------
.. [1] GHG Protocol, "Scope 2 guidance," 2015 (location-based and market-based).
.. [2] U. Gupta et al., "ACT: designing sustainable computer systems with an architectural carbon
   modeling tool," ISCA 2022.
.. [3] A. Faiz et al., "LLMCarbon," ICLR 2024 (area times carbon per area, over the life).
.. [4] J. Macknick et al., Environ. Res. Lett. 7 (2012) 045802 (water of power plants).
"""

from __future__ import annotations

from typing import Any

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""


def electricity_carbon(energy: Floats, grid_carbon: Floats) -> Floats:
    r"""Emissions of electricity, location-based. [kg]

    .. math:: m = E c

    Parameters
    ----------
    energy
        :math:`E`, at the meter. [J]
    grid_carbon
        :math:`c`, mean emissions of the grid in the year. [kg/J]

    Leaves out: the hour at which it is drawn, and what one consumer more makes the grid burn.

    Examples
    --------
    GPT-3, 1,287 MWh at 0.429 kg/kWh: 552 t.

    >>> round(electricity_carbon(1287 * 3.6e9, 0.429 / 3.6e6) / 1e3, 1)
    552.1
    """
    return energy * grid_carbon


def market_carbon(
    energy: Floats, grid_carbon: Floats, contracted_share: Floats, contract_carbon: Floats
) -> Floats:
    r"""Emissions of electricity, market-based. [kg]

    .. math:: m = E \big( q c_q + (1 - q) c \big)

    Parameters
    ----------
    energy
        :math:`E`, at the meter. [J]
    grid_carbon
        :math:`c`, of what no contract covers. [kg/J]
    contracted_share
        :math:`q`, share bought under contracts or certificates. [1]
    contract_carbon
        :math:`c_q`, of that; 0 for wind and sun as they are reported. [kg/J]

    Leaves out: whether the contracted power ran in the same hour and on the same grid. [1]

    Examples
    --------
    >>> [round(market_carbon(3.6e9, 0.4 / 3.6e6, share, 0.0)) for share in (1.0, 0.75, 0.0)]
    [0, 100, 400]
    """
    mixed = contracted_share * contract_carbon + (1.0 - contracted_share) * grid_carbon
    return energy * mixed


def wafer_carbon(
    fab_energy: Floats,
    fab_carbon: Floats,
    fab_gases: Floats,
    fab_materials: Floats,
    fab_yield: Floats,
) -> Floats:
    r"""Emissions of making a chip, for each square metre of good die. [kg/m2]

    .. math:: a = \frac{e c + g + r}{y}

    Parameters
    ----------
    fab_energy
        :math:`e`, electricity of the fab for each area of wafer. [J/m2]
    fab_carbon
        :math:`c`, emissions of that electricity. [kg/J]
    fab_gases, fab_materials
        :math:`g, r`, gases that escape and raw materials. [kg/m2]
    fab_yield
        :math:`y`, share of good dies. [1]

    Leaves out: packaging, tests, design, and the edge of the wafer. [2]

    Examples
    --------
    5 nm on a grid of 500 g/kWh with a yield of 87.5 %: 2.6 kg for each square centimetre.

    >>> round(wafer_carbon(2.75 * 3.6e10, 0.5 / 3.6e6, 4.3e3, 5e3, 0.875) / 1e4, 2)
    2.63
    """
    return (fab_energy * fab_carbon + fab_gases + fab_materials) / fab_yield


def made_carbon(
    die_area: Floats,
    area_carbon: Floats,
    memory_bytes: Floats,
    byte_carbon: Floats,
    rest_carbon: Floats,
) -> Floats:
    r"""Emissions of making one accelerator. [kg]

    .. math:: m = A a + n b + r

    Parameters
    ----------
    die_area
        :math:`A`, all dies but memory. [m2]
    area_carbon
        :math:`a`, of each area of good die. [kg/m2]
    memory_bytes
        :math:`n`. [B]
    byte_carbon
        :math:`b`, of each byte of memory. [kg/B]
    rest_carbon
        :math:`r`: package, board, heat sink, its share of a server. [kg]

    Leaves out: transport and what becomes of it at the end.

    Examples
    --------
    LLMCarbon's H100 with its memory, 47 kg: the maker's own account has 164 kg for each of eight on
    a baseboard, so that chips and memory alone are far too little.

    >>> round(made_carbon(814e-6, 1.8e4, 80e9, 0.4e-9, 0.0), 1)
    46.7
    """
    return die_area * area_carbon + memory_bytes * byte_carbon + rest_carbon


def amortised_carbon(made: Floats, duration: Floats, life: Floats, busy_share: Floats) -> Floats:
    r"""Share of what its making emitted that a job answers for. [kg]

    .. math:: m = M \frac{t}{L u}

    Parameters
    ----------
    made
        :math:`M`, emissions of making all the hardware. [kg]
    duration
        :math:`t`, for which the job holds it. [s]
    life
        :math:`L`, until it is scrapped. [s]
    busy_share
        :math:`u`, share of its life in which somebody holds it. [1]

    Leaves out: a second life elsewhere.

    Examples
    --------
    >>> round(amortised_carbon(164.0 * 16_384, 54 * 86_400.0, 5 * 365.25 * 86_400.0, 1.0) / 1e3, 1)
    79.5
    """
    return made * duration / (life * busy_share)


def electricity_water(energy: Floats, grid_water: Floats) -> Floats:
    r"""Water that power plants consume for electricity. [L]

    .. math:: V = E w

    Parameters
    ----------
    energy
        :math:`E`, at the meter. [J]
    grid_water
        :math:`w`, consumed for each energy, by the mix of plants. [L/J]

    Leaves out: what is drawn and given back, and the water of reservoirs. [4]

    Examples
    --------
    >>> round(electricity_water(3.6e9, 0.82 / 3.6e6))
    820
    """
    return energy * grid_water
