r"""What accelerators, nodes and a whole facility draw.

References
----------
.. [1] W. Brewer et al., "A digital twin framework for liquid-cooled supercomputers," SC 2024
   (ExaDigiT RAPS: nodes between idle and full load, losses of two converters).
.. [2] P. Patel et al., "Splitwise," ISCA 2024 (power of the phases of inference).
.. [3] T. D. Burd, R. W. Brodersen, "Energy efficient CMOS microprocessor design," HICSS 1995
   (power goes with the clock times the square of the voltage).
"""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""


def part_load(idle_power: Floats, rated_power: Floats, load: Floats) -> Floats:
    r"""Power of a part that is busy for a share of its time. [W]

    .. math:: P = P_0 + u (P_1 - P_0)

    as RAPS has it for processors and accelerators. [1]

    Parameters
    ----------
    idle_power
        :math:`P_0`, with nothing to do. [W]
    rated_power
        :math:`P_1`, at full load. [W]
    load
        :math:`u`, share of full load. [1]

    Leaves out: that measured curves bend upwards first, and clocks that fall when it is warm.

    Examples
    --------
    >>> part_load(2800.0, 10200.0, 0.5)
    6500.0
    """
    return idle_power + load * (rated_power - idle_power)


def phase_power(
    *,
    compute_share: Floats,
    memory_share: Floats,
    traffic_share: Floats,
    compute_power: Floats,
    memory_power: Floats,
    traffic_power: Floats,
    idle_power: Floats,
) -> Floats:
    r"""Mean power of an accelerator over the phases of a step. [W]

    .. math:: P = f_c P_c + f_m P_m + f_x P_x + (1 - f_c - f_m - f_x) P_0

    The powers of compute-bound and memory-bound work are those of the prompt and the token phase of
    inference [2]_; what is left of the step is idle.

    Parameters
    ----------
    compute_share, memory_share, traffic_share
        Shares of the step's time that are bound by compute, by memory, and by traffic that nothing
        hides; together at most 1. [1]
    compute_power, memory_power, traffic_power
        Power in each. [W]
    idle_power
        Power with nothing to do. [W]

    Leaves out: the slope between phases (see the power trace), and boards that their limit holds
    back.

    Examples
    --------
    >>> time = {"compute_share": 0.6, "memory_share": 0.1, "traffic_share": 0.2}
    >>> watts = {"compute_power": 700.0, "memory_power": 380.0, "traffic_power": 250.0}
    >>> round(phase_power(**time, **watts, idle_power=75.0), 1)
    515.5
    """
    idle_share = 1.0 - compute_share - memory_share - traffic_share
    busy = compute_share * compute_power + memory_share * memory_power
    return busy + traffic_share * traffic_power + idle_share * idle_power


def converter_input(
    load_power: Floats, fixed_loss: Floats, conversion_efficiency: Floats
) -> Floats:
    r"""Power that a converter takes to hand out a load. [W]

    .. math:: P_\text{in} = \frac{P + c}{\eta}

    Frontier's 48 V converter has 13 W and 0.98, its rectifier 17 W and 0.96. [1]

    Parameters
    ----------
    load_power
        :math:`P`, what is drawn behind it. [W]
    fixed_loss
        :math:`c`, lost at any load. [W]
    conversion_efficiency
        :math:`\eta`, of what passes. [1]

    Leaves out: the fall of the efficiency at small loads beyond the fixed loss.

    Examples
    --------
    >>> round(converter_input(converter_input(2000.0, 13.0, 0.98), 17.0, 0.96), 1)
    2157.4
    """
    return (load_power + fixed_loss) / conversion_efficiency


