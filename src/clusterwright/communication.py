"""How a communication library carries out collectives: the catalogue's constants of each.

An entry belongs to a library on a generation of chips (NCCL on Hopper). Rates are shares of the
line rates that the cluster's levels have, latencies are seconds; what was measured and what is the
vendor's own figure stands beside each entry in ``catalogue/settings/collectives.toml``.
"""

from __future__ import annotations

import msgspec

from clusterwright.errors import CatalogueError
from clusterwright.records import Record


class Protocol(Record, frozen=True, kw_only=True):
    """One way to carry data: a line, latency and bandwidth.

    ``base``: start of the kernel and its end. [s] ``hop``, ``network_hop``: one step inside the
    scale-up domain and between domains. [s] ``per_rank``: what each member adds whatever the
    algorithm. [s] ``share``, ``network_share``: of the line rate of the scale-up link and of the
    network. [1] ``staging``: cost of copying one's own share, in sendings of a share. [1]
    ``fill``: bytes' worth of time until a tree's pipeline is full. [B]
    """

    name: str
    base: float
    hop: float
    network_hop: float
    share: float
    network_share: float
    per_rank: float = 0.0
    staging: float = 0.0
    fill: float = 0.0


class OwnAllReduce(Record, frozen=True, kw_only=True):
    """An inference engine's own all-reduce inside a domain: one-shot, and two-shot beyond.

    ``base_…``: barrier and kernel. [s] ``share_…``: of the line rate. [1] ``mesh``: each pair of
    ranks has links of its own, so that a part of the domain has a part of the rate.
    """

    base_one_shot: float
    share_one_shot: float
    base_two_shot: float
    share_two_shot: float
    mesh: bool = False
    rows: int = 0
    residual: float | None = None


class CommunicationLibrary(Record, frozen=True, kw_only=True):
    """A communication library on one generation of chips.

    ``profiles``: the efficiency profiles whose chips it serves. ``ring``: protocols of rings;
    ``all_reduce_ring``, ``scatter_ring``: those of all-reduces and of reduce-scatters, ``message``:
    of what one rank sends another, each where it was measured to differ from a ring's gathers;
    ``tree``: of double trees, all-reduce alone; ``switch``: reduction in the scale-up switches, for
    groups of ``switch_members`` or more in a domain; ``logarithmic``: gathers in a logarithm of
    steps, for groups with one member a domain (``logarithmic_inside``: for any group).
    ``exchange``: all-to-all; ``dispatch``: of experts' tokens, once per domain;
    ``direct``: a copy to each expert, for few tokens. ``hop_reference``,
    ``network_hop_reference``: the levels' latencies for which the hops above hold; a level that
    takes longer adds the difference. [s] ``max_rails``: links that one group drives at once out of
    a domain, at most (none: one for each member in it). [1] ``host_time``: what the host needs to
    issue one collective (nothing in a graph). [s] ``own``: engines' all-reduce by engine.
    ``overlap_slowdown``: what hidden traffic costs the computation it hides behind, as a share of
    its own time, where that was measured (none: the usual of the settings); 1 and more where the
    units that compute carry it. [1]
    """

    id: str
    name: str
    profiles: tuple[str, ...] = ()
    ring: tuple[Protocol, ...]
    all_reduce_ring: tuple[Protocol, ...] = ()
    scatter_ring: tuple[Protocol, ...] = ()
    message: tuple[Protocol, ...] = ()
    tree: tuple[Protocol, ...] = ()
    switch: Protocol | None = None
    switch_members: int = 2
    logarithmic: Protocol | None = None
    logarithmic_inside: bool = False
    exchange: tuple[Protocol, ...]
    dispatch: Protocol | None = None
    direct: Protocol | None = None
    hop_reference: float
    network_hop_reference: float
    max_rails: float | None = None
    host_time: float = 0.0
    overlap_slowdown: float | None = None
    own: dict[str, OwnAllReduce] = {}
    rows: int = 0
    residual: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse a library without a way, and rates that are not positive."""
        if not self.ring or not self.exchange:
            raise CatalogueError(
                f"collectives of {self.id!r}: give at least one ring and one exchange protocol"
            )
        sums = (*self.tree, *self.all_reduce_ring, *self.scatter_ring)
        for protocol in (*self.ring, *sums, *self.message, *self.exchange):
            if min(protocol.share, protocol.network_share) <= 0:
                raise CatalogueError(
                    f"collectives of {self.id!r}: protocol {protocol.name!r} needs a positive "
                    f"share and network_share"
                )

    def without(self, protocol: str) -> CommunicationLibrary:
        """Return the same without a protocol in rings and trees, as a transport may bar it."""
        ring = tuple(one for one in self.ring if one.name != protocol)
        tree = tuple(one for one in self.tree if one.name.split(",")[0] != protocol)
        return msgspec.structs.replace(self, ring=ring, tree=tree)


def plain_library(
    scaleup: float, scaleout: float, *, hop: float, own: dict[str, OwnAllReduce] | None = None
) -> CommunicationLibrary:
    """Return what is assumed of a library that nobody measured: one ring, one exchange.

    Parameters
    ----------
    scaleup, scaleout
        Share of the line rate that large transfers reach inside a domain and between. [1]
    hop
        One hop through the innermost level. [s]
    own
        All-reduces of engines, where those were measured.
    """
    shares = {"share": scaleup, "network_share": scaleout}
    hops = {"base": 0.0, "hop": hop, "network_hop": hop}
    return CommunicationLibrary(
        id="plain",
        name="A library of which nothing is known",
        ring=(Protocol(name="ring", **hops, **shares),),
        logarithmic=Protocol(name="tree", **hops, **shares),
        logarithmic_inside=True,
        exchange=(Protocol(name="exchange", **hops, **shares),),
        hop_reference=hop,
        network_hop_reference=hop,
        own=own or {},
    )
