"""The catalogue as the program sees it: shipped with the package, read once, never changed."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from clusterwright.catalogue.building import ClusterBuilder, build_accelerator
from clusterwright.catalogue.figures import Entry
from clusterwright.catalogue.schema import Schema
from clusterwright.errors import CatalogueError, InputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clusterwright.catalogue.figures import Figure
    from clusterwright.hardware import Accelerator, Cluster


class Catalogue:
    """Facts by kind and id: ``accelerators``, ``nodes``, ``networks``, ``clusters``, ``models`` …

    >>> Catalogue().accelerator("nv-h100-sxm").memory_bandwidth
    3350000000000.0
    """

    def __init__(self) -> None:
        self._content, self._schema, self._hash = _shipped()
        self._entries: dict[str, dict[str, Entry]] = {}
        self._names: dict[str, dict[str, str]] = {}

    @property
    def hash(self) -> str:
        """SHA-256 of all it holds, files of one's own included."""
        return self._hash

    @property
    def schema(self) -> Schema:
        """What may stand in a catalogue file."""
        return self._schema

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the kinds."""
        return tuple(sorted(self._schema.kinds))

    def with_files(self, paths: Iterable[str | Path]) -> Catalogue:
        """Return a catalogue to which a person's own TOML files are added, later ones winning.

        Raises
        ------
        CatalogueError
            With everything that is wrong in the first file that has something wrong.
        """
        from clusterwright.catalogue.authoring import read_own_file

        merged = Catalogue()
        merged._content, digest = self._content, hashlib.sha256(self._hash.encode())
        for path in map(Path, paths):
            own = read_own_file(path, self._schema, merged._content).check()
            merged._content = {kind: {**merged._content.get(kind, {}), **own[kind]} for kind in own}
            digest.update(msgspec.json.encode(own, order="deterministic"))
        merged._hash = digest.hexdigest()
        return merged

    def entries(self, kind: str) -> Mapping[str, Entry]:
        """Return all entries of a kind by id, sorted.

        Raises
        ------
        InputError
            If there is no such kind.
        """
        if kind not in self._entries:
            if kind not in self._schema.kinds:
                known = ", ".join(self.kinds)
                raise InputError(f"no kind of facts called {kind!r}: one of {known}")
            noun = self._schema.kinds[kind].noun
            found = self._content.get(kind, {})
            self._entries[kind] = {
                name: Entry(kind=kind, noun=noun, id=name, data=found[name])
                for name in sorted(found)
            }
        return self._entries[kind]

    def entry(self, kind: str, name: str) -> Entry:
        """Return one entry by its id or an alias, in any case of letters.

        Raises
        ------
        UnknownNameError
            If there is none; offers the nearest names.
        """
        entries = self.entries(kind)
        if name in entries:
            return entries[name]
        if kind not in self._names:
            self._names[kind] = {
                other.lower(): one.id
                for one in entries.values()
                for other in (*one.aliases, one.name, one.id)
            }
        found = self._names[kind].get(name.strip().lower())
        if found is None:
            aliases = [alias for one in entries.values() for alias in one.aliases]
            noun = self._schema.kinds[kind].noun
            listed = kind if " " in noun else noun
            raise UnknownNameError(noun, name, [*entries, *aliases], listed=listed)
        return entries[found]

    def figure(self, kind: str, name: str, key: str) -> Figure:
        """Return one figure with its source, e.g. ``("accelerators", "nv-h20", "peaks.bf16")``.

        Raises
        ------
        InputError
            If nobody published it.
        """
        return self.entry(kind, name).require(key)

    def accelerator(self, name: str) -> Accelerator:
        """Return one accelerator by id or alias, blank figures as None."""
        return build_accelerator(self.entry("accelerators", name))

    def cluster(self, name: str, accelerators: int | None = None) -> Cluster:
        """Return a cluster by id or alias, or as many of its accelerators as are asked for.

        Raises
        ------
        InputError
            If it has fewer, or nobody published of what or how many it consists.
        """
        entry = self.entry("clusters", name)
        if not entry.text("accelerator"):
            made_of = entry.text("accelerator_text") or "accelerators nobody named"
            raise InputError(
                f"cluster {entry.id} consists of {made_of}, which is not one known accelerator: "
                f"plan for a part of it with an accelerator and a number"
            )
        published = entry.value("count")
        if published is None and accelerators is None:
            raise InputError(f"nobody published how many accelerators {entry.id} has: say how many")
        count = round(published or 0) if accelerators is None else _whole(accelerators)
        if published is not None and count > published:
            raise InputError(
                f"cluster {entry.id} has {published:,.0f} accelerators, not {count:,}: "
                f"ask for that many or fewer"
            )
        return self._builder(entry.text("accelerator"), entry.text("node")).build(entry, count)

    def any_cluster(self, accelerator: str, count: int) -> Cluster:
        """Return ``count`` accelerators of a kind, joined as such accelerators usually are.

        ``Cluster.assumed`` names the figures that nobody published.
        """
        return self._builder(accelerator, "").build(None, _whole(count))

    def _builder(self, accelerator: str, node: str) -> ClusterBuilder:
        """Return a builder; without a ``node`` it takes the accelerator's usual one."""
        entry = self.entry("accelerators", accelerator)
        usual = node or entry.text("node")
        found = self.entry("nodes", usual) if usual else None
        builder = ClusterBuilder(entry, found, self.entries("defaults"))
        if usual and not node:
            builder.assumed.append(f"node: {usual}, as usual for {entry.id}")
        return builder


def _whole(count: int) -> int:
    if count < 1:
        raise InputError(f"{count} accelerators: ask for one or more")
    return count


@cache
def _shipped() -> tuple[dict[str, dict[str, dict[str, Any]]], Schema, str]:
    """Read the file that is shipped: entries, schema, hash."""
    try:
        content = resources.files("clusterwright").joinpath("data/catalogue.json").read_bytes()
    except OSError:
        raise CatalogueError("the package's catalogue.json is missing: run `make data`") from None
    read = msgspec.json.decode(content)
    schema = msgspec.convert(read["schema"], Schema)
    return read["entries"], schema, hashlib.sha256(content).hexdigest()