def facility_power(
    *,
    num_accelerators: Floats,
    accelerator_power: Floats,
    load: Floats,
    host_power: Floats,
    network_power: Floats,
    storage_power: Floats,
    pue: Floats,
) -> Floats:
    r"""Power of a facility full of accelerators. [W]

    .. math:: P = N (P_a u + P_h + P_n + P_s) \cdot \text{PUE}

    With :math:`u = 1` and rated powers this is the nameplate; with what is drawn in training, the
    power to expect; with the most that was ever seen, the peak that a grid must bear.

    Parameters
    ----------
    num_accelerators
        :math:`N`. [1]
    accelerator_power
        :math:`P_a`, rated power of one. [W]
    load
        :math:`u`, share of full load. [1]
    host_power, network_power, storage_power
        :math:`P_h, P_n, P_s`, the rest of the servers, the network and the storage, for each
        accelerator. [W]
    pue
        :math:`\text{PUE}`, facility over IT power. [1]

    Leaves out: that hosts and networks draw less at part load.

    Examples
    --------
    The 100,000 H100 of SemiAnalysis (2024): 1,402 W of IT and 1,815 W at the meter of each.

    >>> rest = {"host_power": 575.0, "network_power": 127.0, "storage_power": 0.0}
    >>> each = facility_power(
    ...     num_accelerators=1,
    ...     accelerator_power=700.0,
    ...     load=1.0,
    ...     **rest,
    ...     pue=1.294,
    ... )
    >>> round(each, 1)
    1814.2
    """
    each = accelerator_power * load + host_power + network_power + storage_power
    return num_accelerators * each * pue


def capped_speed(
    power_cap: Floats, idle_power: Floats, rated_power: Floats, power_exponent: Floats
) -> Floats:
    r"""Clock under a power cap over the clock at rated power. [1]

    .. math:: s = \min\left(1, \left(\frac{P_c - P_0}{P_1 - P_0}\right)^{1/a}\right)

    Power above idle goes with the clock times the square of the voltage, and the voltage with the
    clock: :math:`a = 3` far above the lowest voltage, less near it. [3]

    Parameters
    ----------
    power_cap
        :math:`P_c`; at or below idle nothing runs and the speed is 0. [W]
    idle_power
        :math:`P_0`. [W]
    rated_power
        :math:`P_1`, above idle. [W]
    power_exponent
        :math:`a`. [1]

    Leaves out: memory, whose clock stays; work that never reaches the cap (see `step_speed`).

    Examples
    --------
    A GB200 held to 1,000 of its 1,200 W; Meta lost 5 % of the speed of its training steps.

    >>> round(float(capped_speed(1000.0, 130.0, 1200.0, 3.0)), 3)
    0.933
    """
    above = np.clip((power_cap - idle_power) / (rated_power - idle_power), 0.0, 1.0)
    return above ** (1.0 / power_exponent)


def step_speed(speed: Floats, compute_share: Floats) -> Floats:
    r"""Speed of a whole step when the clock falls and memory and traffic do not. [1]

    .. math:: S = \frac{s}{f_c + (1 - f_c) s}

    Parameters
    ----------
    speed
        :math:`s`, clock over the clock without a cap. [1]
    compute_share
        :math:`f_c`, share of the step's time that is bound by compute. [1]

    Leaves out: that work which is not bound by compute rarely reaches the cap, and then loses
    nothing of its clock either.

    Examples
    --------
    >>> round(step_speed(0.933, 0.75), 3), step_speed(0.0, 0.5)
    (0.949, 0.0)
    """
    return speed / (compute_share + (1.0 - compute_share) * speed)


def device_energy(device_time: Floats, device_power: Floats, pue: Floats) -> Floats:
    r"""Energy at the meter of devices that ran for a time. [J]

    .. math:: E = t P \cdot \text{PUE}

    Parameters
    ----------
    device_time
        :math:`t`, of all devices together. [s]
    device_power
        :math:`P`, of one, with its share of the server where that is counted. [W]
    pue
        :math:`\text{PUE}`, facility over IT energy. [1]

    Leaves out: machines that stood by for it.

    Examples
    --------
    GPT-3 on 10,000 V100 of 330 W for 14.8 days: 1,289 MWh; 1,287 were published.

    >>> round(device_energy(10_000 * 14.8 * 86_400, 330.0, 1.1) / 3.6e9)
    1289
    """
    return device_time * device_power * pue
