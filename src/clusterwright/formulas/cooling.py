r"""What it takes to power and cool a hall: losses, fans, free cooling, chillers, water.

Temperatures are in kelvin. A place's year is a normal distribution of its outdoor temperature,
taken at equally likely values, the first axis of what these formulas return for it.

References
----------
.. [1] N. Lei, E. Masanet, "Statistical analysis for predicting location-specific data center PUE
   and its improvement potential," Energy 201 (2020) 117556.
.. [2] R. Stull, "Wet-bulb temperature from relative humidity and air temperature," J. Appl.
   Meteorol. Climatol. 50 (2011) 2267.
.. [3] The Green Grid, "PUE: a comprehensive examination of the metric," white paper 49, 2012.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, Final

import numpy as np

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""

_HOURS: Final = 128
_NORMAL: Final = np.array([NormalDist().inv_cdf((place + 0.5) / _HOURS) for place in range(_HOURS)])


def climate_spread(
    coldest_month: Floats, hottest_month: Floats, daily_range: Floats, weather_spread: Floats
) -> Floats:
    r"""Standard deviation of the outdoor temperature over a year. [K]

    .. math:: \sigma^2 = \frac{(T_h - T_c)^2}{8} + \frac{D^2}{8} + w^2

    seasons and days being sines, whose variance is half the square of their amplitude.

    Parameters
    ----------
    coldest_month, hottest_month
        :math:`T_c, T_h`, mean temperatures. [K]
    daily_range
        :math:`D`, from the lowest to the highest of a day. [K]
    weather_spread
        :math:`w`, of a day's mean around that of the season. [K]

    Leaves out: that a sine is flatter than a normal distribution, so that its extremes are milder.

    Examples
    --------
    >>> round(float(climate_spread(278.0, 301.0, 10.0, 4.0)), 1)
    9.7
    """
    seasons, days = (hottest_month - coldest_month) ** 2 / 8.0, daily_range**2 / 8.0
    return (seasons + days + weather_spread**2) ** 0.5


def yearly_temperatures(mean_temperature: Floats, temperature_spread: Floats) -> Floats:
    r"""Equally likely outdoor temperatures of a year, rising along a new first axis. [K]

    .. math:: T_i = \mu + \sigma \, \Phi^{-1}\!\left(\frac{i - 1/2}{n}\right)

    Parameters
    ----------
    mean_temperature
        :math:`\mu`, of the year. [K]
    temperature_spread
        :math:`\sigma`, its standard deviation. [K]

    Leaves out: heat waves of the decade, which size a plant but hardly move its yearly energy.

    Examples
    --------
    >>> year = yearly_temperatures(288.0, 8.0)
    >>> year.shape, round(float(year.mean()), 6), round(float((year > 300.0).mean()), 3)
    ((128,), 288.0, 0.07)
    """
    shape = (-1,) + (1,) * np.ndim(mean_temperature + temperature_spread)
    return mean_temperature + temperature_spread * _NORMAL.reshape(shape)


def wet_bulb(temperature: Floats, humidity: Floats, ice_point: Floats = 273.15) -> Floats:
    r"""Temperature to which evaporation can cool air. [K]

    Stull's fit [2]_ to the psychrometric chart at sea level, :math:`t` in degrees Celsius and
    :math:`h` in per cent:

    .. math:: t_w = t \arctan\!\big(0.151977 \sqrt{h + 8.313659}\big) + \arctan(t + h)
       - \arctan(h - 1.676331) + 0.00391838\, h^{3/2} \arctan(0.023101 h) - 4.686035

    Parameters
    ----------
    temperature
        Of the air; the fit holds from -20 to 50 °C. [K]
    humidity
        Relative, from 0.05. [1]
    ice_point
        The zero of the Celsius scale. [K]

    Leaves out: altitude, which lowers it by about a degree at 1,500 m.

    Examples
    --------
    >>> round(float(wet_bulb(293.15, 0.5)) - 273.15, 1)
    13.7
    """
    t, h = 273.15 * (temperature / ice_point - 1.0), 100.0 * humidity
    found = t * np.arctan(0.151977 * np.sqrt(h + 8.313659)) + np.arctan(t + h)
    found = found - np.arctan(h - 1.676331) + 0.00391838 * h**1.5 * np.arctan(0.023101 * h)
    return ice_point * (1.0 + (found - 4.686035) / 273.15)


def moving_power(
    pressure: Floats, heat_capacity: Floats, temperature_rise: Floats, mover_efficiency: Floats
) -> Floats:
    r"""Power of a fan or pump over the heat that its air or water carries. [1]

    .. math:: f = \frac{\Delta p}{c \, \Delta T \, \eta}

    Parameters
    ----------
    pressure
        :math:`\Delta p`, which it works against. [J/m3]
    heat_capacity
        :math:`c`, of the medium by volume. [J/m3/K]
    temperature_rise
        :math:`\Delta T`, of the medium. [K]
    mover_efficiency
        :math:`\eta`, of fan or pump with its motor. [1]

    Leaves out: that at part load it falls with the third power of the flow.

    Examples
    --------
    Air of a hall (500 Pa, 16.5 K) and water of a loop (144 kPa, 7.5 K):

    >>> round(moving_power(500.0, 1170.0, 16.5, 0.775), 3)
    0.033
    >>> round(moving_power(144e3, 4.18e6, 7.5, 0.7), 4)
    0.0066
    """
    return pressure / (heat_capacity * temperature_rise * mover_efficiency)


def distribution_loss(ups_efficiency: Floats, wiring_loss: Floats, lighting: Floats) -> Floats:
    r"""What power supplies, wiring and lamps take, over IT power. [1]

    .. math:: d = \frac{1}{\eta} - 1 + \frac{1}{1 - w} - 1 + l

    Parameters
    ----------
    ups_efficiency
        :math:`\eta`, of the uninterruptible supply. [1]
    wiring_loss
        :math:`w`, lost in transformers and wires, over what enters them. [1]
    lighting
        :math:`l`, over IT power. [1]

    Leaves out: power supplies inside the servers, which count as IT. [1]

    Examples
    --------
    >>> round(distribution_loss(0.97, 0.01, 0.001), 3)
    0.042
    """
    return 1.0 / ups_efficiency + 1.0 / (1.0 - wiring_loss) - 2.0 + lighting


def free_share(
    outdoor_temperature: Floats,
    supply_temperature: Floats,
    temperature_rise: Floats,
    approach: Floats,
) -> Floats:
    r"""Share of the heat that the outdoors takes without a chiller. [1]

    .. math:: x = \min\!\Big(1, \max\!\Big(0, \frac{T_s + \Delta T - (T_o + a)}{\Delta T}\Big)\Big)

    all of it when outdoors is colder than the supply by the approach, part of it up to the
    temperature at which the medium comes back. [1]

    Parameters
    ----------
    outdoor_temperature
        :math:`T_o`, dry bulb, or wet bulb behind a cooling tower. [K]
    supply_temperature
        :math:`T_s`, of the air or water that is handed out. [K]
    temperature_rise
        :math:`\Delta T`, until it comes back. [K]
    approach
        :math:`a`, how near to outdoors it can be brought. [K]

    Leaves out: hours too dusty, too humid or too dry for outside air.

    Examples
    --------
    >>> [float(free_share(t, 300.0, 8.0, 6.0)) for t in (290.0, 298.0, 305.0)]
    [1.0, 0.5, 0.0]
    """
    left = supply_temperature + temperature_rise - outdoor_temperature - approach
    return np.clip(left / temperature_rise, 0.0, 1.0)


def evaporated_share(
    outdoor_temperature: Floats,
    supply_temperature: Floats,
    temperature_rise: Floats,
    approach: Floats,
) -> Floats:
    r"""Heat that evaporation takes from outside air before it enters, over that of the hall. [1]

    .. math:: z = \min\!\Big(1, \max\!\Big(0, \frac{T_o + a - T_s}{\Delta T}\Big)\Big)

    Air of which the hall warms each kilogram by :math:`\Delta T` has to lose :math:`T_o + a - T_s`
    first.

    Parameters
    ----------
    outdoor_temperature
        :math:`T_o`, dry bulb. [K]
    supply_temperature, temperature_rise, approach
        As in `free_share`. [K]

    Leaves out: water that is drained against scale.

    Examples
    --------
    >>> float(evaporated_share(308.0, 303.0, 16.0, 1.0))
    0.375
    """
    above = outdoor_temperature + approach - supply_temperature
    return np.clip(above / temperature_rise, 0.0, 1.0)


def evaporative_heat(
    dry_temperature: Floats, wet_temperature: Floats, exhaust_rise: Floats, sensible_ratio: Floats
) -> Floats:
    r"""Share of a cooling tower's heat that evaporates water. [1]

    .. math:: z = 1 - \frac{c_p}{c_s} \cdot \frac{T_w + \delta - T_d}{\delta}

    Air leaves a tower saturated at :math:`T_w + \delta`. The enthalpy that it took up is
    :math:`c_s \delta`; what of that warmed it from :math:`T_d` took no water. In a desert the air
    comes warmer than it leaves, and more evaporates than the heat of the hall.

    Parameters
    ----------
    dry_temperature, wet_temperature
        :math:`T_d, T_w`, of the air outdoors. [K]
    exhaust_rise
        :math:`\delta`, of what leaves the tower over the wet bulb: its approach and its range. [K]
    sensible_ratio
        :math:`c_p / c_s`, heat capacity of air over the slope of the enthalpy of saturated air:
        0.47 at 7 °C, 0.27 at 22 °C. [1]

    Leaves out: towers that run dry in winter.

    Examples
    --------
    A mild day and one in the desert:

    >>> round(evaporative_heat(288.0, 284.0, 9.0, 0.37), 2)
    0.79
    >>> round(evaporative_heat(303.0, 289.0, 9.0, 0.33), 2)
    1.18
    """
    warmed = wet_temperature + exhaust_rise - dry_temperature
    return 1.0 - sensible_ratio * warmed / exhaust_rise


def chiller_cop(
    cold_temperature: Floats, hot_temperature: Floats, carnot_share: Floats, least_lift: Floats
) -> Floats:
    r"""Heat that a chiller moves over the power that it takes. [1]

    .. math:: \text{COP} = g \frac{T_c}{\max(T_h - T_c, \delta)}

    Parameters
    ----------
    cold_temperature
        :math:`T_c`, at which it boils. [K]
    hot_temperature
        :math:`T_h`, at which it condenses. [K]
    carnot_share
        :math:`g`, of what Carnot's engine would do. [1]
    least_lift
        :math:`\delta`, the smallest lift at which a compressor runs. [K]

    Leaves out: part load, which makes large machines better down to about a half and then worse.

    Examples
    --------
    >>> round(float(chiller_cop(278.0, 308.0, 0.5, 10.0)), 2)
    4.63
    """
    return (
        carnot_share * cold_temperature / np.maximum(hot_temperature - cold_temperature, least_lift)
    )


def cooling_power(moving: Floats, rejection: Floats, free: Floats, performance: Floats) -> Floats:
    r"""Power of cooling over the heat of the hall. [1]

    .. math:: k = f + \frac{1 - x}{\text{COP}} + r \Big( 1 + \frac{1 - x}{\text{COP}} \Big)

    Parameters
    ----------
    moving
        :math:`f`, fans and pumps of the hall. [1]
    rejection
        :math:`r`, fans and pumps outdoors, over the heat that they give off. [1]
    free
        :math:`x`, share of the heat that needs no chiller. [1]
    performance
        :math:`\text{COP}` of the chiller. [1]

    Leaves out: fans inside the servers, which count as IT and make air look better than it is.

    Examples
    --------
    >>> round(cooling_power(0.04, 0.03, 1.0, 5.0), 3), round(cooling_power(0.04, 0.03, 0.0, 5.0), 3)
    (0.07, 0.276)
    """
    chilled = (1.0 - free) / performance
    return moving + chilled + rejection * (1.0 + chilled)


def power_usage_effectiveness(distribution: Floats, cooling: Floats) -> Floats:
    r"""Facility over IT power, the PUE. [1]

    .. math:: \text{PUE} = (1 + d)(1 + k)

    What distribution loses is heat that has to be carried out as well. [3]

    Parameters
    ----------
    distribution
        :math:`d`, losses and lamps over IT power. [1]
    cooling
        :math:`k`, power of cooling over the heat. [1]

    Leaves out: losses in the open, which need no cooling, and offices.

    Examples
    --------
    >>> round(power_usage_effectiveness(0.04, 0.05), 3)
    1.092
    """
    return (1.0 + distribution) * (1.0 + cooling)


def water_usage_effectiveness(
    heat: Floats, evaporative_share: Floats, latent_heat: Floats, cycles: Floats
) -> Floats:
    r"""Water of a facility for each IT energy, the WUE. [L/J]

    .. math:: w = \frac{q z}{h} \cdot \frac{n}{n - 1}

    Parameters
    ----------
    heat
        :math:`q`, given off over IT energy: about the PUE. [1]
    evaporative_share
        :math:`z`, share of it that evaporates water. [1]
    latent_heat
        :math:`h`, that a litre takes. [J/L]
    cycles
        :math:`n > 1`, how much saltier water is drained than it came; infinite: none is. [1]

    Leaves out: droplets that drift off, and humidifiers.

    Examples
    --------
    All heat of a site with a PUE of 1.223 by evaporation, five cycles; Microsoft's Arizona site
    has 2.24 L/kWh.

    >>> round(water_usage_effectiveness(1.223, 1.0, 2.45e6, 5.0) * 3.6e6, 2)
    2.25
    """
    return heat * evaporative_share / latent_heat * (1.0 + 1.0 / (cycles - 1.0))
