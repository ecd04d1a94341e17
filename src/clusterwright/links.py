"""A cluster's levels as its communication library drives them: collectives of groups of ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from clusterwright.communication import CommunicationLibrary, Protocol, plain_library
from clusterwright.efficiency import EfficiencyProfile
from clusterwright.formulas import collectives, protocols
from clusterwright.hardware import Cluster, Level

Array = Any


class Lines(NamedTuple):
    """The ways to carry out one collective: latencies [s] and inverse bandwidths [s/B].

    Each entry is an array over groups; the time of a buffer is the minimum over the ways.
    """

    latencies: tuple[Array, ...]
    inverses: tuple[Array, ...]

    def time(self, buffer_bytes: Array) -> Array:
        """Time of a buffer of so many bytes, by the quickest way. [s]"""
        return protocols.quickest_time(
            buffer_bytes, latencies=self.latencies, inverse_bandwidths=self.inverses
        )


class Links:
    """The levels of a cluster and the library that uses them.

    ``collective`` names are those of NCCL's tests; bytes are the size of the whole buffer: what an
    all-gather ends with, a reduce-scatter or all-reduce starts with, one rank sends in an
    all-to-all, its own share included.
    """

    def __init__(self, levels: Sequence[Level], library: CommunicationLibrary) -> None:
        self.library = library
        self.max_rails = np.inf if library.max_rails is None else library.max_rails
        self.sizes = tuple(float(level.size) for level in levels)
        self._levels = tuple(levels)

    def gather(self, group_size: Array, stride: Array) -> Lines:
        """An all-gather, or a reduce-scatter that was not measured apart from it."""
        lines = [self._ring(p, group_size, stride, rounds=1.0) for p in self.library.ring]
        quick = self.library.logarithmic
        if quick is not None:
            lines.append(self._logarithmic(quick, group_size, stride))
        return _lines(lines)

    def scatter(self, group_size: Array, stride: Array) -> Lines:
        """A reduce-scatter."""
        own = self.library.scatter_ring
        if not own:
            return self.gather(group_size, stride)
        return _lines([self._ring(p, group_size, stride, rounds=1.0) for p in own])

    def all_reduce(self, group_size: Array, stride: Array) -> Lines:
        """An all-reduce."""
        library = self.library
        rings = library.all_reduce_ring or library.ring
        lines = [self._ring(p, group_size, stride, rounds=2.0) for p in rings]
        lines += [self._tree(p, group_size, stride) for p in library.tree]
        if library.switch is not None:
            lines.append(self._switch(library.switch, group_size, stride))
        if library.logarithmic is not None and library.logarithmic_inside:
            latency, inverse = self._logarithmic(library.logarithmic, group_size, stride)
            lines.append((latency, 2.0 * inverse))
        return _lines(lines)

    def without_switches(self, group_size: Array, stride: Array) -> Lines:
        """An all-reduce where the switches may not add (``NCCL_NVLS_ENABLE=0``)."""
        library = msgspec.structs.replace(self.library, switch=None)
        return Links(self._levels, library).all_reduce(group_size, stride)

    def all_to_all(self, group_size: Array, stride: Array) -> Lines:
        """An all-to-all, each rank sending the same to each."""
        return _lines([self._exchange(p, group_size, stride) for p in self.library.exchange])

    def broadcast(self, group_size: Array, stride: Array) -> Lines:
        """A broadcast down a ring: every link carries the buffer once."""
        many = np.where(group_size > 1.0, group_size / np.maximum(1.0, group_size - 1.0), 0.0)
        direct = (msgspec.structs.replace(p, staging=0.0) for p in self.library.ring)
        lines = [self._ring(p, group_size, stride, rounds=1.0) for p in direct]
        return _lines([(latency, inverse * many) for latency, inverse in lines])

    def point_to_point(self, stride: Array) -> Lines:
        """A message to the neighbour ``stride`` ranks away."""
        lines = []
        for protocol in self.library.message or self.library.ring:
            hop = collectives.point_to_point_latency(
                stride, level_sizes=self.sizes, level_latencies=self._latencies(protocol)
            )
            inverse = collectives.point_to_point_inverse_bandwidth(
                stride, level_sizes=self.sizes, level_bandwidths=self._bandwidths(protocol)
            )
            lines.append((protocol.base + hop, inverse))
        return _lines(lines)

    def dispatch(
        self, group_size: Array, stride: Array, *, top_k: float, max_domains: Array
    ) -> Lines:
        """Tokens to their experts, once per domain; bytes are those of one copy of the tokens."""
        protocol = self.library.dispatch or self.library.exchange[-1]
        inverse = protocols.dispatch_time_per_token(
            group_size,
            stride,
            top_k=top_k,
            max_domains=max_domains,
            token_bytes=1.0,
            level_sizes=self.sizes,
            level_bandwidths=self._bandwidths(protocol),
        )
        latency = collectives.tree_latency(
            group_size, stride, level_sizes=self.sizes, level_latencies=self._latencies(protocol)
        )
        return Lines((protocol.base + latency,), (inverse,))

    def direct_dispatch(self, group_size: Array, stride: Array) -> Lines:
        """Tokens straight to each expert's rank, for few tokens (decoding).

        Bytes are those of all copies that one rank sends.
        """
        protocol = self.library.direct or self.library.exchange[0]
        return _lines([self._exchange(protocol, group_size, stride)])

    def own_all_reduce(self, engine: str, group_size: Array) -> Lines:
        """An inference engine's own all-reduce inside the innermost level, or the library's."""
        lines = self.all_reduce(group_size, 1.0)
        own = self.library.own.get(engine)
        if own is None:
            # Recursive halving and doubling, as any engine does it for buffers this small.
            plain = self.library.exchange[0]
            steps = np.log2(np.maximum(group_size, 2.0)) * self._latencies(plain)[0]
            inverse = (group_size - 1.0) / group_size / self._bandwidths(plain)[0]
            start = np.where(group_size <= self.sizes[0], plain.base + 2.0 * steps, np.inf)
            return Lines((start, *lines.latencies), (2.0 * inverse, *lines.inverses))
        rate = self._levels[0].bandwidth
        if own.mesh:
            rate = rate * (group_size - 1.0) / max(1.0, self.sizes[0] - 1.0)
        one = protocols.one_shot_inverse_bandwidth(
            group_size, level_bandwidth=rate * own.share_one_shot
        )
        two = 2.0 * (group_size - 1.0) / group_size / (rate * own.share_two_shot)
        within = group_size <= self.sizes[0]
        if own.mesh:  # nor has the library more inside the domain than these ranks' own links
            beside = tuple(np.where(within, np.inf, one) for one in lines.latencies)
            lines = Lines(beside, lines.inverses)
        bases = [np.where(within, b, np.inf) for b in (own.base_one_shot, own.base_two_shot)]
        return Lines((*bases, *lines.latencies), (one, two, *lines.inverses))

    def _bandwidths(self, protocol: Protocol) -> tuple[float, ...]:
        """What the protocol makes of each level's line rate. [B/s]"""
        first, *others = self._levels
        rest = (level.bandwidth * protocol.network_share for level in others)
        return (first.bandwidth * protocol.share, *rest)

    def _latencies(self, protocol: Protocol) -> tuple[float, ...]:
        """One hop of the protocol through each level; a slower fabric adds its difference. [s]"""
        library, (first, *others) = self.library, self._levels
        inner = _hop(first.latency, protocol.hop, library.hop_reference)
        reference = library.network_hop_reference
        rest = (_hop(level.latency, protocol.network_hop, reference) for level in others)
        return (inner, *rest)

    def _ring(
        self, protocol: Protocol, group_size: Array, stride: Array, *, rounds: float
    ) -> tuple[Array, Array]:
        latency = collectives.ring_latency(
            group_size, stride, level_sizes=self.sizes, level_latencies=self._latencies(protocol)
        )
        inverse = collectives.ring_inverse_bandwidth(
            group_size,
            stride,
            level_sizes=self.sizes,
            level_bandwidths=self._bandwidths(protocol),
            max_rails=self.max_rails,
            staging=protocol.staging,
            rounds=rounds,
        )
        return protocol.base + rounds * latency, inverse

    def _tree(self, protocol: Protocol, group_size: Array, stride: Array) -> tuple[Array, Array]:
        latency = collectives.tree_latency(
            group_size, stride, level_sizes=self.sizes, level_latencies=self._latencies(protocol)
        )
        inverse = protocols.tree_inverse_bandwidth(
            group_size,
            stride,
            level_sizes=self.sizes,
            level_bandwidths=self._bandwidths(protocol),
            max_rails=self.max_rails,
        )
        return protocol.base + 2.0 * latency + protocol.fill * inverse, inverse

    def _switch(self, protocol: Protocol, group_size: Array, stride: Array) -> tuple[Array, Array]:
        """Reduction in the switches; barred (infinitely late) where too few members share one."""
        inside = np.minimum(
            group_size,
            collectives.members_inside(group_size, stride, level_size=self.sizes[0]),
        )
        between = collectives.tree_latency(
            group_size / inside,
            np.maximum(stride * inside, 1.0),
            level_sizes=self.sizes,
            level_latencies=self._latencies(protocol),
        )
        latency = protocol.base + protocol.per_rank * inside + 2.0 * between
        inverse = protocols.switch_inverse_bandwidth(
            group_size,
            stride,
            level_sizes=self.sizes,
            level_bandwidths=self._bandwidths(protocol),
            max_rails=self.max_rails,
        )
        return np.where(inside >= self.library.switch_members, latency, np.inf), inverse

    def _logarithmic(
        self, protocol: Protocol, group_size: Array, stride: Array
    ) -> tuple[Array, Array]:
        """A logarithm of steps; barred where members share a domain, unless the library can."""
        steps = collectives.tree_latency(
            group_size, stride, level_sizes=self.sizes, level_latencies=self._latencies(protocol)
        )
        twice = 2.0 if self.library.logarithmic_inside else 1.0
        latency = protocol.base + protocol.per_rank * group_size + twice * steps
        _, inverse = self._ring(protocol, group_size, stride, rounds=1.0)
        if self.library.logarithmic_inside:
            return latency, inverse
        alone = collectives.members_inside(group_size, stride, level_size=self.sizes[0]) <= 1.0
        return np.where(alone, latency, np.inf), inverse

    def _exchange(
        self, protocol: Protocol, group_size: Array, stride: Array
    ) -> tuple[Array, Array]:
        bandwidths = self._bandwidths(protocol)
        inverse = collectives.all_to_all_inverse_bandwidth(
            group_size, stride, level_sizes=self.sizes, level_bandwidths=bandwidths
        )
        copied = protocol.staging * (group_size > 1.0) / group_size / bandwidths[0]
        latency = collectives.tree_latency(
            group_size, stride, level_sizes=self.sizes, level_latencies=self._latencies(protocol)
        )
        return protocol.base + protocol.per_rank * group_size + latency, inverse + copied


def links_of(
    cluster: Cluster,
    profile: EfficiencyProfile,
    *,
    network_share: float = 1.0,
    hop_time: float = 0.0,
) -> Links:
    """The cluster's levels as the chips' communication library drives them.

    ``network_share``: what a framework makes of the bandwidth between nodes [1]; ``hop_time``: what
    it adds to each hop between nodes. [s]
    """
    found = profile.communication
    if found is None:
        shares = profile.links
        hop = cluster.levels[0].latency
        found = plain_library(shares.scaleup, shares.scaleout, hop=hop, own=shares.own)
    inside, *beyond = cluster.levels
    slowed = [
        msgspec.structs.replace(
            level, bandwidth=level.bandwidth * network_share, latency=level.latency + hop_time
        )
        for level in beyond
    ]
    return Links((inside, *slowed), found)


def _hop(level_latency: float, hop: float, reference: float) -> float:
    """Scale a hop down with a quicker level; add what a slower one takes longer. [s]"""
    if level_latency <= reference:
        return hop * level_latency / reference if reference else hop
    return hop + level_latency - reference


def _lines(pairs: list[tuple[Array, Array]]) -> Lines:
    return Lines(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))
