"""Catalogue entries to the records that the cost model works on; what is missing is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clusterwright.errors import InputError
from clusterwright.hardware import Accelerator, Cluster, Level
from clusterwright.units import format_quantity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clusterwright.catalogue.figures import Entry


def build_accelerator(entry: Entry) -> Accelerator:
    """Make the record of one accelerator; blank figures are None."""
    domain, units = entry.value("scaleup_domain"), entry.value("units")
    return Accelerator(
        id=entry.id,
        name=entry.name,
        vendor=entry.text("vendor"),
        kind=entry.text("kind"),
        peaks={name: figure.value for name, figure in entry.figures("peaks").items()},
        matmul={name: figure.value for name, figure in entry.figures("matmul").items()},
        memory_bytes=entry.value("memory"),
        memory_bandwidth=entry.value("memory_bandwidth"),
        board_power=entry.value("board_power"),
        scaleup_bandwidth=entry.value("scaleup_bandwidth"),
        scaleup_domain=None if domain is None else round(domain),
        scaleout_bandwidth=entry.value("scaleout_bandwidth"),
        price=entry.value("price"),
        cache_bytes=entry.value("last_level_cache"),
        num_units=None if units is None else round(units),
        profile=entry.text("profile"),
    )


class ClusterBuilder:
    """Builds one cluster out of entries, and keeps a list of what it had to assume.

    Parameters
    ----------
    accelerator
        Entry of the accelerator.
    node
        Entry of the node it sits in, if one is known.
    defaults
        Entries of the kind ``defaults``.
    """

    def __init__(
        self, accelerator: Entry, node: Entry | None, defaults: Mapping[str, Entry]
    ) -> None:
        self.entry = accelerator
        self.node = node
        self.defaults = defaults
        self.assumed: list[str] = []

    def build(self, cluster: Entry | None, count: int) -> Cluster:
        """Return ``count`` accelerators joined by the cluster's fabric, or by a usual one."""
        accelerator = build_accelerator(self.entry)
        fabric = {} if cluster is None else cluster.data.get("fabric", {})
        rows = fabric.get("levels", ())
        levels = self._fabric(rows, count) if rows else self._usual(accelerator)
        if cluster and not rows:
            bits = levels[-1].bandwidth * 8 / 1e9
            self._assume(f"network: {bits:g} Gb/s per accelerator, never oversubscribed")
        return Cluster(
            id=cluster.id if cluster else f"{count}x{self.entry.id}",
            name=cluster.name if cluster else f"{count:,} x {self.entry.name}",
            accelerator=accelerator,
            count=count,
            levels=cut_levels(levels, count),
            host_memory_bytes=self._host_memory(),
            host_bandwidth=self._host_bandwidth(),
            assumed=tuple(self.assumed),
        )

    def _fabric(self, rows: Sequence[dict[str, Any]], count: int) -> list[Level]:
        """Read an authored fabric; ``all`` is as large as anybody asks for."""
        levels: list[Level] = []
        for row in rows:
            bandwidth = row["bandwidth"]["value"] / row.get("oversubscription", 1.0)
            latency = row.get("latency", {}).get("value") or self._hop(
                row["kind"], inside=not levels
            )
            size = count if row["size"] == "all" else int(row["size"])
            if row.get("assumed"):
                shown = format_quantity(bandwidth, "B/s")
                self.assumed.append(f"{row['name']}: {shown} ({row.get('note', 'not published')})")
            level = Level(name=row["name"], size=size, bandwidth=bandwidth, latency=latency)
            if levels and level.size <= levels[-1].size:
                break
            levels.append(level)
        return levels

    def _usual(self, accelerator: Accelerator) -> list[Level]:
        """Put together the levels that such accelerators usually have."""
        levels: list[Level] = []
        if accelerator.scaleup_bandwidth is not None:
            kind = self.entry.text("scaleup_kind") or "scale-up"
            size = self._domain(accelerator)
            hop = self._hop(kind, inside=True)
            bandwidth = accelerator.scaleup_bandwidth
            levels.append(Level(name=kind, size=size, bandwidth=bandwidth, latency=hop))
        host = self._node_size(accelerator)
        if not levels or levels[0].size < host:
            link = self._host_bandwidth()
            self._assume(f"inside one host: {format_quantity(link, 'B/s')}, as the host link")
            hop = self._hop("pcie", inside=True)
            levels.append(Level(name="pcie", size=host, bandwidth=link, latency=hop))
        network = self._network(accelerator)
        hop = self._hop("network", inside=False)
        # Larger than any cluster: cut_levels brings it to the count.
        levels.append(Level(name="scale-out", size=2**62, bandwidth=network, latency=hop))
        return levels

    def _domain(self, accelerator: Accelerator) -> int:
        named = self.node.value("scaleup_domain") if self.node else None
        if named is None:
            named = accelerator.scaleup_domain
        if named is None:
            named = self._node_size(accelerator)
            self._assume(f"scale-up domain: {named:.0f} accelerators")
        return round(named)

    def _node_size(self, accelerator: Accelerator) -> int:
        if self.node is not None:
            return int(self.node.data["accelerators"])
        return round(self.default(f"node-size-{accelerator.kind}", "node-size"))

    def _network(self, accelerator: Accelerator) -> float:
        known = self.node.value("scaleout_bandwidth") if self.node else None
        if known is None:
            known = accelerator.scaleout_bandwidth
        if known is None:
            names = (f"scaleout-{accelerator.kind}", f"scaleout-{accelerator.profile}", "scaleout")
            known = self.default(*names)
            bits = known * 8 / 1e9
            self._assume(f"scale-out: {bits:g} Gb/s per accelerator")
        return known

    def _host_memory(self) -> float | None:
        """Return host memory per accelerator, None where memory is one (a default of zero)."""
        total = self.node.value("host_memory") if self.node else None
        if self.node is not None and total is not None:
            return total / int(self.node.data["accelerators"])
        usual = self.default(f"host-memory-{self.entry.text('kind')}", "host-memory")
        if usual:
            self._assume(f"host memory: {format_quantity(usual, 'B')} per accelerator")
        return usual or None

    def _host_bandwidth(self) -> float:
        known = self.node.value("host_bandwidth") if self.node else None
        if known is None:
            known = self.entry.value("host_bandwidth")
        if known is None:
            known = self.default(f"host-link-{self.entry.text('profile')}", "host-link")
            self._assume(f"host link: {format_quantity(known, 'B/s')} per accelerator")
        return known

    def _hop(self, kind: str, *, inside: bool) -> float:
        return self.default(f"hop-{kind}", "hop-scale-up" if inside else "hop-scale-out")

    def _assume(self, words: str) -> None:
        if words not in self.assumed:
            self.assumed.append(words)

    def default(self, *names: str) -> float:
        """Return the first of these defaults that the catalogue has, in SI."""
        found = next((self.defaults[name] for name in names if name in self.defaults), None)
        if found is None:
            raise InputError(f"the catalogue has no default {names[-1]!r}: add it to defaults.toml")
        return found.require("value").value


def cut_levels(levels: Sequence[Level], count: int) -> tuple[Level, ...]:
    """Return the levels that ``count`` accelerators have; sizes rise strictly, the last is all."""
    kept: list[Level] = []
    for level in levels:
        last = kept[-1].size if kept else 0
        if last >= count:
            break
        if min(level.size, count) > last:
            kept.append(_resized(level, min(level.size, count)))
    if kept[-1].size < count:
        kept[-1] = _resized(kept[-1], count)
    return tuple(kept)


def _resized(level: Level, size: int) -> Level:
    return Level(name=level.name, size=size, bandwidth=level.bandwidth, latency=level.latency)
