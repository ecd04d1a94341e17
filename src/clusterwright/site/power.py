"""What an accelerator draws in the phases of a step, and what a power cap costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from clusterwright.errors import InputError
from clusterwright.facts import input_of, usual
from clusterwright.formulas.power import capped_speed, phase_power, step_speed
from clusterwright.uncertain import Input, known, scaled
from clusterwright.units import format_quantity

if TYPE_CHECKING:
    from clusterwright.catalogue.store import Catalogue

Floats = Any

SHARES = ("compute_share", "memory_share", "traffic_share")
"""Shares of a step's time; what is left of it is idle."""
_PHASES = {
    "compute_power": "power-compute",
    "memory_power": "power-memory",
    "traffic_power": "power-communication",
    "idle_power": "power-idle",
}


def power_inputs(catalogue: Catalogue, accelerator: str) -> dict[str, Input]:
    """Power of an accelerator in each phase, its rated power and how it goes with the clock.

    Its own idle power is used where somebody measured it; the rest are shares of its rated power
    that were measured on other chips.

    Raises
    ------
    InputError
        If nobody published its board power.

    >>> from clusterwright.facts import shipped
    >>> watts = power_inputs(shipped(), "nv-h100-sxm")
    >>> watts["rated_power"].value, round(watts["memory_power"].value)
    (700.0, 408)
    """
    entry = catalogue.entry("accelerators", accelerator)
    rated = input_of(entry.require("board_power"))
    found = {key: _of_board(usual(catalogue, name), rated) for key, name in _PHASES.items()}
    idle = entry.figure("idle_power")
    if idle is not None:
        found["idle_power"] = input_of(idle)
    return found | {"rated_power": rated, "power_exponent": usual(catalogue, "power-exponent")}


def mean_power(given: Mapping[str, Floats]) -> Floats:
    """Mean power of an accelerator over a step, from `power_inputs` and the three `SHARES`. [W]"""
    return phase_power(**{key: given[key] for key in (*SHARES, *_PHASES)})


def capped_step(given: Mapping[str, Floats], power_cap: Floats) -> Floats:
    """Speed of a step under a power cap over its speed without, from the same inputs. [1]

    What is held back is compute-bound work, which may draw less than rated to begin with.
    """
    clock = capped_speed(
        power_cap, given["idle_power"], given["compute_power"], given["power_exponent"]
    )
    return step_speed(clock, given["compute_share"])


def check_cap(power_cap: float, inputs: Mapping[str, Input], name: str) -> Input:
    """A power cap as an input of its own.

    Raises
    ------
    InputError
        If the accelerator draws as much with nothing to do.
    """
    idle, rated = inputs["idle_power"].value, inputs["rated_power"].value
    if power_cap <= idle:
        least, most = (format_quantity(one, "W") for one in (idle, rated))
        raise InputError(
            f"a power cap of {format_quantity(power_cap, 'W')} leaves nothing to work with: "
            f"{name} draws {least} idle; give more, up to {most}"
        )
    return known(min(power_cap, rated), "W", "asked for")


def _of_board(share: Input, rated: Input) -> Input:
    return msgspec.structs.replace(scaled(share, rated.value), dimension="W")
