r"""What a network consists of: switches, links and optical ends, from its topology.

A folded Clos network (a "fat tree") of full bisection has :math:`L` tiers of switches with
:math:`k` ports each. All tiers but the topmost have half of their ports down and half up; where a
tier is oversubscribed, fewer go up.

References
----------
.. [1] C. Clos, "A study of non-blocking switching networks," Bell System Technical Journal 32
   (1953) 406; C. E. Leiserson, "Fat-trees," IEEE Trans. Computers C-34 (1985) 892.
.. [2] M. Al-Fares, A. Loukissas, A. Vahdat, "A scalable, commodity data center network
   architecture," SIGCOMM 2008.
.. [3] N. Jouppi et al., "TPU v4: an optically reconfigurable supercomputer," arXiv:2304.01433.
.. [4] J. Kim et al., "Technology-driven, highly-scalable dragonfly topology," ISCA 2008.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""

_WHOLE = 1e-9
"""A count that is whole but for its last digits is meant to be."""


def clos_capacity(radix: Floats, tiers: Floats) -> Floats:
    r"""Most endpoints of a folded Clos network of full bisection. [1]

    .. math:: N_\mathrm{max} = 2 \left( \frac{k}{2} \right)^L

    References: [1]_, [2]_.

    Parameters
    ----------
    radix
        :math:`k > 2`, ports of a switch. [1]
    tiers
        :math:`L \ge 1`, tiers of switches. [1]

    Leaves out: ports kept for storage, management or repair.

    Examples
    --------
    >>> clos_capacity(64, 3), clos_capacity(144, 2)
    (65536.0, 10368.0)
    """
    return 2.0 * (radix / 2.0) ** tiers


def fewest_tiers(num_endpoints: Floats, radix: Floats) -> Floats:
    r"""Fewest tiers of switches that join so many endpoints at full bisection. [1]

    .. math:: L = \min \{ l \ge 1 : 2 (k/2)^l \ge N \},
       \qquad L = 0 \text{ where there is nothing to join.}

    References: [1]_, [2]_.

    Parameters
    ----------
    num_endpoints
        :math:`N`, ports of hosts that one network joins. [1]
    radix
        :math:`k > 2`, ports of a switch. [1]

    Leaves out: that an oversubscribed tier reaches further with as many tiers.

    Examples
    --------
    >>> fewest_tiers(np.array([1, 64, 65, 2048, 65537]), 64).tolist()
    [0.0, 1.0, 2.0, 2.0, 4.0]
    """
    above = np.log(np.maximum(num_endpoints / radix, 1.0)) / np.log(radix / 2.0)
    return np.where(np.asarray(num_endpoints > 1), 1.0 + np.ceil(above - _WHOLE), 0.0)


def clos_switches(num_endpoints: Floats, radix: Floats, tiers: Floats) -> Floats:
    r"""Switches of a folded Clos network of full bisection, if each port is used. [1]

    .. math:: S = \frac{N (2L - 1)}{k}

    Each endpoint takes two ports in every tier, and one in the topmost. The number of rails into
    which the endpoints are dealt does not change it. References: [1]_, [2]_.

    Parameters
    ----------
    num_endpoints
        :math:`N`, ports of hosts. [1]
    radix
        :math:`k`, ports of a switch. [1]
    tiers
        :math:`L \ge 1`, tiers of switches. [1]

    Leaves out: that switches are whole (see `whole_switches`), and the even wiring of cores, for
    which builders round up (Fire-Flyer's 10,000 endpoints: 1,250 here, 1,320 in their table).

    Examples
    --------
    >>> clos_switches(32768, 64, 3), clos_switches(10000, 40, 3)
    (2560.0, 1250.0)
    """
    return num_endpoints * (2.0 * tiers - 1.0) / radix


def tier_links(num_endpoints: Floats, tier: int, oversubscriptions: Sequence[Floats]) -> Floats:
    r"""Links below one tier of a folded Clos network. [1]

    .. math:: D_t = N \prod_{i < t} \frac{1}{o_i}

    References: [1]_, [2]_.

    Parameters
    ----------
    num_endpoints
        :math:`N`, ports of hosts. [1]
    tier
        :math:`t \ge 1`; the first is that of the leaves. [1]
    oversubscriptions
        :math:`o_i`, down over up of each tier, from the leaves on; 1 where it ends. [1]

    Leaves out: links between switches of one tier.

    Examples
    --------
    >>> tier_links(21504, 3, (1.0, 7.0))
    3072.0
    """
    links = num_endpoints
    for ratio in oversubscriptions[: tier - 1]:
        links = links / ratio
    return links


def whole_switches(
    num_endpoints: Floats,
    radix: Floats,
    tier: int,
    tiers: Floats,
    rails: Floats,
    *,
    oversubscriptions: Sequence[Floats] = (),
) -> Floats:
    r"""Switches of one tier, whole ones, of a network that is dealt into rails. [1]

    .. math:: S_t = r \left\lceil \frac{D_t}{k} \left( 1 + \frac{[t < L]}{o_t} \right) \right\rceil,
       \qquad D_t = \frac{N}{r} \prod_{i < t} \frac{1}{o_i}

    Rail :math:`j` joins the :math:`j`-th port of all hosts, by a network of its own. A switch that
    is oversubscribed has fewer ports up and so more down. References: [1]_, [2]_.

    Parameters
    ----------
    num_endpoints
        :math:`N`, ports of hosts, of all rails. [1]
    radix
        :math:`k`, ports of a switch. [1]
    tier
        :math:`t \ge 1`; the first is that of the leaves. [1]
    tiers
        :math:`L`, tiers of switches; none above it. [1]
    rails
        :math:`r`, networks that the endpoints are dealt into. [1]
    oversubscriptions
        :math:`o_i`, down over up of each tier, from the leaves on; 1 where it ends. [1]

    Leaves out: whole pods and the even wiring of cores, for which builders round up further.

    Examples
    --------
    >>> [float(whole_switches(1024, 64, tier, 2, 8)) for tier in (1, 2, 3)]
    [32.0, 16.0, 0.0]
    """
    below = tier_links(np.ceil(num_endpoints / rails - _WHOLE), tier, oversubscriptions)
    ratio = oversubscriptions[tier - 1] if tier <= len(oversubscriptions) else 1.0
    ports = below * np.where(np.asarray(tiers > tier), 1.0 + 1.0 / ratio, 1.0)
    there = np.asarray(tiers >= tier) & np.asarray(num_endpoints > 0)
    return np.where(there, rails * np.ceil(ports / radix - _WHOLE), 0.0)


def optical_ends(num_endpoints: Floats, tiers: Floats, copper_share: Floats = 0.0) -> Floats:
    r"""Ends of optical links in a folded Clos network of full bisection. [1]

    .. math:: E = 2 N (L - c)

    A module with two ports serves two of them. References: [1]_, [2]_.

    Parameters
    ----------
    num_endpoints
        :math:`N`, ports of hosts. [1]
    tiers
        :math:`L \ge 1`, tiers of switches. [1]
    copper_share
        :math:`c`, share of the links between hosts and leaves that are copper. [1]

    Leaves out: patch panels, and copper higher up.

    Examples
    --------
    >>> optical_ends(384, 2), optical_ends(24576, 3) - optical_ends(24576, 3, 1.0)
    (1536.0, 49152.0)
    """
    return 2.0 * num_endpoints * (tiers - copper_share)


def torus_links(num_accelerators: Floats, dimensions: Floats) -> Floats:
    r"""Links of a torus, each of which joins two accelerators. [1]

    .. math:: E = d N

    Parameters
    ----------
    num_accelerators
        :math:`N`, accelerators of the torus. [1]
    dimensions
        :math:`d`; each accelerator has :math:`2d` ports. [1]

    Leaves out: rings of one or two, which need fewer. Reference: [3]_.

    Examples
    --------
    >>> torus_links(4096, 3)
    12288
    """
    return dimensions * num_accelerators


def torus_optical_ends(num_accelerators: Floats, side: Floats, dimensions: Floats) -> Floats:
    r"""Fibres from the faces of the cubes that a torus is put together of. [1]

    .. math:: E = \frac{2 d}{s} N

    Inside a cube of :math:`s^d` links are copper; each of its :math:`2d` faces has
    :math:`s^{d-1}` that go to optical switches. Reference: [3]_.

    Parameters
    ----------
    num_accelerators
        :math:`N`, accelerators of the torus. [1]
    side
        :math:`s`, accelerators along a side of a cube. [1]
    dimensions
        :math:`d` of the torus. [1]

    Leaves out: spare ports of the optical switches.

    Examples
    --------
    >>> torus_optical_ends(64, 4, 3), torus_optical_ends(4096, 4, 3) == 48 * 128
    (96.0, True)
    """
    return 2.0 * dimensions * num_accelerators / side


def dragonfly_links(dragonfly_groups: Floats, group_switches: Floats, pair_links: Floats) -> Floats:
    r"""Links between the switches of a dragonfly. [1]

    .. math:: E = G \frac{a (a - 1)}{2} + h \frac{G (G - 1)}{2}

    All switches of a group are joined by one link each, and all groups by :math:`h`.
    Reference: [4]_.

    Parameters
    ----------
    dragonfly_groups
        :math:`G`, groups. [1]
    group_switches
        :math:`a`, switches of a group. [1]
    pair_links
        :math:`h`, links between two groups. [1]

    Leaves out: groups that are themselves a Clos network (dragonfly+).

    Examples
    --------
    >>> dragonfly_links(74, 32, 4)
    47508.0
    """
    inside = dragonfly_groups * group_switches * (group_switches - 1) / 2.0
    return inside + pair_links * dragonfly_groups * (dragonfly_groups - 1) / 2.0


def dragonfly_oversubscription(
    group_endpoints: Floats, dragonfly_groups: Floats, pair_links: Floats
) -> Floats:
    r"""What the endpoints of a group send over what its links to other groups carry. [1]

    .. math:: o = \frac{p}{h (G - 1)}

    Reference: [4]_.

    Parameters
    ----------
    group_endpoints
        :math:`p`, endpoints of a group. [1]
    dragonfly_groups
        :math:`G > 1`, groups. [1]
    pair_links
        :math:`h`, links between two groups. [1]

    Leaves out: detours through a third group, which take twice as much.

    Examples
    --------
    >>> round(dragonfly_oversubscription(512, 74, 4), 3)
    1.753
    """
    return group_endpoints / (pair_links * (dragonfly_groups - 1))
